"""How do the costs of evoked and of its peers grow with the number of posts?

Synthetic posts of ``evoked.synthesise``, since no real set has as many with pictures: 2,000 are
drawn, and larger sets repeat them as other authors' posts, with a number at the end of every
caption, so that each is read anew. Posts are split by time as in ``peers.py``; all sides learn
likes from the earlier 85 % and predict the later 15 %. They are measured with pictures
(``--with-pictures``) and with captions and facts alone (``--without-pictures``), the same for all
sides. What a side predicts of such posts says nothing, and is not scored.

Measured are seconds of the processor, on one thread, and the largest resident memory of a process
that does nothing else:

- *fit*: peers from a table, whose making (metadata, history, colours of pictures) has a row of its
  own; evoked with all of its features, extracted anew, and its test posts scored as well;
- *predict*: from fitted models, or a loaded run, to predictions of the test posts. evoked extracts
  their features anew.

Run: ``python benchmarks/peer_costs.py --peers-python PYTHON --json FILE``; the figure is drawn
beside FILE. Interrupted, it goes on. The last line is JSON, too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from peer_models import PEERS, cost, cpu_seconds
from peers import (
    SkippedError,
    Source,
    add_peer_options,
    interpreter,
    measured_peer,
    names_of,
    peer_table,
    rows_of,
)
from record import add_json_option, finish, table

from evoked.explain.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    figure,
    look,
    to_svg,
)
from evoked.files import atomic_path, write_text
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.posts import synthesise

DRAWN = 2_000
MODELS = {"evoked": None, "evoked linear": "linear"}
TABLE = "the peers' table"
# Colour and dashes of every side.
LINES = {
    TABLE: (GREY, ":"),
    "last10": (GREY, "-"),
    "ridge": (GREEN, "-"),
    "CatBoost": (ORANGE, "-"),
    "AutoGluon": (VERMILLION, "-"),
    "AutoGluon multimodal": (VERMILLION, "--"),
    "widedeep": (PURPLE, "--"),
    "evoked": (BLUE, "-"),
    "evoked linear": (BLUE, "--"),
}
SIDES = list(LINES)
MEASURES = {
    "fit": ("CPU seconds of a fit", ".1f"),
    "predict": ("CPU milliseconds of a prediction", ".1f"),
    "memory": ("peak memory in MB", ".0f"),
}
WITH, WITHOUT = "with pictures", "captions and facts alone"
# The question, asked of any of the datasets.
QUESTION = Source("jsonl", "", "time")


def posts_of(drawn: PostDataset, n: int, folder: Path, kind: str) -> PostDataset:
    """n of the posts that were drawn, or these again and again; made once."""
    if folder.exists():
        return PostDataset(folder)
    number = np.arange(n)
    turn, row = number // len(drawn), number % len(drawn)
    posts = drawn.posts.iloc[row].reset_index(drop=True)
    ends = pd.Series(number).map(" {}".format)
    posts = posts.assign(
        post_id=[f"post-{each:07d}" for each in number],
        author_id=posts["author_id"] + pd.Series(turn).map("-{}".format),
        caption=posts["caption"] + ends,
    )
    if kind == WITHOUT:
        posts["images"] = pd.Series([[] for _ in number], posts.index, dtype=object)
        return PostDataset.create(folder, {"posts": posts})
    pictures = folder.with_name(f"{folder.name}-pictures")
    shutil.copytree(drawn.image_folder, pictures)
    return PostDataset.create(folder, {"posts": posts}, images=pictures)


def evoked_cost(side: str, folder: Path) -> dict[str, float]:
    """Cost of one of evoked's sides; called in a process of its own."""
    import evoked

    rows = rows_of(PostDataset(folder), QUESTION)
    (split,) = rows.splits
    with TemporaryDirectory() as place:
        out, caches = Path(place) / "run", [Path(place) / name for name in ("fit", "predict")]
        fit, predict = (evoked.FeatureCache(each) for each in caches)
        start = cpu_seconds()
        evoked.train(rows.dataset, MODELS[side], out, split=split, cache=fit)
        fitted = cpu_seconds()
        evoked.load(out, cache=predict).predict(rows.dataset.select(rows.tested(split)))
        predicted = cpu_seconds() - fitted
    return {"fit": fitted - start, "predict": predicted, **cost(start)}


def table_cost(folder: Path, file: Path) -> dict[str, float]:
    """Cost of what peers read, which is written to ``file``; called in a process of its own."""
    start = cpu_seconds()
    peer_table(rows_of(PostDataset(folder), QUESTION)).to_parquet(file)
    return {"fit": cpu_seconds() - start, "predict": np.nan, **cost(start)}


