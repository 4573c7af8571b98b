"""The few changes of a draft that are worth making, as the account's own posts show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.advice.actions import PICTURE, Action, actions_on, pictures_for
from evoked.advice.effects import UNKNOWN, Effects, aspects_of
from evoked.advice.hours import known_week
from evoked.advice.ranking import scaled
from evoked.advice.support import Support
from evoked.advice.tested import KeptTest, Measured, kept_tests
from evoked.advice.times import MovedTime, appeared, moved_times
from evoked.errors import SettingsError
from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.features.form import form_of
from evoked.files import plain, records
from evoked.posts.author_hashes import AUTHOR_HASH
from evoked.posts.drafts import Draft
from evoked.runs.answer import Quantity, not_predicted, quantities
from evoked.runs.base import Callbacks
from evoked.runs.drafts import ASSUMED
from evoked.runs.past import PastPosts
from evoked.runs.posts import Run
from evoked.runs.spoken import spoken_alike, spoken_share

Floats = NDArray[np.float64]
Label = Literal["association", "adjusted", "tested"]

MOST_ADVISED = 5
LABELS: dict[Label, str] = {
    "tested": "the lot decided which of your posts did so, so what they got more is its doing.",
    "adjusted": "held against posts of the same time, and with all else that is known of them held "
    "equal; what is not known may differ, too.",
    "association": "posts that did so got more, but not only that may have differed between them.",
}
# Own posts from which they are enough by themselves, and below which nothing can be said.
_ENOUGH_POSTS = 50
_FEWEST_POSTS = 30
# Authors whose posts stand in for those that an author lacks, and posts that each of them has.
_FEWEST_AUTHORS = 10
_FEWEST_OF_AUTHOR = 5
# Past posts whose picture is most like one.
_ALIKE = 10
_TIMES = ("hour", "day")
# Standard errors by which a time has to be better beside content.
_SURE = 2.0


@dataclass(frozen=True)
class Advised:
    """One change that is worth making.

    Attributes
    ----------
    action
        What to change.
    effect, low, high
        What it is worth, in logarithms, with its 95 % range.
    gain, gain_low, gain_high
        The same in what is counted, from what is predicted for the draft; NaN where nothing is.
    did, did_not
        Numbers of past posts that did so, and that did as the draft does.
    usual_did, usual_did_not
        What these got in the median, as a multiple of the level of their time; NaN of a test, which
        compares within weeks.
    label
        ``tested``: by a plan that was checked (:mod:`evoked.advice.tested`); ``adjusted``: on the
        account's own posts, with all else that is known held equal; ``association``: by what other
        pictures were like, or on other accounts' posts.
    model
        What the run's model expects of the same change, in logarithms; NaN where it can't say.
    """

    action: Action
    effect: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    did: int
    did_not: int
    usual_did: float
    usual_did_not: float
    label: Label
    model: float

    def worth(self, noun: str) -> str:
        """How much more, in words; in per cent where nothing is predicted for the draft."""
        share, least, most = (float(np.expm1(each)) for each in (self.effect, self.low, self.high))
        if np.isfinite(self.gain):
            gain, low, high = spoken_alike([self.gain, self.gain_low, self.gain_high])
            return f"about {gain} more {noun} ({low} to {high}), {spoken_share(share)}"
        return (
            f"about {spoken_share(share)} more {noun} ({spoken_share(least)} to "
            f"{spoken_share(most)})"
        )

    def evidence(self, own: bool) -> str:
        """What past posts show before anything else about them is held equal, in words."""
        if self.label == "tested":
            return f"In your own test, {self.did:,} posts did so and {self.did_not:,} didn't."
        whose, usual = ("your posts", "your usual level") if own else ("posts", "the usual level")
        if self.action.about == PICTURE:
            return (
                f"The {self.did} of {whose} whose picture is most like it: median "
                f"{self.usual_did:.2f} times {usual}; the {self.did_not} most like the draft's: "
                f"{self.usual_did_not:.2f}."
            )
        other = "others" if self.action.before == UNKNOWN else "did as the draft does"
        if self.action.about == "hour":
            return (
                f"{self.did:,} of {whose} appeared within an hour or so of then: median "
                f"{self.usual_did:.2f} times {usual}; {self.did_not:,} {other}: "
                f"{self.usual_did_not:.2f}."
            )
        return (
            f"{self.did:,} of {whose} did so: median {self.usual_did:.2f} times {usual}; "
            f"{self.did_not:,} {other}: {self.usual_did_not:.2f}."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        own = {name: value for name, value in vars(self).items() if name != "action"}
        action = self.action
        return {
            "about": action.about,
            "do": action.text,
            "before": action.before,
            "after": action.after,
            "mechanical": action.mechanical,
            **{name: plain(value) for name, value in own.items()},
        }


@dataclass(frozen=True)
class Advice:
    """What to change about a draft; made by :func:`advise`.

    Attributes
    ----------
    by
        What is to become more.
    draft
        The draft.
    answer
        What is predicted of it, in a sentence; None where nothing is.
    advised
        At most five changes, the most certain first.
    rewritten
        The draft with those of the changes that need no person; None if there are none.
    looked_at
        A row per change that was looked at: about, do, what
        :meth:`evoked.advice.effects.Effects.judged` says of it, or what the week or a test says,
        model, resembles (whether the changed draft resembles past posts), label.
    table
        What is predicted of the draft, a row as :meth:`evoked.runs.posts.Run.predict` has it.
    actions
        The changes that were looked at, as ``looked_at`` has them.
    past
        The posts on which they were judged.
    posts, authors
        How many these are, and of how many authors; 0 where there are too few.
    known_posts
        How many posts of the run have a known count.
    own
        Whether these are the draft's author's own.
    own_posts
        How many posts of the author there are.
    resembles
        Whether the draft resembles any of these posts.
    notes
        What else a person should know, in sentences.
    """

    by: Quantity
    draft: Draft
    answer: str | None
    own_posts: int
    notes: tuple[str, ...]
    advised: tuple[Advised, ...] = ()
    rewritten: Draft | None = None
    looked_at: pd.DataFrame = field(default_factory=pd.DataFrame)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    actions: tuple[Action, ...] = ()
    past: pd.DataFrame = field(default_factory=pd.DataFrame)
    posts: int = 0
    authors: int = 0
    known_posts: int = 0
    own: bool = True
    resembles: bool = True

    @property
    def changes(self) -> dict[str, Any]:
        """What differs in the rewritten draft, by the names of a draft's fields: caption, hashtags
        (a tuple of names), posted_at, image; empty where nothing is rewritten."""
        if self.rewritten is None:
            return {}
        before, after = (
            {
                "caption": each.caption or "",
                "hashtags": None if each.hashtags is None else tuple(each.hashtags),
                "posted_at": each.posted_at,
                "image": each.image,
            }
            for each in (self.draft, self.rewritten)
        )
        return {
            name: value
            for name, value in after.items()
            if value is not None and value != before[name]
        }

    @property
    def sentences(self) -> list[str]:
        """What the advice rests on, in words."""
        noun = self.by.noun
        if not self.posts:
            return [
                f"No advice: there are {self.own_posts} posts by the author with known {noun}, and "
                f"it takes {_FEWEST_POSTS} that differ to show what makes a difference."
            ]
        if not self.resembles:
            return [
                "No advice: nothing of yours resembles this draft. It is farther from every past "
                "post than 95 of 100 posts were that the run had not seen."
            ]
        whose = "your own posts" if self.own else f"posts of {self.authors} accounts"
        said = []
        if not self.advised:
            said.append(f"Nothing that you could change on this draft holds up on {whose}.")
        said.append(self._looked_at(whose))
        if not self.own and self.advised:
            said.append(
                f"Yours are too few ({self.own_posts}), so this is what other accounts saw; yours "
                "may be another case."
            )
        return said

    def _looked_at(self, whose: str) -> str:
        number = len(self.looked_at)
        if not number:
            return (
                "No change could be looked at: this draft says nothing that could be changed and "
                f"in which {whose} differ enough."
            )
        # What the week or a test says was not judged among the others.
        together = ~(self.looked_at["about"].isin(_TIMES) | (self.looked_at["label"] == "tested"))
        single = together & (self.looked_at["about"] != PICTURE)
        rows = next((self.looked_at[each] for each in (single, together) if each.any()), None)
        if rows is None:
            return "Only its time, or what you have tested, could be looked at."
        reach = (rows["raw_high"] - rows["raw"]).median()
        noun = "change was" if number == 1 else "changes were"
        return (
            f"{number} {noun} looked at on {self._posts()}. With so many, a change has to be worth "
            f"about {spoken_share(float(np.expm1(reach)))} to stand out from chance."
        )

    def _posts(self) -> str:
        """On how many posts of those that are known, and why not on all."""
        if self.posts == self.known_posts:
            return f"{self.posts:,} posts with known {self.by.noun}"
        why = "the author's, which are enough by themselves"
        if not self.own:
            why = f"those of the authors who have {_FEWEST_OF_AUTHOR} or more"
        return f"{self.posts:,} of {self.known_posts:,} posts with known {self.by.noun}, {why}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "by": self.by.column,
            "answer": self.answer,
            "advice": [each.to_dict() for each in self.advised],
            "rewritten": None if self.rewritten is None else _draft_as_json(self.rewritten),
            "looked_at": plain(records(self.looked_at)),
            "measured": {
                "posts": self.posts,
                "authors": self.authors,
                "known_posts": self.known_posts,
                "own": self.own,
                "own_posts": self.own_posts,
            },
            "resembles": self.resembles,
            "sentences": self.sentences,
            "notes": list(self.notes),
        }


def advise(
    run: Run,
    draft: Draft,
    by: str | None = None,
    alternatives: Sequence[Path] = (),
    callbacks: Callbacks | None = None,
) -> Advice:
    """Say what to change about a draft.

    Each change is looked at on the author's past posts with all others, and advised if it stands
    among them: see :mod:`evoked.advice.effects`. Two kinds are not. An hour or a weekday is advised
    if :func:`evoked.when` names it and posts alike in content got more then, for what ``when`` says
    it is worth. A change that a plan has tested counts for what the test has shown. Where an author
    has fewer than fifty posts, those of the run's other authors stand in for them, and the advice
    says so.

    Parameters
    ----------
    run
        A run of posts.
    draft
        The draft.
    by
        The count that is to become more, such as ``comments``; the first that the run predicts by
        default.
    alternatives
        Other pictures that the draft could have: see
        :func:`evoked.advice.actions.alternatives_in`.
    callbacks
        Callbacks that report progress.

    Returns
    -------
    Advice
        At most five changes, and what was looked at.

    Raises
    ------
    SettingsError
        The run predicts no such count.
    DataError
        The run keeps no past posts, what it keeps is damaged, or as of
        :func:`evoked.posts.drafts.as_posts`.
    """
    quantity = _count(run, by)
    past = PastPosts.load(run.folder)
    posts = run.draft_posts([draft])[0]
    form, author = form_of(posts), str(posts[AUTHOR_HASH].iloc[0])
    known = past.table[np.isfinite(past.table[quantity.column])].reset_index(drop=True)
    own_posts = known[known["author"] == author]
    compared, own = _compared(known, author)
    effects = Effects.fit(compared, scaled(compared[quantity.column], quantity), own)
    tests = [
        each
        for each in kept_tests(run.folder)
        if each.by == quantity.column and each.author in (author, "")
    ]
    actions: list[Action] = []
    times: list[MovedTime] = []
    if effects is not None:
        pool = own_posts if len(own_posts) else compared
        actions = actions_on(draft, form.iloc[0], effects.design, pool)
        # What pictures are worth differs more between accounts than their hours do.
        actions += pictures_for(draft, effects.design, alternatives) if own else []
        week = known_week(past.table, quantity.column, author)
        time_zone = run.description["data"].get("time_zone")
        moved = moved_times(draft, form.iloc[0], week, time_zone)
        # What a test has shown of a time outweighs what past posts show of it.
        times = [
            each
            for each in moved
            if _tested(tests, [each.action], effects) or _stands_beside_content(effects, each)
        ]
        actions += [each.action for each in times]
    edits = [action.edit for action in actions if action.edit is not None]
    with run.checked():
        variants = run.draft_posts([draft, *(edit(draft) for edit in edits)])
        examples, problems = run.examples(*variants, callbacks)
        table = run.table(examples, problems, DEFAULT_COVERAGE, quantity)
    advice = Advice(
        by=quantity,
        draft=draft,
        answer=_text(table["answer"].iloc[0]),
        table=table.head(1),
        own_posts=len(own_posts),
        known_posts=len(known),
        notes=(*_notes(table, actions), *_uncompared(alternatives, actions, own, len(own_posts))),
    )
    if effects is None:
        return advice
    # Of changes that can't be scored, what is shown and said is the draft's own.
    numbers = iter(range(1, len(table)))
    row_of = np.array([0 if action.edit is None else next(numbers) for action in actions], int)
    coordinates = past.coordinates(examples).iloc[np.append(0, row_of)].reset_index(drop=True)
    support = Support.of(compared, coordinates.columns).holds(coordinates.to_numpy(np.float64))
    # A picture that can't be read shows nothing that others could resemble.
    blank = coordinates[_of_pictures(coordinates)].isna().any(axis=1).to_numpy()
    support &= ~(blank & np.array([False, *(action.about == PICTURE for action in actions)]))
    expected = scaled(table[quantity.column], quantity)
    tested = _tested(tests, actions, effects)
    elsewhere = {len(actions) - len(times) + at: each[1:] for at, each in enumerate(times)}
    elsewhere |= {at: each[:3] for at, each in tested.items()}
    differences = _differences(effects, form, coordinates, actions)
    # What is known from elsewhere is not judged among the others.
    differences.iloc[list(elsewhere)] = 0.0
    looked_at = effects.judged(differences).assign(
        about=[action.about for action in actions],
        do=[action.text for action in actions],
        model=np.where(row_of > 0, expected[row_of] - expected[0], np.nan),
        resembles=support[1:],
        label=[_label(action, own, at in tested) for at, action in enumerate(actions)],
    )
    for at, (effect, low, high) in elsewhere.items():
        looked_at.loc[at, ["raw", "raw_low", "raw_high"]] = effect, low, high
        looked_at.loc[at, ["effect", "low", "high"]] = effect, low, high
    count = float(table[quantity.column].iloc[0])
    advised = [
        _advised(
            actions[at],
            looked_at.iloc[at],
            count,
            *_evidence(effects, actions, at, coordinates),
            tested.get(at),
        )
        for at in (_chosen(looked_at) if support[0] else [])
    ]
    is_known = looked_at["known"].astype(bool)  # a table without rows has columns without a kind
    return replace(
        advice,
        advised=tuple(advised),
        rewritten=_rewritten(draft, [each.action for each in advised]),
        looked_at=looked_at[is_known].drop(columns="known").reset_index(drop=True),
        actions=tuple(actions[at] for at in np.flatnonzero(is_known)),
        past=compared,
        posts=len(compared),
        authors=compared["author"].nunique(),
        own=own,
        resembles=bool(support[0]),
    )


def _count(run: Run, by: str | None) -> Quantity:
    """The count that is to become more."""
    known = {each.column: each for each in quantities(run.task) if each.counts and not each.basis}
    if not known:
        raise SettingsError(f"this run ({run.task.name}) predicts no count that could become more.")
    if by is not None and by not in known:
        raise not_predicted("count", by, known)
    return next(iter(known.values())) if by is None else known[by]


def _compared(known: pd.DataFrame, author: str) -> tuple[pd.DataFrame, bool]:
    """The past posts that changes are judged on, and whether they are the author's own."""
    own = known[known["author"] == author]
    if len(own) >= _ENOUGH_POSTS:
        return own.reset_index(drop=True), True
    number = known["author"].map(known["author"].value_counts())
    others = known[(number >= _FEWEST_OF_AUTHOR) & (known["author"] != "")]
    if others["author"].nunique() >= _FEWEST_AUTHORS:
        return others.reset_index(drop=True), False
    chosen = own if len(own) >= _FEWEST_POSTS else own.iloc[:0]
    return chosen.reset_index(drop=True), True


