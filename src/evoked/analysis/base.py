"""What an analysis is: one table, how it is made, what it needs, and how people read it.

An analysis is an :class:`Analysis` in the file that computes its table, and an entry in a registry
(:data:`evoked.analysis.analyses.ANALYSES` for posts). Whoever shows analyses (the console, the
page) loops over the registry and knows none of them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import pandas as pd

from evoked.analysis.account_levels import AccountLevels
from evoked.analysis.emotions import PostsWithEmotion
from evoked.analysis.excerpts import Excerpt, Write, excerpt
from evoked.errors import DataError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.posts.dataset import PostDataset
from evoked.progress import Progress

Result = TypeVar("Result")
Given = TypeVar("Given", bound="Context")
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What analyses start from, and what several of them share.

    Attributes
    ----------
    draws
        Resamples of each bootstrap interval; 1000 by default.
    seed
        Random seed of all resampling; 0 by default.
    """

    draws: int = 1000
    seed: int = 0
    _shared: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self: Given, compute: Callable[[Given], Result]) -> Result:
        """The result of ``compute`` for this context, computed when first asked for.

        Analyses that need the same intermediate result ask for it with the same function.
        """
        if compute not in self._shared:
            self._shared[compute] = compute(self)
        result: Result = self._shared[compute]
        return result


@dataclass(frozen=True, kw_only=True)
class PostContext(Context):
    """The posts to analyse, and the choices that their analyses depend on.

    Attributes
    ----------
    dataset
        The dataset.
    emotions
        Its posts with emotions; ``followers`` holds what engagement is divided by.
    denominator
        What engagement is divided by: followers, reach, impressions, views, or none.
    levels
        The dataset's posts with the counts that decide what is popular.
    rated
        The posts with emotions, and the counts and ``followers`` that rates are made of: those of
        ``levels``, unless rates are per view, per reader reached or per impression, which an
        account's growth doesn't change.
    rated_anew
        Whether emotions were taken from the annotations in place of the posts' own; False by
        default.
    popularity
        The count that popularity is in the papers' tables; shares by default.
    counted
        The count that something works for; by default the first of
        :data:`evoked.analysis.works.findings.COUNTS` that enough posts have.
    features
        Settings of the image encoder that covers are clustered by; builtin by default.
    cache
        Where features are kept; the user's cache by default.
    progress
        Called with the stage, how much of it is done and how much there is.
    """

    dataset: PostDataset
    emotions: PostsWithEmotion
    denominator: str
    levels: AccountLevels
    rated: pd.DataFrame
    rated_anew: bool = False
    popularity: str = "shares"
    counted: str | None = None
    features: FeatureSettings | None = None
    cache: FeatureCache | None = None
    progress: Progress | None = None

    @property
    def posts(self) -> pd.DataFrame:
        """The posts with emotions, and the counts that they really got."""
        return self.emotions.posts


