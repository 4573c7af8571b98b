"""Questions to a dataset in SQL (sql)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, say
from evoked.cli.options import JsonFlag, OutTableOption
from evoked.cli.printing import check_suffix, print_json, print_table, write_table

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN_ROWS = 100
_CELL_CHARACTERS = 60


@app.command(
    epilog="Examples: [dim]evoked sql my_posts 'select media_type, count(*), median(likes) from "
    "posts group by all'[/]  ·  "
    "[dim]evoked sql my_posts 'describe posts'[/]  ·  "
    "[dim]evoked sql my_posts 'from activity order by hours' --out activity.csv[/]"
)
def sql(
    dataset: Annotated[Path, typer.Argument(help="Folder of the dataset.")],
    question: Annotated[
        str,
        typer.Argument(
            help="A question in DuckDB's SQL to the tables posts, activity, annotations, viewings …"
        ),
    ],
    rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Most rows of the answer: {_SHOWN_ROWS} if they are shown, a million if they are "
            "written.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Stop after this time.")] = 300,
    out: OutTableOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask a dataset in SQL; nothing is changed, and no other file is read."""
    from evoked.posts.dataset import PostDataset
    from evoked.posts.questions import MOST_ROWS, ask

    if out is not None:
        check_suffix(out)
    most = rows or (_SHOWN_ROWS if out is None and not as_json else MOST_ROWS)
    answer = ask(PostDataset(dataset), question, rows=most, seconds=seconds)
    if out is not None:
        write_table(answer.table.to_pandas(integer_object_nulls=True), out)
    if as_json:
        found = {"columns": answer.table.column_names, "rows": answer.table.to_pylist()}
        print_json({**found, "is_cut": answer.is_cut})
        return
    if out is None:
        _print_rows(answer.table)
    else:
        say(f"{answer.table.num_rows:,} rows in {out}")
    if answer.is_cut:
        say(f"There are more rows than these {most:,}: --rows N shows more.")


def _print_rows(table: pa.Table) -> None:
    cells = [[_shown(value) for value in row.values()] for row in _rows(table)]
    print_table("", table.column_names, cells)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    names = [str(number) for number in range(table.num_columns)]  # two may be called alike
    return list(table.rename_columns(names).to_pylist())


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.6g}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    shown = text.replace("\n", " ").removesuffix("+00:00")
    return shown if len(shown) <= _CELL_CHARACTERS else shown[: _CELL_CHARACTERS - 1] + "…"