def side_cost(side: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What a side costs on a dataset, or why it was skipped."""
    try:
        if side in PEERS:
            rows = rows_of(PostDataset(folder), QUESTION)
            python, seconds = interpreter(side, arguments), arguments.network_seconds
            found = measured_peer(side, python, folder, rows, seconds)
            return {"fit": found.fit, "predict": found.predict, "megabytes": found.megabytes}
        # A new interpreter, so that no side pays for what another has loaded.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            if side == TABLE:
                return pool.submit(table_cost, folder, folder / "table.parquet").result()
            return pool.submit(evoked_cost, side, folder).result()
    except SkippedError as error:
        return {"skipped": str(error)}


def measured_once(
    side: str, folder: Path, n: int, kind: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    """A side's row, from a file where an earlier call has measured it."""
    file = folder.with_name(f"{folder.name}-{side}.json")
    if not file.exists():
        rows = rows_of(PostDataset(folder), QUESTION)
        tested = len(rows.all_tested)
        found = side_cost(side, folder, arguments)
        write_text(file, json.dumps({"tested": tested, **found}))
    row = {"side": side, "kind": kind, "posts": n, **json.loads(file.read_text("utf-8"))}
    print(row, flush=True)
    return row


def by_measure(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows with the columns of :data:`MEASURES`: predictions in milliseconds of one, memory in
    MB."""
    frame = pd.DataFrame(rows)
    frame["predict"] = 1000 * frame["predict"] / frame["tested"]
    return frame.rename(columns={"megabytes": "memory"})


def wide(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A row for each side, and a column for each number of posts, those with pictures first."""
    columns: dict[str, Any] = {"side": [side for side in SIDES if side in set(frame["side"])]}
    for kind in (WITH, WITHOUT):
        part = frame[frame["kind"] == kind]
        for n in sorted(set(part["posts"])):
            values = part[part["posts"] == n].set_index("side")[measure]
            columns[f"{n:,} {kind}"] = values.reindex(columns["side"]).to_numpy(np.float64)
    return pd.DataFrame(columns)


def drawn_growth(frame: pd.DataFrame) -> Figure:
    """Costs by the number of posts, seconds on logarithmic axes: a row of panels for each measure,
    a column with pictures and one without."""
    kinds = [kind for kind in (WITH, WITHOUT) if (frame["kind"] == kind).any()]
    with look():
        drawn = figure(7.2, 7.6)
        panels = drawn.subplots(
            len(MEASURES), len(kinds), sharex="col", sharey="row", squeeze=False
        )
        for row, (measure, (label, _)) in zip(panels, MEASURES.items(), strict=True):
            row[0].set_ylabel(label)
            for panel, kind in zip(row, kinds, strict=True):
                part = frame[frame["kind"] == kind].dropna(subset=[measure])
                panel.set_xscale("log")
                for side, (colour, dashes) in LINES.items():
                    own = part[part["side"] == side].sort_values("posts")
                    panel.plot(
                        own["posts"],
                        own[measure],
                        linestyle=dashes,
                        marker="o",
                        markersize=3.5,
                        color=colour,
                        label=side,
                    )
                if measure == "memory":
                    panel.set_ylim(bottom=0)
                else:
                    panel.set_yscale("log")
                    panel.yaxis.set_minor_locator(NullLocator())
                panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        for panel, kind in zip(panels[0], kinds, strict=True):
            panel.set_title(kind)
        for panel, kind in zip(panels[-1], kinds, strict=True):
            sizes = sorted(set(frame.loc[frame["kind"] == kind, "posts"]))
            panel.set_xticks(sizes, [f"{n:,}" for n in sizes])
            panel.xaxis.set_minor_locator(NullLocator())
            panel.set_xlabel("posts")
        handles, labels = panels[0][0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=5)
    return drawn


def _sizes(text: str) -> list[int]:
    return [int(each) for each in text.split(",") if each]


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".cache/peer_costs"))
    add_peer_options(parser)
    parser.add_argument("--with-pictures", type=_sizes, default=[200, 2_000], metavar="N,N")
    parser.add_argument("--without-pictures", type=_sizes, default=[2_000, 20_000], metavar="N,N")
    parser.add_argument("--sides", type=partial(names_of, SIDES), default=SIDES, metavar="A,B")
    add_json_option(parser)
    arguments = parser.parse_args()
    # The sides' processes inherit it.
    os.environ["OMP_NUM_THREADS"] = "1"
    place = arguments.work / "drawn"
    drawn = PostDataset(place) if place.exists() else synthesise(place, n=DRAWN, seed=0)
    rows = []
    for kind, sizes in ((WITH, arguments.with_pictures), (WITHOUT, arguments.without_pictures)):
        for n in sizes:
            folder = arguments.work / f"{kind.replace(' ', '-')}-{n}"
            posts_of(drawn, n, folder, kind)
            rows += [measured_once(side, folder, n, kind, arguments) for side in arguments.sides]
    frame = by_measure(rows)
    tables = {name: table(wide(frame, name), form) for name, (_, form) in MEASURES.items()}
    skipped = frame.reindex(columns=["kind", "posts", "side", "skipped"]).dropna()
    if len(skipped):
        tables["skipped"] = table(skipped)
    if arguments.json is not None:
        with atomic_path(arguments.json.with_suffix(".svg")) as file:
            file.write_bytes(to_svg(drawn_growth(frame)))
    finish(
        arguments,
        rows,
        tables=tables,
        code=["src/evoked/features", "src/evoked/models", "src/evoked/runs"],
        libraries=("torch", "catboost", "scikit-learn"),
    )


if __name__ == "__main__":
    main()
