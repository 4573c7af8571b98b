"""Taking new posts into a run: its level, its intervals and its test posts, or all of it.

New posts were never learned from, so they join the run's test posts: they are predicted as the run
stands, and held against what it promised. They become what drafts see of their author (the level),
calibrate the intervals of drafts, and count in the run's track record. The model stays as it is,
unless it is asked to learn anew from all posts.

The folder is written beside the old one and takes its place when it is whole, so that an
interrupted update leaves the run as it was.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.evaluation.conformal import DEFAULT_COVERAGE, NOMINAL_COVERAGES, Predicted
from evoked.evaluation.coverage import share_range
from evoked.evaluation.splits import Split
from evoked.features.cache import FeatureCache
from evoked.features.extract import Problem
from evoked.files import (
    atomic_folder,
    kept_still,
    link,
    only_writer,
    parse_json,
    plain,
    read_bounded,
    records,
    write_json,
    write_parquet,
    write_text,
)
from evoked.models import Examples, Model
from evoked.parquet import read_frame
from evoked.posts.author_hashes import AUTHOR_HASH, author_hashes
from evoked.posts.author_history import KINDS, are_published, published_history
from evoked.posts.author_profiles import AuthorProfiles
from evoked.posts.dataset import PostDataset
from evoked.runs.answer import LAST_POSTS, Quantity, columns_to_widen, quantities
from evoked.runs.base import (
    BASELINES_FOLDER,
    METRICS_FILE,
    PREDICTIONS_FILE,
    TRUTH_FILE,
    Callbacks,
    RunContents,
)
from evoked.runs.card import model_card
from evoked.runs.description import RUN_FILE
from evoked.runs.folder import CARRIED, INTERVALS_FILE, LEDGER_FILE, SPLIT_FILE
from evoked.runs.past import PAST_FILE, PastPosts, at_any_time
from evoked.runs.posts import HISTORY_FILE, PROFILES_FILE, Run, posts_in_parts
from evoked.runs.spoken import spoken, spoken_alike, spoken_share
from evoked.runs.track_record import TypicalError
from evoked.runs.training import train_posts
from evoked.training.settings import TrainingSettings

# A dataset that lacks more of a run's posts than this isn't what the run should learn anew from.
_MOST_MISSING = 0.1
# A level that moved by less is as it was.
_MOVED = 0.05


class RangeChange(NamedTuple):
    """How often the ranges of a number held for the new posts, and what became of them.

    Attributes
    ----------
    what, noun
        Column of the number, and what people call it.
    promised
        How often they were to hold.
    held, posts
        For how many they held, of how many new posts.
    low, high
        95 % range of the share.
    wider
        How many times as wide they are now, in the middle over the new posts, as logarithms where
        it is a count.
    """

    what: str
    noun: str
    promised: float
    held: int
    posts: int
    low: float
    high: float
    wider: float


class LevelChange(NamedTuple):
    """The median of an author's last ten counts before and after.

    before is NaN for an author who is new to the run.
    """

    author: str
    noun: str
    before: float
    after: float


@dataclass(frozen=True)
class Update:
    """What an update changed; made by :func:`update`.

    Attributes
    ----------
    posts, authors
        How many new posts, and of how many authors.
    first, last
        Dates of the new posts, ISO; None where none has one.
    retrained
        Whether the model learned anew.
    ranges
        By number.
    levels
        Of each author with new posts, the first kind of count that the run predicts.
    errors
        The run's typical error of its first number on its test posts: before, on the new posts, and
        now; None where unknown.
    notes
        What else a person should know.
    others
        How many new posts were left out because the run doesn't know their authors, and of how many
        authors they are.
    """

    posts: int
    authors: int
    first: str | None
    last: str | None
    retrained: bool
    ranges: list[RangeChange]
    levels: list[LevelChange]
    errors: tuple[TypicalError | None, TypicalError | None, TypicalError | None]
    notes: tuple[str, ...] = ()
    others: tuple[int, int] = (0, 0)

    @property
    def sentences(self) -> list[str]:
        """What changed, in words."""
        if not self.posts:
            return ["There are no new posts of known counts: nothing has changed.", *self.notes]
        posts = "1 new post" if self.posts == 1 else f"{self.posts:,} new posts"
        did = "It has learned anew, with" if self.retrained else "It has taken in"
        found = [f"{did} {posts}."]
        found += [_of_range(each) for each in self.ranges[:1]]
        found += _of_levels(self.levels)
        if self.retrained and self.errors[0] is not None and self.errors[2] is not None:
            found.append(
                f"It was typically off by {_off(self.errors[0])} (median over "
                f"{self.errors[0].posts} test posts), and is now by {_off(self.errors[2])} "
                f"({self.errors[2].posts} test posts, others)."
            )
        return [*found, *self.notes]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        errors = dict(zip(("before", "new posts", "now"), self.errors, strict=True))
        return {
            "posts": self.posts,
            "authors": self.authors,
            "left_out": dict(zip(("posts", "authors"), self.others, strict=True)),
            "first": self.first,
            "last": self.last,
            "retrained": self.retrained,
            "ranges": [plain(each._asdict()) for each in self.ranges],
            "levels": [plain(each._asdict()) for each in self.levels],
            "errors": {
                name: None if error is None else plain(error._asdict())
                for name, error in errors.items()
            },
            "sentences": self.sentences,
        }


def update(
    folder: Path | str,
    dataset: PostDataset,
    *,
    retrain: bool = False,
    all_authors: bool = False,
    model: type[Model] | None = None,
    cache: FeatureCache | None = None,
    allow_download: bool = False,
    callbacks: Callbacks | None = None,
) -> Update:
    """Take new posts into a run.

    Parameters
    ----------
    folder
        The run's.
    dataset
        Posts among which are new ones of known counts; those that the run was made from may be
        among them, and have to be where it learns anew.
    retrain
        Let the model learn anew from all posts, with the settings that it has.
    all_authors
        Take in posts of authors as well whom the run doesn't know and whose drafts its ledger
        doesn't keep; they are only counted otherwise. Posts without an author are always taken in.
    model, cache, allow_download
        As for :func:`evoked.load`.
    callbacks
        Callbacks that report progress.

    Raises
    ------
    DataError
        The folder holds no finished run of posts, or it is to learn anew from posts that lack more
        than a tenth of those that it was made from.
    """
    folder, callbacks = Path(folder).resolve(), callbacks or Callbacks()
    with only_writer(folder), ExitStack() as stack:
        run = Run.load(folder, cache, model=model, allow_download=allow_download)
        with run.checked():
            others = _Others() if all_authors else _Others.of(run, dataset.posts)
            if others.posts:
                dataset = dataset.select(others.kept)
            new = _NewPosts.of(run, dataset, callbacks)
            new = replace(new, notes=(*new.notes, *others.notes))
        if not len(new.posts):
            nothing = Update(0, 0, None, None, False, [], [], (None,) * 3, new.notes)
            return replace(nothing, others=(others.posts, others.authors))
        if retrain:
            _check_whole(run, dataset)
        with atomic_folder(folder) as beside:
            if retrain:
                changed = _retrained(run, dataset, new, beside, callbacks)
            else:
                changed = _refitted(run, dataset, new, beside)
            found = _update_of(run, changed, new, retrain)
            # Until the new folder is in place, nobody adds to the ledger of the old one.
            stack.enter_context(kept_still(folder))
            _carry_over(folder, beside, CARRIED if retrain else None)
    return replace(found, others=(others.posts, others.authors))


@dataclass(frozen=True)
class _Others:
    """New posts of known counts by authors whom a run doesn't know, and how many these are.

    kept are the positions of all other posts.
    """

    posts: int = 0
    authors: int = 0
    kept: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def of(cls, run: Run, posts: pd.DataFrame) -> _Others:
        authors = author_hashes(posts)
        known = run.authors.hashes | {""} | _kept_authors(run.folder)
        strange = ~np.isin(authors.astype(str), list(known))
        strange &= run.part_of(posts).isna().to_numpy()
        counted = strange & are_published(posts)
        number = len(set(authors[counted]))
        return cls(int(counted.sum()), number, np.flatnonzero(~strange))

    @property
    def notes(self) -> list[str]:
        if not self.posts:
            return []
        posts = "1 post" if self.posts == 1 else f"{self.posts:,} posts"
        whom = "an author whom" if self.authors == 1 else f"{self.authors:,} authors, none of whom"
        knows = "the run doesn't know" if self.authors == 1 else "the run knows"
        return [f"{posts} of {whom} {knows}: left out. To take in such as well: --all-authors."]


@dataclass(frozen=True)
class _NewPosts:
    """Posts of known counts that a run has not seen, as it predicts them.

    promised is what it says of them as it stands, by nominal coverage.
    """

    posts: pd.DataFrame
    covers: list[Path | None]
    examples: Examples
    problems: list[Problem]
    predicted: Predicted
    promised: dict[float, pd.DataFrame]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, run: Run, dataset: PostDataset, callbacks: Callbacks) -> _NewPosts:
        part = run.part_of(dataset.posts)
        taken = dataset.posts["post_id"].isin(run.parts["post_id"]) & part.isna()
        notes = [note for note in (run.changes_since(dataset.posts),) if note]
        if number := int(taken.sum()):
            notes.append(
                f"{number} posts were left out: they have the ids of other posts that the run was "
                "made from."
            )
        new = are_published(dataset.posts) & (part.isna() & ~taken).to_numpy()
        rows = np.flatnonzero(new)
        completed = run.dataset_posts(dataset).iloc[rows].reset_index(drop=True)
        all_covers = dataset.cover_paths()
        covers = [all_covers[row] for row in rows]
        examples, problems = run.examples(completed, covers, callbacks)
        predicted = Predicted(completed, run.model.predict(examples))
        promised = {
            coverage: run.intervals.table(
                run.task, predicted, coverage, widened=_widened(run, coverage)
            )
            for coverage in NOMINAL_COVERAGES
        }
        return cls(completed, covers, examples, problems, predicted, promised, tuple(notes))


def _kept_authors(folder: Path) -> set[str]:
    """The hashes of the authors of drafts in a run's ledger."""
    path = folder / LEDGER_FILE
    found = set()
    for line in read_bounded(path).split(b"\n") if path.is_file() else ():
        try:
            author = parse_json(line, path)["author"]
        except (DataError, KeyError, TypeError):  # a damaged line
            continue
        found |= {author} if isinstance(author, str) else set()
    return found