def _stands_beside_content(effects: Effects, moved: MovedTime) -> bool:
    """Whether posts of the better time did better than those of the draft's with which they are
    alike in form, hashtags, picture and caption. The week allows for content only as far as the
    run's model knows it, and topics go with hours."""
    did, before = appeared(effects.past, moved.action)
    worth, error = effects.contrast(did, before)
    return bool(worth > _SURE * error)


def _differences(
    effects: Effects,
    form: pd.DataFrame,
    coordinates: pd.DataFrame,
    actions: Sequence[Action],
) -> pd.DataFrame:
    """By how much each of m changes alters each column of the design, (m, columns)."""
    described = pd.concat([form] * (1 + len(actions)), ignore_index=True)
    shown = coordinates.iloc[[0] * len(described)].reset_index(drop=True)
    for at, action in enumerate(actions, start=1):
        for name, value in action.form.items():
            described.at[at, name] = value
        if action.about == PICTURE:
            of_image = _of_pictures(shown)
            shown.loc[at, of_image] = coordinates.loc[at, of_image]
    columns = effects.design.columns(pd.concat([described, shown], axis=1))
    changed, before = columns.iloc[1:].reset_index(drop=True), columns.iloc[[0]]
    return changed - before.to_numpy()


def _tested(
    tests: Sequence[KeptTest], actions: Sequence[Action], effects: Effects
) -> dict[int, Measured]:
    """What plans have shown of m changes, by position; the last one counts."""
    numbers = effects.design.values["number"]
    usual = next((each for each in numbers if each != "none"), UNKNOWN)
    found = {}
    for test in tests:
        for at, action in enumerate(actions):
            measured = test.of(action, usual)
            if measured is not None:
                found[at] = measured
    return found


