"""What works for an account, in sentences that its owner can act on."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evoked.analysis.base import Analysis, PostContext, Tables
from evoked.analysis.excerpts import Excerpt
from evoked.analysis.sharing import cover_faces
from evoked.analysis.week import Week
from evoked.analysis.week_words import about_hours, about_weekdays
from evoked.analysis.works.captions import (
    caption_surroundings,
    caption_traits,
    read_captions,
)
from evoked.analysis.works.effects import (
    FEWEST_KNOWN,
    TOGETHER,
    Effects,
    content_of,
    effects,
    with_verdicts,
)
from evoked.analysis.works.moments import (
    DAY,
    HOUR,
    MOMENTS,
    moment_surroundings,
    moment_traits,
    signs_of,
    week_of,
)
from evoked.analysis.works.own_columns import (
    KINDS,
    fact_traits,
    format_surroundings,
    format_traits,
)
from evoked.analysis.works.pictures import (
    face_surroundings,
    face_traits,
    number_traits,
    picture_groups,
)
from evoked.analysis.works.traits import Surroundings, Trait
from evoked.errors import DataError, SettingsError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.files import records
from evoked.posts.dataset import PostDataset
from evoked.posts.privacy.image_locking import is_locked
from evoked.progress import Progress
from evoked.runs.spoken import basis_in_words, spoken
from evoked.sentences import listed

COUNTS = ("likes", "views", "shares", "comments", "saves")
"""Counts that something can work for; by default the first that enough posts have."""
MOST_SENTENCES = 5
_EXAMPLES = 2
_RECENT = 20
_SHOWN = 12
_SHOWN_CAPTION = 80
# Examples are typical ones: the best tenth may be luck.
_TYPICAL = 0.9
_HINTS = 2
_HINT_LEVEL = 0.05


@dataclass(frozen=True)
class Example:
    """A post that has what stands out.

    Attributes
    ----------
    row
        Its place in the dataset.
    cover
        Its picture, or None.
    caption
        The beginning of its caption.
    count
        What it got.
    beside
        Times what the posts of its time got.
    """

    row: int
    cover: Path | None
    caption: str
    count: float
    beside: float


@dataclass(frozen=True, eq=False)
class Works:
    """What works for an account.

    Attributes
    ----------
    count
        The count that it works for.
    effects
        Everything that was looked at.
    typical
        What a typical post gets now: the median of the last twenty, over accounts.
    examples
        By row of the effects' table, of those that stand out.
    surroundings
        What effects are freed of, in words.
    unseen
        Why pictures were not looked at, or "".
    week
        What hours and weekdays add, by the proof that :func:`evoked.when` asks for; None where the
        time of day is unknown.
    """

    count: str
    effects: Effects
    typical: float
    examples: dict[int, list[Example]]
    surroundings: list[str]
    unseen: str
    week: Week | None

    @property
    def standing(self) -> pd.DataFrame:
        """The rows of what stands out, without what surer things account for, five at most, and
        without hours and days, of which :attr:`about_time` speaks."""
        table = self.effects.table
        own = table[table["stands"] & (table["beside"] == "") & ~table["kind"].isin(MOMENTS)]
        # The first of each kind, then others: three sentences about lengths say little.
        return own.loc[own.groupby("kind").cumcount().sort_values(kind="stable").index].head(
            MOST_SENTENCES
        )

    @property
    def sentences(self) -> list[str]:
        """What to do more or less of, the surest first; or that nothing stands out."""
        if not len(self.standing):
            return [self._nothing(), *self._hints(), *self.about_time]
        return [*map(self._sentence, records(self.standing)), *self.about_time]

    @property
    def about_time(self) -> list[str]:
        """Whether an hour or a weekday is better, as :func:`evoked.when` says it."""
        if self.week is None:
            return []
        noun = basis_in_words(self.count)
        return [*about_hours(self.week, noun), *about_weekdays(self.week, noun)]

    @property
    def how(self) -> str:
        """How the sentences were come by, and what they can't say."""
        against = (
            f"Every post is compared with the {TOGETHER} or so that its account published around "
            "it, so that growth and season don't count"
            if self.effects.dated
            else "The posts have no dates, so that growth and season could not be taken out"
        )
        freed = f"; {listed(self.surroundings)} are allowed for" if self.surroundings else ""
        return (
            f"{against}{freed}. {len(self.effects.table)} things were looked at, and only what "
            "is clear in view of that is named; hours and weekdays are judged as 'evoked when' "
            "judges them. What goes together need not be cause and effect: "
            "only a test can show that, in which chance decides which posts have it."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, but for the table, which stands with the others."""
        table = self.effects.table
        return {
            "count": self.count,
            "typical": self.typical,
            "sentences": self.sentences,
            "how": self.how,
            "looked_at": len(table),
            "free_of_time": self.effects.dated,
            "ranges_by": self.effects.clusters,
            "examples": {
                str(table["phrase"].iloc[row]): [
                    {"row": each.row, "count": each.count, "beside": each.beside} for each in posts
                ]
                for row, posts in self.examples.items()
            },
        }

    def _sentence(self, row: dict[str, Any]) -> str:
        ends = " to ".join(in_words(end) for end in sorted((row["low"], row["high"]), key=abs))
        typical = spoken(self.typical)
        gain = spoken(max(abs(row["effect"]) * self.typical, 1))
        word = "more" if row["effect"] > 0 else "fewer"
        return (
            f"Posts {row['phrase']} got about {in_words(row['effect'])} {self.count} "
            f"{'as' if row['effect'] >= 1 else 'than'} {self._others()} ({ends}): some {gain} "
            f"{word} on a typical post of {typical}. {row['having']:,} posts are such and "
            f"{row['lacking']:,} are not. {_how_sure(row['p_corrected'])}"
        )

    def _others(self) -> str:
        return "the others of their time" if self.effects.dated else "the others"

    def _nothing(self) -> str:
        table = self.effects.table
        posts = len(self.effects.relative)
        return (
            f"Nothing{self._but_time()} stands out: of {len(table)} things that were looked at in "
            f"{posts:,} posts, "
            f"none goes with more or fewer {self.count} so clearly that you could rely on it."
        )

    def _but_time(self) -> str:
        return " but the time" if self.effects.table["stands"].any() else ""

    def _hints(self) -> Iterator[str]:
        table = self.effects.table
        near = table[(table["p"] < _HINT_LEVEL) & ~table["kind"].isin(MOMENTS)]
        near = near.sort_values("p").head(_HINTS)
        if len(near):
            named = " and ".join(
                f"posts {row['phrase']} ({in_words(row['effect'])})" for row in records(near)
            )
            yield (
                f"If you want to try something: {named} come nearest, which chance among so many "
                "things may explain."
            )


def what_works(
    dataset: PostDataset,
    count: str | None = None,
    *,
    features: FeatureSettings | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Works:
    """Find what works for the account or accounts of a dataset.

    Parameters
    ----------
    dataset
        Posts, with pictures or without.
    count
        One of :data:`COUNTS`; by default the first of them that thirty posts have.
    features
        Settings of the image encoder that pictures are grouped by; builtin by default.
    cache, progress
        As in :func:`evoked.analysis.analyses.analyse_posts`.
    seed
        Random seed of groups and shuffles.

    Raises
    ------
    SettingsError
        There is no such count.
    DataError
        Fewer than thirty posts have the count, or nothing can be compared.

    Examples
    --------
    >>> print(*what_works(evoked.open("my_posts")).sentences, sep="\\n")    # doctest: +SKIP
    """
    everything = dataset.posts
    count = chosen_count(everything, count)
    rows = np.flatnonzero(everything[count].notna().to_numpy())
    if len(rows) < FEWEST_KNOWN:
        raise DataError(
            f"{len(rows)} posts have a number of {count}, and {FEWEST_KNOWN} are needed to compare."
        )
    chosen = dataset.select(rows)
    posts = chosen.posts.reset_index(drop=True)
    faces, unseen = np.full(len(posts), np.nan), ""
    covers: list[Path | None] = [None] * len(posts)
    if is_locked(dataset):
        unseen = "the pictures are locked"
    elif posts["images"].str.len().any():
        covers = chosen.cover_paths()
        faces = cover_faces(chosen, cache, progress)
    read = read_captions(posts)
    traits = [
        *moment_traits(posts),
        *format_traits(posts),
        *number_traits(posts),
        *face_traits(faces),
        *picture_groups(posts, covers, features, cache, progress, seed),
        *fact_traits(posts),
        *caption_traits(read, seed),
    ]
    around = [
        *moment_surroundings(posts),
        *format_surroundings(posts),
        *face_surroundings(faces),
        *caption_surroundings(read),
    ]
    around = [each for each in around if _differ(each)]
    found = effects(posts, count, traits, around, seed, MOMENTS)
    others = [each for each in around if each.name not in (HOUR, DAY)]
    week = week_of(posts, count, content_of(found, posts, others, KINDS), seed)
    if week is not None:
        found = with_verdicts(found, signs_of(week, posts))
    return Works(
        count,
        found,
        typical_now(posts, count),
        {
            int(row): _examples(found, int(row), posts, count, covers, rows)
            for row in np.flatnonzero(found.table["stands"])
        },
        [each.name for each in around],
        unseen,
        week,
    )


def chosen_count(posts: pd.DataFrame, count: str | None = None) -> str:
    """The count that something works for: the one asked for, or the first that enough posts have.

    Raises
    ------
    SettingsError
        There is no such count.
    """
    if count is None:
        known = {name: posts[name].notna().sum() for name in COUNTS}
        enough = [name for name in COUNTS if known[name] >= FEWEST_KNOWN]
        return enough[0] if enough else max(COUNTS, key=lambda name: known[name])
    if count not in COUNTS:
        raise SettingsError(f"something works for {', '.join(COUNTS)}, not {count!r}.")
    return count


def typical_now(posts: pd.DataFrame, count: str) -> float:
    """The median of each account's last twenty posts, and of these over accounts."""
    dated = posts.sort_values("posted_at", kind="stable")
    last = dated.groupby("author_id", dropna=False)[count].apply(
        lambda counts: counts.tail(_RECENT).astype(float).median()
    )
    return float(last.median())


def in_words(effect: float) -> str:
    """An effect as people say it.

    Examples
    --------
    >>> [in_words(effect) for effect in (0.284, -0.2, 1.5, 0.001)]
    ['28% more', '20% fewer', '2.5 times as many', 'as many']
    """
    if effect >= 1:
        return f"{1 + effect:.2g} times as many"
    share = f"{abs(effect):.0%}"
    if share == "0%":
        return "as many"
    return f"{share} {'more' if effect > 0 else 'fewer'}"


def _how_sure(p: float) -> str:
    times = "under 1" if p < 0.01 else f"{100 * p:.0f}"
    return f"Chance alone would show as much in {times} of 100 such accounts."


def _differ(around: Surroundings) -> bool:
    """Whether posts differ in it."""
    values = around.columns
    known = values[np.isfinite(values).all(axis=1)]
    return len(known) > 1 and bool((known != known[0]).any())


def _examples(
    found: Effects,
    row: int,
    posts: pd.DataFrame,
    count: str,
    covers: Sequence[Path | None],
    rows: np.ndarray,
) -> list[Example]:
    """Two posts that have a trait, with pictures where there are such, that did best (or worst,
    where the effect is below zero) beside their time, without the outermost tenth."""
    trait: Trait = found.traits[row]
    better = found.table["effect"].iloc[row] > 0
    having = np.flatnonzero(trait.values == 1)
    relative = found.relative[having] * (1 if better else -1)
    having = having[relative <= np.quantile(relative, _TYPICAL)]
    seen = np.array([covers[each] is not None for each in having.tolist()])
    order = np.lexsort([-found.relative[having] * (1 if better else -1), ~seen])
    return [
        Example(
            int(rows[each]),
            covers[each],
            _beginning(str(posts["caption"].fillna("").iloc[each])),
            float(posts[count].iloc[each]),
            float(np.exp(found.relative[each])),
        )
        for each in having[order][:_EXAMPLES].tolist()
    ]


def _beginning(caption: str) -> str:
    """The first words of a caption."""
    return textwrap.shorten(caption, _SHOWN_CAPTION, placeholder=" …")


def works(context: PostContext) -> Works:
    """What works for the posts of an analysis; ask for it with ``context.once``."""
    return what_works(
        context.dataset,
        context.counted,
        features=context.features,
        cache=context.cache,
        progress=context.progress,
        seed=context.seed,
    )


def shown_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that people are shown: what stands out, and what comes next, a dozen in all."""
    return table.head(max(_SHOWN, int(table["stands"].sum())))


def _summary(context: PostContext, tables: Tables) -> Iterator[Excerpt | str]:
    found = context.once(works)
    yield from found.sentences
    yield found.how
    table = shown_rows(tables["works"])
    yield Excerpt(
        f"What works, for {found.count}: the surest of {len(tables['works'])} things",
        ["posts …", "effect", "range, 95 %", "with", "without", "sure"],
        [
            [
                row["phrase"],
                signed(row["effect"]),
                f"{signed(row['low'])} to {signed(row['high'])}",
                f"{row['having']:,}",
                f"{row['lacking']:,}",
                verdict(row),
            ]
            for row in records(table)
        ],
        whole=(1, 2, 3, 4),
    )


def signed(effect: float) -> str:
    """An effect as a signed percentage."""
    if np.isnan(effect):
        return "–"
    return f"{effect:+.0%}".replace("-", "−") if abs(effect) >= 0.005 else "0%"


def verdict(row: dict[str, Any]) -> str:
    """Whether something stands out: "yes", "no", or "with another"."""
    if not row["stands"]:
        return "no"
    return "with another" if row["beside"] else "yes"


WORKS_ANALYSIS = Analysis(
    name="works",
    title="What works",
    explanation=(
        "effect: how much more of the count posts got that have it, than those of the same time "
        "that don't, hour, day, length, format, faces and number of hashtags allowed for; low, "
        "high: its 95 % range, in which posts of one time (of one author, with twelve authors or "
        "more) may resemble each other; plain: the effect with nothing but time taken out; having, "
        "lacking: posts; times: groups of ten posts in which there are both; p_corrected: the "
        "chance of such a difference for any of all these things, were posts of a time shuffled "
        "(Westfall and Young 1993); stands: p_corrected below 0.025 and p below 0.05, of hours and "
        "days whether 'evoked when' would name them; beside: the surer thing beside which nothing "
        "is left of it."
    ),
    compute=lambda context: context.once(works).effects.table,
    summary=_summary,
    folded=True,
    rests_on_emotion=False,
)
