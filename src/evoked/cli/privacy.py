"""Privacy: keys, protected copies, figures from encrypted fields, locked pictures (privacy …)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, out, say, say_aside
from evoked.cli.options import JsonFlag, open_dataset
from evoked.cli.printing import check_suffix, print_json, print_table, write_table
from evoked.cli.progress import progress_display
from evoked.errors import MissingExtraError
from evoked.files import records

if TYPE_CHECKING:
    import pandas as pd

privacy = typer.Typer(
    no_args_is_help=True, help="Pseudonyms, encrypted fields, locked pictures; see 'explain'."
)
app.add_typer(privacy, name="privacy")

KeyOption = Annotated[Path, typer.Option("--key", help="The owner's folder of keys.")]

# Rows of figures that are shown; --json and --out have them all.
_SHOWN = 50


@privacy.command("explain")
def privacy_explain() -> None:
    """Explain what is protected from whom, and what is not."""
    from rich.markdown import Markdown

    from evoked.posts.privacy import page

    out.print(Markdown(page()))


@privacy.command("keys", epilog="Example: [dim]evoked privacy keys ~/evoked_keys[/]")
def privacy_keys(
    folder: Annotated[
        Path, typer.Argument(metavar="KEYDIR", help="Folder of the keys, away from any dataset.")
    ],
) -> None:
    """Make the owner's keys; existing ones are kept."""
    from evoked.posts.privacy.keys import make_keys

    try:
        made = make_keys(folder)
    except MissingExtraError as error:
        made = make_keys(folder, fields=False)
        say_aside(f"No key for fields: {error}")
    say(
        f"Made {', '.join(made) or 'nothing: all keys are there'}. Keep a copy of {folder} in a "
        "safe place: without it, what was locked or encrypted can't be read."
    )