def _label(action: Action, own: bool, tested: bool) -> Label:
    if tested:
        return "tested"
    return "adjusted" if own and action.about != PICTURE else "association"


def _of_pictures(coordinates: pd.DataFrame) -> list[str]:
    """Names of the coordinates of pictures."""
    return [str(name) for name in coordinates if str(name).startswith("image_")]


def _chosen(looked_at: pd.DataFrame) -> list[int]:
    """Rows of the changes that are advised, those worth most first; one of each kind."""
    sure = (looked_at["raw_low"] > 0) & (looked_at["low"] > 0)
    # Past pictures show how pictures differ from each other, not from parts of themselves: there,
    # what the model sees has to say the same.
    sure &= (looked_at["about"] != PICTURE) | (looked_at["model"] > 0)
    usable = looked_at[sure & looked_at["known"] & looked_at["resembles"]]
    found: list[int] = []
    taken: set[str] = set()
    for row in usable.sort_values("effect", ascending=False, kind="stable").index:
        about = str(usable.at[row, "about"])
        # More hashtags means certain ones: beside them, single ones would count twice.
        kind = "#" if about.startswith("#") else about
        barred = {about, {"#": "number", "number": "#"}.get(kind, about)}
        if not barred & taken and len(found) < MOST_ADVISED:
            found.append(int(row))
            taken |= {about, kind}
    return found


