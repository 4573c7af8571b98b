"""The command 'evoked analyse'."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from evoked.cli.application import app, notes, out
from evoked.cli.options import CacheOption, JsonFlag, load_run
from evoked.cli.printing import print_json, print_table
from evoked.cli.progress import progress_display
from evoked.errors import SettingsError
from evoked.files import check_free, records

if TYPE_CHECKING:
    import pandas as pd

    from evoked.analysis.sharing import SharingAnalysis
    from evoked.analysis.study import PostAnalysis
    from evoked.runs.posts import Run

_SENTENCES = 10


class Popularity(StrEnum):
    """The counts that popularity can be."""

    shares = "shares"
    likes = "likes"
    comments = "comments"
    saves = "saves"
    views = "views"


class Ratings(StrEnum):
    """Ways to make one rating of several annotators'."""

    mean = "mean"
    reliability = "reliability"


@app.command(
    epilog="Examples: [dim]evoked analyse my_posts --out analysis[/]  ·  "
    "[dim]evoked analyse my_posts --popularity likes --out analysis[/]  ·  "
    "[dim]evoked analyse my_run --data my_posts --out analysis[/]  ·  "
    "[dim]evoked analyse run_a --data my_posts --compare run_b --compare run_c --out analysis[/]"
)
def analyse(
    target: Annotated[Path, typer.Argument(metavar="DATASET|RUN", help="Posts, or a run.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of tables, figures and page.")],
    data: Annotated[
        Path | None, typer.Option(help="A run's dataset; by default looked for beside the run.")
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="A further run to show beside the first; repeatable."),
    ] = None,
    ratings: Annotated[
        Ratings | None,
        typer.Option(help="Take emotions anew from the annotators' ratings, weighed like this."),
    ] = None,
    estimate: Annotated[
        bool, typer.Option(help="Estimate valence and arousal of posts that nobody rated.")
    ] = True,
    popularity: Annotated[
        Popularity, typer.Option(help="The count that the part on sharing is about.")
    ] = Popularity.shares,
    image_encoder: Annotated[
        str, typer.Option(help="Tells covers apart: builtin, or KIND:WHERE (torchvision:resnet50).")
    ] = "builtin",
    draws: Annotated[int, typer.Option(min=100, help="Resamples for each interval.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Analyse emotion, engagement and sharing: tables, figures, best positions; of a run errors."""
    from evoked.analysis.study import analyse_posts
    from evoked.features.cache import FeatureCache
    from evoked.features.catalog import FeatureSettings
    from evoked.posts.dataset import PostDataset
    from evoked.report.analysis_page import RECORD_FILE, to_record, write_analysis
    from evoked.report.run_analysis import analyse_run

    check_free(out_folder, RECORD_FILE, "an analysis")  # before minutes of work
    run = load_run(target, cache) if _is_run(target) else None
    if run is None and (data is not None or compare):
        raise SettingsError("--data and --compare go with a run: give a run's folder first.")
    dataset = PostDataset(target if run is None else data or _data_of(run))
    others = [load_run(folder, cache) for folder in compare or []]
    notes.print(f"Analysing {len(dataset)} posts")
    with progress_display() as progress:
        found = analyse_posts(
            dataset,
            ratings=None if ratings is None else ratings.value,
            estimate=estimate,
            popularity=popularity.value,
            features=FeatureSettings(image_encoder=image_encoder),
            cache=FeatureCache(cache),
            progress=progress,
            draws=draws,
            seed=seed,
        )
    of_run = None
    if run is not None:
        notes.print("Analysing the run's test posts")
        of_run = analyse_run(run, dataset, found.emotions, others, draws, seed)
    page = write_analysis(found, out_folder, of_run)
    if as_json:
        print_json(to_record(found, of_run))
        return
    _print_posts(found)
    if of_run is not None and "accuracy" in of_run.tables:
        _print_accuracy(of_run.tables["accuracy"])
    skipped = found.skipped | ({} if of_run is None else of_run.skipped)
    for name, why in skipped.items():
        out.print(f"Left out: {escape(name.replace('_', ' '))}: {escape(why)}.", soft_wrap=True)
    out.print(f"Page: {page}", soft_wrap=True, highlight=False)


def _is_run(folder: Path) -> bool:
    from evoked.runs.description import RUN_FILE

    return (folder / RUN_FILE).is_file()


def _data_of(run: Run) -> Path:
    """The dataset of a run's name beside the run."""
    from evoked.posts.dataset import DESCRIPTION_FILE

    beside = run.folder.resolve().parent / Path(run.description["data"]["name"]).name
    if not (beside / DESCRIPTION_FILE).is_file():
        raise SettingsError(f"the run's dataset is not at {beside}: say where it is with --data.")
    return beside


def _print_posts(found: PostAnalysis) -> None:
    from evoked.evaluation.significance import p_value

    if found.note:
        notice = f"Estimated emotion: {found.note}."
        out.print(f"[yellow]{escape(notice)}[/]", highlight=False, soft_wrap=True)
    tables = found.tables
    categories = tables["categories"]
    _print(
        "Categories (Table 2)",
        categories,
        {
            **{"category": str, "posts": _whole, "caption_words": _short, "hashtags": _short},
            **{"rate_low": _rate, "rate_high": _rate},
        },
    )
    if "agreement" in tables:
        together = tables["agreement"][tables["agreement"]["category"] == "all"]
        _print(
            "Agreement of annotators (95 %)",
            together,
            {
                **{"dimension": str, "alpha": _rate, "low": _rate, "high": _rate},
                **{"posts": _whole, "published": _rate},
            },
        )
        for row in records(tables["annotators"]):
            if row["outlier"]:
                line = f"{row['annotator']} ({row['dimension']}): {row['outlier']}"
                out.print(escape(line), highlight=False, soft_wrap=True)
    if "correlations" in tables:
        _print_matrix(
            "Emotion and engagement, r (published); * Holm p < 0.05 (Table 8)",
            tables["correlations"],
            "dimension",
            lambda row: (
                f"{_rate(row['r'])}{'*' if row['p_holm'] < 0.05 else ''} ({row['published']:.2f})"
            ),
        )
        _print(
            "Lifts (Section 4.3)",
            tables["lifts"],
            {
                **{"lift": str, "value": _share, "low": _share, "high": _share},
                **{"p_holm": p_value, "published": _share},
            },
        )
    if "time_to_peak" in tables:
        _print_matrix(
            "Hours to peak (published) (Table 9)",
            tables["time_to_peak"],
            "quadrant",
            lambda row: f"{row['hours']:.1f} ({row['published']:.1f})",
        )
        left = int(tables["time_to_peak"]["left_out"].sum())
        if left:
            out.print(
                f"{left} times a post had too little activity of a metric, or no peak before its "
                "last observation, and was left out there.",
                soft_wrap=True,
            )
    if "positions" in tables:
        _print_advice(tables["positions"])
    _print_sharing(found.sharing)
    _print_popular(tables)


def _print_popular(tables: dict[str, pd.DataFrame]) -> None:
    """Dual-Attention's analyses of covers, words and emoji."""
    if "popular_images" in tables:
        _print(
            "Covers: R, share of unpopular posts, where clusters were found and held out (95 %)",
            tables["popular_images"],
            {
                **{"cluster": _whole, "picked": _yes, "n": _whole, "ratio": _rate},
                **{"n_held_out": _whole, "ratio_held_out": _rate, "low": _rate, "high": _rate},
                "p_held_out_holm": _p,
            },
        )
    if "popular_texts" in tables:
        _print(
            "Words and emoji of popular posts (significant: BH p < 0.05)",
            tables["popular_texts"],
            {
                **{"text": str, "kept": _whole, "tested": _whole, "significant": _whole},
                "significant_shuffled": _short,
            },
        )
    for name, column in (("popular_words", "word"), ("popular_emoji", "name")):
        if name not in tables:
            continue
        clear = tables[name][tables[name]["p_bh"] < 0.05].sort_values("p", kind="stable")
        if len(clear):
            _print(
                f"{name.replace('_', ' ').capitalize()}, the clearest of {len(clear)}",
                clear.head(_SENTENCES),
                {
                    **{column: str, "popular": _whole, "unpopular": _whole, "authors": _whole},
                    "p_bh": _p,
                },
            )


def _print_sharing(found: SharingAnalysis) -> None:
    """EIJL's exploratory part, each table with its n."""
    tables, name = found.tables, found.popularity
    if "counts" in tables:
        _print(
            f"{name.capitalize()} (EIJL, Figure 2a)",
            tables["counts"],
            {"quantity": str, "value": _number, "low": _number, "high": _number},
        )
    for key, title in (("text_emotion", "Emotion of captions"), ("faces", "Covers with faces")):
        if key in tables:
            _print(
                f"{title}, mean {name} (95 %)",
                tables[key],
                {
                    **{"class": str, "posts": _whole, "share": _rate, "n": _whole},
                    **{"mean": _short, "low": _short, "high": _short, "p": _p, "p_holm": _p},
                },
            )
    if "together" in tables:
        _print(
            "Counts together, r of log(1 + count) (95 %) (EIJL, Figure 3)",
            tables["together"],
            {
                **{"first": str, "second": str, "r": _rate, "low": _rate, "high": _rate},
                **{"spearman": _rate, "p_holm": _p, "n": _whole},
            },
        )
    if "interaction_terms" in tables:
        _print_interactions(tables["interaction_terms"], tables["interaction_fits"], name)


def _print_interactions(terms: pd.DataFrame, fits: pd.DataFrame, name: str) -> None:
    linear, logistic = (
        terms[(terms["design"] == "Eq. 1") & (terms["model"] == each)]
        for each in ("linear", "logistic")
    )
    both = linear.assign(
        linear=linear["coefficient"],
        odds=logistic["odds_ratio"].to_numpy(),
        odds_p=logistic["p"].to_numpy(),
        effect=logistic["marginal_effect"].to_numpy(),
    )
    _print(
        f"Among the fifth with most {name}? (EIJL, Eq. 1, Table 1)",
        both,
        {
            **{
                "term": lambda term: term.replace(" emotion", ""),
                "linear": _thousandths,
                "p": _p,
                "published": _thousandths,
            },
            **{"odds": _rate, "odds_p": _p, "effect": _thousandths},
        },
    )
    _print(
        "Fit of the models",
        fits,
        {
            **{"design": str, "model": str, "n": _whole, "popular": _whole, "r2": _thousandths},
            **{"published_r2": _thousandths, "errors": str},
        },
    )
    for row in records(fits[fits["design"] == "Eq. 1"]):
        for label, text in (("left out", row["left_out"]), ("note", row["note"])):
            if text:
                line = f"{row['model']}, {label}: {text}."
                out.print(escape(line), highlight=False, soft_wrap=True)
    if "likability" not in set(terms["term"]):
        return
    out.print(
        "Likability is likes, which nobody knows before posting and which come from the same "
        "readers; a model without it shows what emotion explains alone.",
        soft_wrap=True,
    )


def _print_advice(positions: pd.DataFrame) -> None:
    clear = positions[positions["clear"]]
    for sentence in clear["advice"][:_SENTENCES]:
        out.print(escape(sentence), highlight=False, soft_wrap=True)
    if len(clear) > _SENTENCES:
        out.print(f"{len(clear) - _SENTENCES} more positions are on the page.")
    none = len(positions) - len(clear)
    out.print(
        f"{none} of {len(positions)} combinations of category and metric have no clear position.",
        soft_wrap=True,
    )


def _print_accuracy(table: pd.DataFrame) -> None:
    own = table[table["model"] == table["model"].iloc[0]]
    _print(
        "MAP on the test posts (95 %), by half of arousal",
        own,
        {
            **{"metric": str, "half": str, "value": _rate, "low": _rate, "high": _rate},
            **{"chance": _rate, "n": _whole, "published": _rate},
        },
    )


def _print(title: str, table: pd.DataFrame, columns: dict[str, Any]) -> None:
    """Some columns of a table, each as its function writes it."""
    rows = [[write(row[name]) for name, write in columns.items()] for row in records(table)]
    print_table(title, [name.replace("_", " ") for name in columns], rows)


def _print_matrix(title: str, table: pd.DataFrame, row_name: str, write: Any) -> None:
    """A table whose rows are (row_name, metric) as a matrix."""
    metrics = list(dict.fromkeys(table["metric"]))
    rows = [
        [str(name), *(_known(write, row) for row in records(part))]
        for name, part in table.groupby(row_name, sort=False)
    ]
    print_table(title, ["", *metrics], rows)


def _known(write: Any, row: dict[str, Any]) -> str:
    return "–" if row.get("n") == 0 else str(write(row))


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else _or_dash(value, ".3g")


def _thousandths(value: float) -> str:
    return _or_dash(value, ".3f")


def _p(value: float) -> str:
    from evoked.evaluation.significance import p_value

    return p_value(value)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _whole(value: float) -> str:
    return f"{int(value)}"


def _short(value: float) -> str:
    return _or_dash(value, ".1f")


def _rate(value: float) -> str:
    return _or_dash(value, ".2f")


def _share(value: float) -> str:
    return _or_dash(value, "+.0%")


def _or_dash(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)
