"""Runs of posts: what a trained model predicts of drafts and of datasets."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.evaluation.conformal import DEFAULT_COVERAGE
from evoked.evaluation.splits import Split
from evoked.features.cache import FeatureCache
from evoked.features.extract import ImageSource, Problem
from evoked.models import TRIVIAL_BASELINES, Examples, Model
from evoked.models.baselines import AuthorMean, CategoryMean, MeanOfTraining, RecentPosts
from evoked.posts.author_hashes import author_hashes, hashes
from evoked.posts.author_history import (
    KINDS,
    AuthorHistory,
    EveryonesCounts,
    are_published,
    attach_history,
    has_history,
)
from evoked.posts.author_profiles import AuthorProfiles
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft, as_posts
from evoked.posts.facts import Fact
from evoked.runs.answer import LAST_POSTS, RecentCounts
from evoked.runs.base import Callbacks, Evaluation, RunContents, TrainedRun, queries_of
from evoked.runs.changes import changes_since, field_digests
from evoked.runs.drafts import (
    ASSUMED,
    DOUBT,
    KnownAuthors,
    complete_drafts,
    lacking_facts,
    with_fact_notes,
    with_usual_views,
)
from evoked.runs.folder import load_contents
from evoked.runs.influence import influence_of
from evoked.runs.notes import (
    beside_recent_posts,
    learned_modalities,
    sees_nothing,
    unseen_inputs,
    unseen_note,
)

if TYPE_CHECKING:
    from evoked.posts.columns import Posts

HISTORY_FILE = "history.json"
PROFILES_FILE = "profiles.json"


class Run(TrainedRun):
    """A trained model with everything that leads from posts to its predictions.

    Parameters
    ----------
    contents
        What the run's folder holds.
    history
        What the authors of the run's posts achieved, for drafts.
    profiles
        Their last known followers, for drafts.
    cache
        Where extracted features are kept; the user's cache folder by default.

    Examples
    --------
    >>> run = evoked.train(evoked.open("my_posts"), out="my_run")        # doctest: +SKIP
    >>> run.predict([evoked.Draft(image="draft.jpg", caption="Hello")])  # doctest: +SKIP
    """

    baselines = TRIVIAL_BASELINES
    noun = "posts"

    def __init__(
        self,
        contents: RunContents,
        history: AuthorHistory,
        profiles: AuthorProfiles,
        cache: FeatureCache | None = None,
    ) -> None:
        super().__init__(contents, cache)
        self.history = history
        self.profiles = profiles

    @classmethod
    def load(
        cls,
        folder: Path | str,
        cache: FeatureCache | None = None,
        *,
        model: type[Model] | None = None,
        allow_download: bool = False,
    ) -> Run:
        """Load a run of posts; nothing in its folder is executed.

        Parameters
        ----------
        folder, cache, model, allow_download
            As in :func:`evoked.load`, which loads runs of viewings as well.

        Returns
        -------
        Run
            The run.

        Raises
        ------
        DataError
            The folder holds no finished run of posts, or its model is not known.
        """
        return cls.with_history(load_contents(folder, model, "posts", allow_download), cache)

    @classmethod
    def with_history(cls, contents: RunContents, cache: FeatureCache | None = None) -> Run:
        """A run of posts from what its folder holds, with what its authors are known by.

        Parameters
        ----------
        contents
            What the folder holds.
        cache
            Where extracted features are kept; the user's cache folder by default.

        Returns
        -------
        Run
            The run, ready to predict.
        """
        folder = contents.folder
        history = AuthorHistory.load(folder / HISTORY_FILE)
        return cls(contents, history, AuthorProfiles.load(folder / PROFILES_FILE), cache)

    def save_inputs(self) -> None:
        super().save_inputs()
        self.history.save(self.folder / HISTORY_FILE)
        self.profiles.save(self.folder / PROFILES_FILE)

    def attach_history(
        self,
        posts: pd.DataFrame,
        drafts: bool = False,
        activity: pd.DataFrame | None = None,
        everyones: EveryonesCounts | None = None,
    ) -> pd.DataFrame:
        """Posts with what their authors' earlier posts achieved, among them and among the run's
        own: see :func:`evoked.posts.author_history.attach_history`.

        Parameters
        ----------
        posts
            n posts.
        drafts
            Whether they are drafts, which see nothing of each other.
        activity
            Counts of posts over time, for what was known at a time.
        everyones
            What the last posts of all authors achieved, if these are not all posts.

        Returns
        -------
        DataFrame
            The n posts with columns of history.
        """
        history = self.history
        if everyones is not None:
            history = history.of_authors(dict.fromkeys(author_hashes(posts)))
        age = self.pipeline.settings.history_min_age_hours
        return attach_history(posts, history, drafts, age, activity, everyones=everyones)

    def recent_counts(self, posts: Posts) -> RecentCounts:
        return {kind: self.history.last_counts(posts, kind, LAST_POSTS) for kind in KINDS}

    def influence(self, test: Examples) -> list[dict[str, Any]]:
        return influence_of(self.model, self.task, test, unread=self.unrated_emotions)

    def identify(self, posts: pd.DataFrame) -> pd.DataFrame:
        return posts[["post_id"]].reset_index(drop=True)

    def facts(self, posts: pd.DataFrame) -> dict[str, Any]:
        return {"category": queries_of(posts), "author": author_hashes(posts)}

    @property
    def training_categories(self) -> list[str]:
        """Categories of the training posts, sorted."""
        return sorted(self._training_groups(CategoryMean))

    def knows_category(self, category: str) -> bool:
        """Whether a training post is of a category, however its letters are capitalised."""
        known = {each.strip().casefold() for each in self.training_categories}
        return category.strip().casefold() in known

    @cached_property
    def authors(self) -> KnownAuthors:
        """The authors of the run's posts."""
        known = frozenset(self._training_groups(AuthorMean)) | set(self.history.author)
        return KnownAuthors(self.description["data"]["authors"], known, self.profiles)

    def knows_author(self, author: str) -> bool:
        """Whether one of the run's posts is by an author."""
        return hashes(pd.Series([author]))[0] in self.authors.hashes

    @property
    def known_facts(self) -> list[Fact]:
        """Facts of a person's own that the model has learned from, as the training posts have
        them."""
        return [Fact.from_dict(state) for state in self.description.get("facts", [])]

    @property
    def learned_fields(self) -> list[str]:
        """Fields of a draft that the model reads and has learned from, since training posts had
        them and differed in them: ``image``, ``caption`` (``title`` goes for one), ``hashtags``,
        and facts. Empty for a model to which all drafts of an author are alike."""
        modalities = learned_modalities(self.model, self.unseen)
        content = ("image", "caption", "hashtags")
        found: list[str] = [name for name in content if name in modalities]
        encoder = self.pipeline.metadata
        if "metadata" in self.model.features and encoder is not None:
            found += encoder.learned_fields
        return found

    def draft_posts(
        self, drafts: Sequence[Draft]
    ) -> tuple[pd.DataFrame, list[Path | bytes | None]]:
        """Drafts as the posts that are predicted, and their pictures.

        Their author, if the run has only one, and the author's last known followers are filled in,
        and the authors' earlier posts attached, where they lack them: see
        :func:`evoked.runs.drafts.complete_drafts`. They see nothing of each other.

        Raises
        ------
        DataError, SettingsError
            As of :func:`evoked.posts.drafts.as_posts`.
        """
        time_zone = self.description["data"].get("time_zone")
        posts, images = as_posts(drafts, time_zone, self.known_facts)
        are_drafts = np.ones(len(posts), dtype=bool)
        seen = self.attach_history(self._completed(posts, are_drafts), drafts=True)
        return with_usual_views(seen, self.task, are_drafts), images

    def dataset_posts(self, dataset: PostDataset) -> pd.DataFrame:
        """The posts of a dataset as they are predicted: those without any count as drafts, which
        see the others and are seen by none."""
        return self.completed_posts(dataset.posts, dataset.table("activity"))

    def completed_posts(
        self,
        posts: pd.DataFrame,
        activity: pd.DataFrame | None = None,
        everyones: EveryonesCounts | None = None,
        history: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Posts as they are predicted: see :meth:`dataset_posts`.

        Parameters
        ----------
        posts
            n posts: all there are, or all of some authors.
        activity
            Counts over time of some of them.
        everyones
            What the last posts of all authors achieved, if these are not all posts.
        history
            Their columns ``history.*``, if they are known, in place of both.

        Returns
        -------
        DataFrame
            The n posts with columns of history, and with what drafts among them left out.
        """
        drafts = ~are_published(posts)
        completed = self._completed(posts, drafts)
        if history is None:
            posts = self.attach_history(completed, activity=activity, everyones=everyones)
        else:
            posts = pd.concat([completed, history.set_axis(completed.index)], axis=1)
        # An author whom the run doesn't know may have earlier posts in the dataset.
        posts.loc[posts["history.posts"] > 0, DOUBT] = None
        return with_usual_views(posts, self.task, drafts)

    def _completed(self, posts: pd.DataFrame, drafts: NDArray[np.bool_]) -> pd.DataFrame:
        """Posts with what drafts among them leave out, and what is unusual about their facts."""
        completed = complete_drafts(posts, self.authors, drafts)
        return with_fact_notes(completed, self.known_facts, drafts)

    def _training_groups(self, kind: type[MeanOfTraining]) -> Collection[str]:
        """What the training posts are grouped by in a trivial baseline."""
        baseline = self.baseline(kind)
        assert isinstance(baseline, MeanOfTraining)
        return baseline.group_means.keys()

    def part_of(self, posts: pd.DataFrame) -> pd.Series:
        """The part that each of n posts had when the run was made; missing for new posts.

        A post is the run's own if its id is and its date or its caption is the same as well: ids
        alone prove nothing, since many files number their posts from one.
        """
        own = self._as_made(posts)
        same_date = own["posted_at"].to_numpy() == posts["posted_at"].to_numpy()
        same_caption = own["caption"].to_numpy() == _caption_hashes(posts)
        return own["part"].where(same_date | same_caption)

    def changes_since(self, posts: pd.DataFrame) -> str | None:
        """What has changed in those of n posts that the run was made from, in a sentence; None if
        nothing has."""
        own = self.part_of(posts).notna().to_numpy()
        return changes_since(self._as_made(posts)[own], posts[own])

    def growth_since(self, posts: pd.DataFrame) -> str | None:
        """By how many posts the dataset that the run was made from has grown, in a sentence; None
        if it has not, or if n posts are not all of that dataset's."""
        own = int(self.part_of(posts).notna().sum())
        new = len(posts) - self.description["data"].get("drawn from", own)
        if new < 1 or own < len(self.parts):
            return None
        posts_came = f"{new:,} post{'s' if new > 1 else ''}"
        return (
            f"The dataset has grown by {posts_came} since this run was made from it; 'evoked "
            "update' takes them in."
        )

    def _as_made(self, posts: pd.DataFrame) -> pd.DataFrame:
        """What the run keeps of n posts by their ids; nothing of new ones."""
        return posts[["post_id"]].merge(self.parts, on="post_id", how="left")

    def examples(
        self,
        posts: pd.DataFrame,
        images: Sequence[ImageSource],
        callbacks: Callbacks | None = None,
    ) -> tuple[Examples, list[Problem]]:
        """Features of posts as the model reads them.

        Parameters
        ----------
        posts
            n posts with their history attached; if it isn't, they see the run's own posts and each
            other's past.
        images
            Cover picture of each: a path, bytes or None.
        callbacks
            Callbacks that report progress.

        Returns
        -------
        Examples, list of Problem
            The n posts, and what was wrong with which picture.
        """
        if not has_history(posts):
            posts = self.attach_history(posts)
        features, problems = self.pipeline.transform(
            posts,
            images,
            cache=self.cache,
            progress=None if callbacks is None else callbacks.stage,
        )
        return Examples(posts, features), problems

    def predict(
        self,
        posts: PostDataset | Sequence[Draft],
        callbacks: Callbacks | None = None,
        coverage: float = DEFAULT_COVERAGE,
    ) -> pd.DataFrame:
        """Predict what posts evoke.

        Parameters
        ----------
        posts
            A dataset, or drafts.
        callbacks
            Callbacks that report progress.
        coverage
            How often the intervals are to hold the truth, between 0 and 1.

        Returns
        -------
        DataFrame
            A row per post: post_id, what the task predicts (see its ``inverse_transform``: valence,
            arousal, rates and counts for the task ``emotion_engagement``) with intervals
            (``likes_low``, ``likes_high``; of classes ``level_set``: see
            :meth:`evoked.evaluation.conformal.Intervals.table`), where it predicts
            emotion ``emotion_estimated``: whether that was learned from estimates,
            ``problem``: what could not be read, or that the run knows no post by the author, and
            ``assumed``: what was filled in for a draft. ``answer`` says it in a sentence;
            ``coverage_measured`` is how often such intervals held on ``coverage_n`` test posts of
            the run.
        """
        with self.checked():
            return self._predict(posts, callbacks, coverage)

    def predict_nothing(self) -> None:
        self._predict([Draft()], None, DEFAULT_COVERAGE)

    def _predict(
        self,
        posts: PostDataset | Sequence[Draft],
        callbacks: Callbacks | None,
        coverage: float,
    ) -> pd.DataFrame:
        if isinstance(posts, PostDataset):
            changes = self.changes_since(posts.posts)
            for note in filter(None, (changes, self.growth_since(posts.posts))):
                if callbacks is not None:
                    callbacks.note(note)
            if callbacks is not None and (lacking := lacking_facts(self.known_facts, posts.posts)):
                callbacks.note(lacking)
            completed = self.dataset_posts(posts)
            examples, problems = self.examples(completed, posts.cover_paths(), callbacks)
        else:
            examples, problems = self.examples(*self.draft_posts(posts), callbacks)
        if callbacks is not None and self._shows_unseen(examples):
            callbacks.note(unseen_note(self.model, self.unseen))
        return self.table(examples, problems, coverage)

    def predict_completed(
        self, posts: pd.DataFrame, images: Sequence[ImageSource], coverage: float = DEFAULT_COVERAGE
    ) -> pd.DataFrame:
        """What :meth:`predict` says of posts as :meth:`completed_posts` returns them.

        Parameters
        ----------
        posts
            n of those posts, some of them or all.
        images
            Cover picture of each: a path, bytes or None.
        coverage
            How often the intervals are to hold the truth, between 0 and 1.

        Returns
        -------
        DataFrame
            As of :meth:`predict`.
        """
        with self.checked():
            return self.table(*self.examples(posts, images), coverage)

    def answer(
        self,
        posts: PostDataset | Sequence[Draft],
        callbacks: Callbacks | None = None,
        coverage: float = DEFAULT_COVERAGE,
    ) -> list[str]:
        """What :meth:`predict` finds, a sentence for each post.

        Parameters
        ----------
        posts
            A dataset, or drafts.
        callbacks
            Callbacks that report progress.
        coverage
            How often the intervals are to hold the truth, between 0 and 1.

        Returns
        -------
        list of str
            A sentence for each post, in order.

        Examples
        --------
        >>> run.answer([evoked.Draft(caption="Hello")])  # doctest: +SKIP
        ['About 4,600 likes (3,800 to 6,800), better than 7 of your last 10 posts; ranges like
        this held for 78 of 100 test posts; typically off by 15%.']
        """
        table = self.predict(posts, callbacks, coverage)
        return [
            " ".join(part for part in parts if isinstance(part, str))
            for parts in zip(table["answer"], table[ASSUMED], strict=True)
        ]

    def _shows_unseen(self, examples: Examples) -> bool:
        """Whether a post has what the model reads and no training post had."""
        return not set(self.unseen) <= set(unseen_inputs(self.model, examples.features))

    def warnings_of(
        self,
        predictions: pd.DataFrame,
        truth: pd.DataFrame,
        baselines: dict[str, pd.DataFrame],
    ) -> tuple[str, ...]:
        found = super().warnings_of(predictions, truth, baselines)
        last_posts = self.baseline(RecentPosts)
        assert isinstance(last_posts, RecentPosts)
        blind = sees_nothing(self.model, self.unseen)
        if blind or self.model.name in baselines or not last_posts.recent:
            return found
        outcomes = [each for each in self.task.outcomes if each.name in last_posts.recent]
        recent = baselines[RecentPosts.name]
        note = beside_recent_posts(self.model.name, outcomes, predictions, recent, truth)
        return found if note is None else (*found, note)

    def evaluate(self, dataset: PostDataset, callbacks: Callbacks | None = None) -> Evaluation:
        """Score the run on posts that it has not learned from, beside the trivial baselines.

        Warnings say whether posts that the run was made from have changed since, and which facts
        they lack that the run has learned from.

        Parameters
        ----------
        dataset
            Posts with counts or ratings, of which those that were learned from are left out.
        callbacks
            Callbacks that report progress.

        Returns
        -------
        Evaluation
            Scores, predictions, intervals and warnings.

        Raises
        ------
        DataError
            The run has learned from all of the posts.
        """
        with self.checked():
            return self._evaluate(dataset, callbacks)

    def _evaluate(self, dataset: PostDataset, callbacks: Callbacks | None) -> Evaluation:
        part = self.part_of(dataset.posts)
        fresh = (part.isna() | (part == "test")).to_numpy()
        if not fresh.any():
            raise DataError(
                f"the run has learned from all {len(dataset)} posts.",
                file=dataset.folder,
                fix="Evaluate on other posts.",
            )
        # All posts together, so that each sees what its author's earlier posts achieved.
        posts = self.attach_history(dataset.posts, activity=dataset.table("activity"))
        everything, problems = self.examples(posts, dataset.cover_paths(), callbacks)
        examples = everything.select(np.flatnonzero(fresh))
        own = part[fresh].notna().all()
        split = self.description["split"]["reason"] if own else "posts new to the run"
        baselines = self.baseline_predictions(examples)
        found = self.score(examples, problems, baselines, split, int((~fresh).sum()))
        notes = (
            self.changes_since(dataset.posts),
            self.growth_since(dataset.posts),
            lacking_facts(self.known_facts, dataset.posts),
        )
        return replace(found, warnings=(*found.warnings, *filter(None, notes)))


def posts_in_parts(posts: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Which post is in which part, with what recognises it, its date and its caption's hash, and
    digests of its fields, which show whether it has changed."""
    return pd.DataFrame(
        {
            "post_id": posts["post_id"],
            "part": split.part_names(len(posts)),
            "posted_at": posts["posted_at"],
            "caption": _caption_hashes(posts),
        }
    ).join(field_digests(posts))


def _caption_hashes(posts: pd.DataFrame) -> NDArray[np.object_]:
    captions = posts["caption"].fillna("")
    return np.array(
        [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16] for text in captions],
        dtype=object,
    )