def _evidence(
    effects: Effects, actions: Sequence[Action], at: int, coordinates: pd.DataFrame
) -> tuple[Floats, Floats]:
    """What past posts that did so got against their level, in logarithms, and what those got that
    did as the draft does; of pictures, the posts whose picture is most alike."""
    action, past = actions[at], effects.past
    if action.about == PICTURE:
        names = _of_pictures(coordinates)
        shown = past[names].to_numpy(np.float64)
        sides = []
        for row in (1 + at, 0):
            own = coordinates.loc[row, names].to_numpy(np.float64)
            distances = np.sqrt(((shown - own) ** 2).sum(axis=1))
            nearest = np.argsort(np.nan_to_num(distances, nan=np.inf), kind="stable")[:_ALIKE]
            sides.append(effects.relative[nearest[np.isfinite(distances[nearest])]])
        return sides[0], sides[1]
    if action.about in _TIMES:
        did, others = appeared(past, action)
        return effects.relative[did], effects.relative[others]
    if action.about.startswith("#"):
        has = np.array([action.about[1:] in tags for tags in past["hashtags"]])
        did = has if action.after == "yes" else ~has
        return effects.relative[did], effects.relative[~did]
    values = aspects_of(past, effects.design.bounds)[action.about].to_numpy(object)
    did = values == action.after
    others = ~did if action.before == UNKNOWN else values == action.before
    return effects.relative[did], effects.relative[others]