def _always(_: Context) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Analysis(Generic[Given]):
    """One table, how it is made, what it needs, and how people read it.

    Attributes
    ----------
    name
        Name of the table, of its CSV file and of its section of the page.
    title
        Heading of the section.
    explanation
        How to read the table: what its columns mean and what to be careful about.
    compute
        Makes the table; raises DataError where the posts don't allow it.
    needs
        What has to be known for it: each function returns why the posts don't suffice, or an empty
        string if they do. Asked in order, before ``compute``.
    concerns
        Whether the analysis makes sense for these posts at all. Where it doesn't, it is neither
        made nor listed as left out; by default it always makes sense.
    columns
        The columns that the console shows, each with the function that writes its cells; none by
        default, which shows the table on the page alone.
    heading
        Heading on the console; the title by default.
    summary
        What the console shows instead: tables and sentences, from the context and all tables.
    left_out_as
        What it is called where it is left out; its name by default. Analyses that are left out
        together share one.
    measured
        Column that holds what was measured: where it is unknown in every row, the table is left
        out. None by default.
    unmeasured
        Why it is left out then.
    folded
        Whether the page folds the table, because it is long.
    rests_on_emotion
        Whether it rests on valence and arousal, so that estimated ones have to be mentioned.
    """

    name: str
    title: str
    explanation: str
    compute: Callable[[Given], pd.DataFrame]
    needs: tuple[Callable[[Given], str], ...] = ()
    concerns: Callable[[Given], bool] = _always
    columns: Mapping[str, Write] = field(default_factory=dict)
    heading: str = ""
    summary: Callable[[Given, Tables], Iterable[Excerpt | str]] | None = None
    left_out_as: str = ""
    measured: str = ""
    unmeasured: str = ""
    folded: bool = False
    rests_on_emotion: bool = True

    def summarise(self, context: Given, tables: Tables) -> Iterable[Excerpt | str]:
        """What the console shows of it: tables of text, and sentences.

        Parameters
        ----------
        context
            What the table was made from.
        tables
            All tables by name, this one among them.
        """
        if self.summary is not None:
            return self.summary(context, tables)
        if not self.columns:
            return ()
        table = tables[self.name]
        if self.measured:
            table = table[table[self.measured].notna()]
        return (excerpt(self.heading or self.title, table, self.columns),)


@dataclass(frozen=True)
class Findings(Generic[Given]):
    """What analyses found.

    Attributes
    ----------
    context
        What they started from.
    tables
        By name of the analysis, those that could be made.
    skipped
        Why the others are missing, by what they are called where they are left out.
    """

    context: Given
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PostFindings(Findings[PostContext]):
    """What the posts of a dataset show."""

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.context.dataset.folder.resolve().name

    @property
    def emotions(self) -> PostsWithEmotion:
        """The posts with emotions; ``followers`` holds what counts were divided by."""
        return self.context.emotions

    @property
    def denominator(self) -> str:
        """What counts were divided by: followers, reach, impressions, views, or none."""
        return self.context.denominator

    @property
    def note(self) -> str:
        """What has to be said wherever emotions are shown; empty where people rated them all."""
        return self.emotions.note or ""


class Part(Protocol):
    """Several tables that are computed together.

    Attributes
    ----------
    tables
        By name, those that could be made.
    skipped
        Why the others are missing, by what they are called where they are left out.
    """

    @property
    def tables(self) -> dict[str, pd.DataFrame]: ...

    @property
    def skipped(self) -> dict[str, str]: ...


def table_of(
    part: Callable[[Given], Part], name: str, left_out_as: str = ""
) -> Callable[[Given], pd.DataFrame]:
    """What an analysis computes whose table is one of several that are computed together.

    Parameters
    ----------
    part
        Computes them together, once for each context.
    name
        Name of the table in the part.
    left_out_as
        What the part calls it where it is left out; ``name`` by default.

    Returns
    -------
    Callable
        Takes the table from the part; raises DataError with the part's reason where it is missing.
    """

    def compute(context: Given) -> pd.DataFrame:
        found = context.once(part)
        if name not in found.tables:
            raise DataError(found.skipped[left_out_as or name])
        return found.tables[name]

    return compute


def carry_out(analyses: Iterable[Analysis[Given]], findings: Findings[Given]) -> None:
    """Make the table of every analysis, or note why it can't be made.

    Parameters
    ----------
    analyses
        In the order in which people read them.
    findings
        Filled in: the tables, and what is left out.
    """
    context = findings.context
    for analysis in analyses:
        if not analysis.concerns(context):
            continue
        reason = next((why for need in analysis.needs if (why := need(context))), "")
        if not reason:
            try:
                table = analysis.compute(context)
            except DataError as error:
                reason = str(error).rstrip(".")
            else:
                if not analysis.measured or table[analysis.measured].notna().any():
                    findings.tables[analysis.name] = table
                    continue
                reason = analysis.unmeasured
        findings.skipped[analysis.left_out_as or analysis.name] = reason