@privacy.command(
    "protect",
    epilog="Examples: [dim]evoked privacy protect my_posts to_share --key ~/evoked_keys[/]  ·  "
    "[dim]evoked privacy protect my_posts to_share --key ~/evoked_keys "
    "--encrypt followers,likes --pictures[/]",
)
def privacy_protect(
    dataset: Annotated[Path, typer.Argument(help="The owner's dataset; it stays as it is.")],
    dest: Annotated[Path, typer.Argument(help="Folder of the protected copy.")],
    key: KeyOption,
    pseudonyms: Annotated[
        bool, typer.Option(help="Replace ids of accounts and posts, and @mentions.")
    ] = True,
    encrypt: Annotated[
        str, typer.Option(help="Counts to encrypt, separated by commas; or 'all' or 'none'.")
    ] = "all",
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Copy the pictures, too, unencrypted.")
    ] = False,
    facts: Annotated[
        list[str] | None,
        typer.Option(
            "--fact",
            metavar="NAME",
            help="A fact of your own to copy, too, unencrypted; repeatable. The others are left "
            "out.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a copy to give away: pseudonyms for names, counts encrypted, no pictures."""
    from evoked.posts.privacy.keys import KeyFolder
    from evoked.posts.privacy.protecting import protect

    columns = {"all": None, "none": []}.get(encrypt, [name.strip() for name in encrypt.split(",")])
    done = protect(
        open_dataset(dataset),
        dest,
        KeyFolder(key),
        pseudonyms=pseudonyms,
        encrypt=columns,
        pictures=pictures,
        facts=facts or (),
    )
    if as_json:
        print_json({**vars(done), "dataset": str(dest), "posts": len(done.dataset)})
        return
    authors = "kept" if done.accounts is None else f"{done.accounts} are pseudonyms"
    rows = [
        ["posts", str(len(done.dataset))],
        ["names of authors", authors],
        ["encrypted", ", ".join(done.encrypted) or "nothing"],
        ["pictures", str(done.pictures)],
        *([["facts kept as they are", ", ".join(done.facts)]] if done.facts else []),
        *([["facts left out", ", ".join(done.facts_left_out)]] if done.facts_left_out else []),
        ["not encrypted", "captions, dates, categories, ratings; see 'evoked privacy explain'"],
    ]
    print_table(f"Protected copy in {dest}", ["what", "how"], rows)


@privacy.command(
    "aggregate",
    epilog="Example: [dim]evoked privacy aggregate to_share --by category --out figures.zip[/]",
)
def privacy_aggregate(
    protected: Annotated[Path, typer.Argument(help="A protected copy; no key is needed.")],
    out_file: Annotated[Path, typer.Option("--out", help="File for the owner.")],
    by: Annotated[
        str | None, typer.Option(help="Unencrypted column that names groups; all posts by default.")
    ] = None,
    minimum_group: Annotated[
        int, typer.Option(min=2, help="Groups of fewer posts are left out.")
    ] = 10,
    as_json: JsonFlag = False,
) -> None:
    """Compute sums, means and variances of encrypted counts and rates, without the key."""
    from evoked.posts.privacy.aggregates import aggregate

    with progress_display() as report:
        done = aggregate(protected, out_file, by=by, minimum_group=minimum_group, progress=report)
    if as_json:
        print_json(vars(done))
        return
    print_table("Groups", ["group", "posts"], [[k, str(n)] for k, n in done.groups.items()])
    if done.too_small:
        say(f"Left out as too small: {', '.join(done.too_small)}.")
    say(
        f"{', '.join(done.quantities)}: encrypted in {out_file}. The owner reads them with "
        f"'evoked privacy reveal {out_file} --key KEYDIR'."
    )


@privacy.command("rates", epilog="Example: [dim]evoked privacy rates to_share --out rates.zip[/]")
def privacy_rates(
    protected: Annotated[Path, typer.Argument(help="A protected copy; no key is needed.")],
    out_file: Annotated[Path, typer.Option("--out", help="File for the owner.")],
) -> None:
    """Compute every post's engagement rates, without the key."""
    from evoked.posts.privacy.aggregates import compute_rates

    with progress_display() as report:
        rates = compute_rates(protected, out_file, report)
    say(f"{', '.join(rates)}: encrypted in {out_file}.")


@privacy.command(
    "reveal",
    epilog="Examples: [dim]evoked privacy reveal figures.zip --key ~/evoked_keys[/]  ·  "
    "[dim]evoked privacy reveal rates.zip --key ~/evoked_keys --originals my_posts "
    "--out rates.csv[/]",
)
def privacy_reveal(
    file: Annotated[Path, typer.Argument(help="What 'aggregate' or 'rates' wrote.")],
    key: KeyOption,
    originals: Annotated[
        Path | None, typer.Option(help="The dataset before it was protected, to show errors.")
    ] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="File to write: .csv, .json or .parquet.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Decrypt what was computed on ciphertext, with the owner's key."""
    from evoked.posts.privacy.aggregates import reveal
    from evoked.posts.privacy.keys import KeyFolder

    if out_file is not None:
        check_suffix(out_file)
    table = reveal(file, KeyFolder(key), None if originals is None else open_dataset(originals))
    if out_file is not None:
        write_table(table, out_file)
        say_aside(f"{len(table)} rows in {out_file}")
    if as_json:
        print_json(records(table))
        return
    _print_figures(table)


@privacy.command("lock", epilog="Example: [dim]evoked privacy lock my_posts --key ~/evoked_keys[/]")
def privacy_lock(
    dataset: Annotated[Path, typer.Argument(help="Dataset whose pictures are encrypted in place.")],
    key: KeyOption,
) -> None:
    """Encrypt a dataset's pictures; after a crash, start the same command again."""
    from evoked.posts.privacy.image_locking import lock_images
    from evoked.posts.privacy.keys import KeyFolder

    with progress_display() as report:
        done = lock_images(open_dataset(dataset), KeyFolder(key), report)
    say(f"{done.pictures} pictures locked ({done.bytes / 2**20:.1f} MiB).")


@privacy.command(
    "unlock", epilog="Example: [dim]evoked privacy unlock my_posts --key ~/evoked_keys[/]"
)
def privacy_unlock(
    dataset: Annotated[
        Path, typer.Argument(help="Dataset whose pictures are restored, byte for byte.")
    ],
    key: KeyOption,
) -> None:
    """Decrypt locked pictures; after a crash, start the same command again."""
    from evoked.posts.privacy.image_locking import unlock_images
    from evoked.posts.privacy.keys import KeyFolder

    with progress_display() as report:
        done = unlock_images(open_dataset(dataset), KeyFolder(key), report)
    say(f"{done.pictures} pictures unlocked ({done.bytes / 2**20:.1f} MiB).")


def _print_figures(table: pd.DataFrame) -> None:
    from evoked.posts.privacy.ckks import DEGREE, PRIME_BITS, SECURITY_BITS

    names = [str(name) for name in table]
    errors = [name for name in names if name.endswith("_error")]
    shown = [name for name in names if not name.startswith("true_")]
    print_table(
        f"{len(table)} rows" + (f", the first {_SHOWN}" if len(table) > _SHOWN else ""),
        [name.replace("_", "\n") for name in shown],
        [
            [_figure(name, value) for name, value in row.items()]
            for row in records(table[shown].head(_SHOWN))
        ],
        whole=range(2),
    )
    if errors:
        largest = float(table[errors].max().max())
        say(f"Largest relative error: {largest:.1e}")
    say(
        f"CKKS, degree {DEGREE:,}, modulus of {sum(PRIME_BITS)} bits: {SECURITY_BITS} bit "
        "security by the homomorphic encryption standard."
    )


def _figure(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.1e}" if name.endswith("_error") else f"{value:.7g}"