def _widened(run: Run, coverage: float) -> set[str]:
    return columns_to_widen(run.task, run.track_record, coverage)


def _refitted(run: Run, dataset: PostDataset, new: _NewPosts, out: Path) -> Run:
    """The run with new posts among its test posts, as far as that changes its folder."""
    tables = _tests_with(run, new)
    parts = pd.concat([run.parts, _parts(run, new.posts)], ignore_index=True)
    history = published_history(dataset.posts, run.history)
    profiles = run.profiles.updated_by(AuthorProfiles.of(new.posts))
    intervals = run.intervals.with_tested(run.task, new.predicted)
    known = {*run.authors.hashes, *history.author.tolist()}
    data, split = run.description["data"], run.description["split"]
    description = {
        **run.description,
        "data": {**data, "authors": data["authors"] + len(known - run.authors.hashes)},
        "split": {**split, "test": split["test"] + len(new.posts)},
        "updates": [*run.description.get("updates", []), _entry(new, retrained=False)],
    }
    metrics = _metrics(run, new, tables)
    for name, table in tables.items():
        write_parquet(out / name, table)
    write_parquet(out / SPLIT_FILE, parts)
    # Releases before 0.2 kept no past posts.
    if (run.folder / PAST_FILE).is_file():
        timeless = at_any_time(new.examples, run.pipeline)
        whenever = Predicted(new.posts, run.model.predict(timeless))
        past = PastPosts.load(run.folder).with_tests(run.task, new.examples, whenever)
        past.save(out)
    history.save(out / HISTORY_FILE)
    profiles.save(out / PROFILES_FILE)
    write_json(out / INTERVALS_FILE, intervals.to_dict())
    write_json(out / METRICS_FILE, metrics)
    write_text(out / "README.md", model_card(description, plain(metrics)))
    write_json(out / RUN_FILE, description)
    changed = RunContents(out, run.model, run.pipeline, run.task, description, parts, intervals)
    return Run(changed, history, profiles, run.cache)