def _advised(
    action: Action,
    judged: pd.Series,
    count: float,
    did: Floats,
    did_not: Floats,
    tested: Measured | None,
) -> Advised:
    effect, low, high = (float(judged[name]) for name in ("effect", "low", "high"))
    gain, gain_low, gain_high = ((1 + count) * np.expm1(each) for each in (effect, low, high))
    return Advised(
        action=action,
        effect=effect,
        low=low,
        high=high,
        gain=float(gain),
        gain_low=float(gain_low),
        gain_high=float(gain_high),
        did=len(did) if tested is None else tested.did,
        did_not=len(did_not) if tested is None else tested.did_not,
        usual_did=_usual(did) if tested is None else float("nan"),
        usual_did_not=_usual(did_not) if tested is None else float("nan"),
        label=judged["label"],
        model=float(judged["model"]),
    )


def _usual(relative: Floats) -> float:
    return float(np.exp(np.median(relative))) if len(relative) else float("nan")


def _rewritten(draft: Draft, actions: Sequence[Action]) -> Draft | None:
    """The draft with all changes that need no person; None if there are none."""
    edits = [action.edit for action in actions if action.mechanical and action.edit is not None]
    changed = draft
    for edit in edits:
        changed = edit(changed)
    return changed if edits else None


def _uncompared(
    alternatives: Sequence[Path], actions: Sequence[Action], own: bool, own_posts: int
) -> list[str]:
    """Why other pictures were not compared, if they weren't."""
    if not alternatives or any(action.about == PICTURE for action in actions):
        return []
    why = "the run has not learned from pictures, or from too few posts with them"
    if not own or own_posts < _FEWEST_POSTS:
        why = (
            "what a picture is worth differs between accounts, and the author's own posts are too "
            f"few to show it ({own_posts}; it takes {_ENOUGH_POSTS})"
        )
    return [
        f"The other pictures were not compared: {why}. 'evoked rank' orders drafts by what the run "
        "predicts of them."
    ]


def _notes(table: pd.DataFrame, actions: Sequence[Action]) -> tuple[str, ...]:
    """What is taken for granted of the draft, and what can't be read of it or of other pictures."""
    found = [_text(table[name].iloc[0]) for name in (ASSUMED, "problem")]
    scored = [action for action in actions if action.edit is not None]
    for action, problem in zip(scored, table["problem"].iloc[1:], strict=True):
        if action.about == PICTURE and _text(problem) not in (
            None,
            _text(table["problem"].iloc[0]),
        ):
            found.append(f"{action.after}: {problem}")
    return tuple(note for note in found if note)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _draft_as_json(draft: Draft) -> dict[str, Any]:
    """The fields of a draft that advice changes; of a crop only that it is one, since the change
    says which."""
    image, posted_at = draft.image, draft.posted_at
    return {
        "caption": draft.caption,
        "hashtags": None if draft.hashtags is None else list(draft.hashtags),
        "posted_at": None if posted_at is None else posted_at.isoformat(),
        "image": "cropped" if isinstance(image, bytes) else None if image is None else str(image),
    }