def _tests_with(run: Run, new: _NewPosts) -> dict[str, pd.DataFrame]:
    """What a run's folder holds of its test posts, by file, with the new ones at the end."""
    added = {
        PREDICTIONS_FILE: run.described(new.promised[DEFAULT_COVERAGE], new.posts, new.problems),
        TRUTH_FILE: run.task.truth(new.posts).assign(**run.facts(new.posts)),
        **{
            f"{BASELINES_FOLDER}/{name}/{PREDICTIONS_FILE}": table
            for name, table in run.baseline_predictions(new.examples).items()
        },
    }
    files = {name: run.folder / name for name in added}
    return {
        name: pd.concat([read_frame(files[name]), table], ignore_index=True)
        if files[name].is_file()
        else table
        for name, table in added.items()
    }


def _parts(run: Run, posts: pd.DataFrame) -> pd.DataFrame:
    """New posts as a run keeps them: as test posts."""
    nothing = np.empty(0, dtype=np.int64)
    split = Split(nothing, nothing, np.arange(len(posts)), "time", "New posts.")
    # A fact that none of the run's posts had, or none of the new ones, is compared with nothing.
    return posts_in_parts(posts, split).reindex(columns=run.parts.columns, fill_value=0)


def _metrics(run: Run, new: _NewPosts, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """The scores of all test posts, and how often intervals held: of the new posts, those that the
    run promised before."""
    before, predictions, truth = run.metrics, tables[PREDICTIONS_FILE], tables[TRUTH_FILE]
    baselines = {
        Path(name).parent.name: table
        for name, table in tables.items()
        if name.startswith(BASELINES_FOLDER)
    }
    categories = truth["category"].fillna("none") if truth["category"].notna().any() else None
    by_author = run.description["split"]["kind"] == "author"
    groups = truth["author"].where(truth["author"] != "", truth["post_id"]) if by_author else None
    scores = run.scored(predictions, truth, baselines, categories, groups)
    measured = [
        run.intervals.coverage(
            run.task,
            new.predicted,
            nominal=[coverage],
            in_turn=False,
            widened=_widened(run, coverage),
        )
        for coverage in NOMINAL_COVERAGES
    ]
    return plain(
        {
            **before,
            "posts": len(predictions),
            "scores": records(scores.astype(object).where(scores.notna(), None)),
            "intervals": _pooled(before["intervals"], pd.concat(measured)),
            "warnings": list(run.warnings_of(predictions, truth, baselines)),
        }
    )


def _pooled(before: list[dict[str, Any]], measured: pd.DataFrame) -> list[dict[str, Any]]:
    """How often intervals held for two groups of posts together.

    Where posts of an author resemble each other, as a bootstrap of authors has shown, each counts
    for less than one in the range of the share.
    """
    together = {(row["outcome"], row["nominal"]): row for row in before}
    for row in records(measured):
        key = row["outcome"], row["nominal"]
        together[key] = _both(together[key], row) if key in together else row
    return list(together.values())


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    number = one["n"] + other["n"]
    held = round(one["coverage"] * one["n"]) + round(other["coverage"] * other["n"])
    weight = _weight(one)
    low, high = share_range(weight * held, weight * number)
    widths = [each["width"] for each in (one, other)]
    known = None not in widths
    width = sum(w * each["n"] for w, each in zip(widths, (one, other), strict=True)) if known else 0
    return {
        **one,
        "coverage": held / number,
        "low": low,
        "high": high,
        "width": width / number if known else None,
        "n": number,
    }


def _weight(row: dict[str, Any]) -> float:
    """For how much of a post each counts in the range of a share, at most 1."""
    low, high = share_range(round(row["coverage"] * row["n"]), row["n"])
    width = row["high"] - row["low"]
    return min(1.0, ((high - low) / width) ** 2) if width > 0 else 1.0


def _entry(new: _NewPosts, *, retrained: bool) -> dict[str, Any]:
    """What run.json says of an update."""
    first, last = _dates(new.posts)
    return {
        "at": datetime.now(UTC).isoformat(),
        "posts": len(new.posts),
        "first": first,
        "last": last,
        "retrained": retrained,
    }


def _check_whole(run: Run, dataset: PostDataset) -> None:
    """Raise DataError unless a dataset has nearly all posts that a run was made from."""
    there = int(run.part_of(dataset.posts).notna().sum())
    if there < (1 - _MOST_MISSING) * len(run.parts):
        raise DataError(
            f"{there} of the {len(run.parts)} posts that the run was made from: too few to learn "
            "anew from.",
            file=dataset.folder,
            fix="Import the old posts and the new ones together, or leave --retrain out.",
        )


def _retrained(
    run: Run, dataset: PostDataset, new: _NewPosts, out: Path, callbacks: Callbacks
) -> Run:
    """A run of the same settings on all posts."""
    description = run.description
    again = train_posts(
        dataset,
        type(run.model),
        out,
        task=run.task.name,
        model_settings=description["model"]["settings"],
        features=run.pipeline.settings,
        training=TrainingSettings.model_validate(description["training"]),
        split=description["split"]["kind"],
        estimate=description.get("estimate", True),
        cache=run.cache,
        callbacks=callbacks,
    )
    updates = [*description.get("updates", []), _entry(new, retrained=True)]
    again.description["updates"] = updates
    write_text(out / "README.md", model_card(again.description, again.metrics))
    write_json(out / RUN_FILE, again.description)
    return again


def _carry_over(folder: Path, out: Path, names: Collection[str] | None) -> None:
    """Give a new folder the files of the old one that it lacks, all or those of some names."""
    for place, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for file in files:
            source = Path(place, file)
            name = source.relative_to(folder)
            if file.startswith(".") or (names is not None and str(name) not in names):
                continue
            if not (out / name).exists():
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                link(source, out / name)


def _update_of(before: Run, after: Run, new: _NewPosts, retrained: bool) -> Update:
    numbers = quantities(before.task)
    first, last = _dates(new.posts)
    truth = before.task.truth(new.posts)
    number = next((each for each in numbers if _is_known(new, truth, each)), None)
    on_new = None
    if number is not None:
        said = new.promised[DEFAULT_COVERAGE]
        on_new = TypicalError.of(said[number.column], truth[number.column])
    errors = [
        None if number is None else run.track_record.error(number.column) for run in (before, after)
    ]
    return Update(
        posts=len(new.posts),
        authors=len(set(author_hashes(new.posts)) - {""}),
        first=first,
        last=last,
        retrained=retrained,
        ranges=_range_changes(before, after, new, truth),
        levels=_level_changes(before, after, new),
        errors=(errors[0], on_new, errors[1]),
        notes=new.notes,
    )


def _is_known(new: _NewPosts, truth: pd.DataFrame, quantity: Quantity) -> bool:
    said = new.promised[DEFAULT_COVERAGE]
    column = quantity.column
    return column in said and column in truth and bool((said[column] + truth[column]).notna().any())


def _range_changes(
    before: Run, after: Run, new: _NewPosts, truth: pd.DataFrame
) -> list[RangeChange]:
    said = new.promised[DEFAULT_COVERAGE]
    predicted = new.predicted
    if after.model is not before.model:  # which has learned anew
        examples = after.examples(new.posts, new.covers)[0]
        predicted = Predicted(new.posts, after.model.predict(examples))
    now = after.intervals.table(
        after.task, predicted, DEFAULT_COVERAGE, widened=_widened(after, DEFAULT_COVERAGE)
    )
    found = []
    endless = before.intervals.unbounded(before.task, DEFAULT_COVERAGE)
    for quantity in quantities(before.task):
        name = quantity.column
        ends = [f"{name}_low", f"{name}_high"]
        bounded = name not in endless and ends[0] in said and ends[0] in now
        if not bounded or not _is_known(new, truth, quantity):
            continue
        low, high = (said[end].to_numpy(np.float64) for end in ends)
        true = truth[name].to_numpy(np.float64)
        known = np.isfinite(low) & np.isfinite(high) & np.isfinite(true)
        if not known.any():
            continue
        inside = ((low <= true) & (true <= high))[known]
        held, number = int(inside.sum()), len(inside)
        then, today = (_widths(table[ends], quantity)[known] for table in (said, now))
        wider = float(np.median(today[then > 0] / then[then > 0])) if (then > 0).any() else 1.0
        share = share_range(held, number)
        found.append(
            RangeChange(name, quantity.noun, DEFAULT_COVERAGE, held, number, *share, wider)
        )
    return found


def _widths(ends: pd.DataFrame, quantity: Quantity) -> NDArray[np.float64]:
    """Widths of n ranges, (n,); of counts as logarithms, so that they don't grow with the count."""
    values = ends.to_numpy(np.float64)
    if quantity.counts and not quantity.basis:
        values = np.log1p(values)
    return np.asarray(values[:, 1] - values[:, 0])


def _level_changes(before: Run, after: Run, new: _NewPosts) -> list[LevelChange]:
    kinds = [each.noun for each in quantities(before.task) if each.column in KINDS]
    kinds += [each.count for each in before.task.outcomes if each.count in KINDS]
    if not kinds:
        return []
    authors = sorted(set(author_hashes(new.posts)) - {""})
    # After the newest post, which a replay may date in the future.
    later = pd.to_datetime(new.posts["posted_at"], utc=True).max() + pd.Timedelta(1, "s")
    moment = max(pd.Timestamp.now(tz="UTC"), later) if pd.notna(later) else later
    now = pd.DataFrame({AUTHOR_HASH: authors, "posted_at": moment})
    levels = [
        _median_of(run.history.last_counts(now, kinds[0], LAST_POSTS)) for run in (before, after)
    ]
    return [
        LevelChange(author, kinds[0], float(then), float(today))
        for author, then, today in zip(authors, *levels, strict=True)
        if np.isfinite(today)
    ]


def _median_of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each row's known counts, NaN of none."""
    return pd.DataFrame(counts).median(axis=1).to_numpy(np.float64)


def _dates(posts: pd.DataFrame) -> tuple[str | None, str | None]:
    known = posts["posted_at"].dropna()
    return (known.min().isoformat(), known.max().isoformat()) if len(known) else (None, None)


def _off(error: TypicalError) -> str:
    return spoken(error.size, whole=False) if error.share is None else spoken_share(error.share)


def _of_range(change: RangeChange) -> str:
    text = (
        f"Ranges of {change.noun} that were to hold for {change.promised:.0%} held for "
        f"{change.held} of {change.posts} new posts"
    )
    if abs(change.wider - 1) < _MOVED:
        return f"{text}; they are about as wide as before."
    if change.wider > 1:
        return f"{text}; they are now {change.wider:.2g} times as wide."
    return f"{text}; they are now narrower, {change.wider:.2g} times as wide as before."


def _of_levels(levels: list[LevelChange]) -> list[str]:
    """What became of the levels, in a sentence; none where none is known."""
    known = [each for each in levels if np.isfinite(each.before)]
    if not levels:
        return []
    if len(levels) == 1:
        (only,) = levels
        if not known:
            return [
                f"The level of a new author, the median of the last {LAST_POSTS} posts, is "
                f"{spoken(only.after)} {only.noun}."
            ]
        then, today = spoken_alike([only.before, only.after])
        return [
            f"Your level, the median of your last {LAST_POSTS} posts, is now {today} "
            f"{only.noun}, was {then}."
        ]
    moved = [np.log1p(each.after) - np.log1p(each.before) for each in known]
    up, down = (sum(sign * each > _MOVED for each in moved) for sign in (1, -1))
    new = len(levels) - len(known)
    others = "1 is new" if new == 1 else f"{new} are new"
    return [
        f"Of {len(levels)} authors with new posts, the level (the median of the last {LAST_POSTS} "
        f"posts' {levels[0].noun}) rose by more than {_MOVED:.0%} for {up} and fell for {down}"
        + (f"; {others} to the run." if new else ".")
    ]
