"""Rates against peers, from counts that nobody reads (benchmark …)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, out, say
from evoked.cli.options import JsonFlag, open_dataset
from evoked.cli.printing import print_json, print_sentence, print_table
from evoked.files import plain, records

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.privacy.peer_files import Peers

benchmark = typer.Typer(
    no_args_is_help=True, help="Your rates against those of a group whose counts nobody reads."
)
app.add_typer(benchmark, name="benchmark")

GroupArgument = Annotated[Path, typer.Argument(metavar="GROUP", help="What 'start' wrote.")]
PostsArgument = Annotated[Path, typer.Argument(metavar="POSTS", help="Your dataset.")]
ReaderKeyOption = Annotated[
    Path, typer.Option("--key", help="The reader's folder of keys, of 'evoked privacy keys'.")
]

_SENTENCES = 4


@benchmark.command("explain")
def benchmark_explain() -> None:
    """Explain who does what, and who could read what."""
    from rich.markdown import Markdown

    from evoked.posts.privacy import peer_page

    out.print(Markdown(peer_page()))


@benchmark.command(
    "start",
    epilog="Examples: [dim]evoked benchmark start group.zip --key ~/evoked_keys[/]  ·  "
    "[dim]evoked benchmark start group.zip --key ~/evoked_keys --category food "
    "--category travel[/]",
)
def benchmark_start(
    group: Annotated[Path, typer.Argument(metavar="GROUP", help="File for all members.")],
    key: ReaderKeyOption,
    category: Annotated[
        list[str] | None,
        typer.Option(help="A category to compare by, beside formats; three at most."),
    ] = None,
    minimum_members: Annotated[
        int, typer.Option(min=3, max=1000, help="Fewer accounts are never added.")
    ] = 3,
) -> None:
    """Start a group: the reader makes the file that members encrypt with."""
    from evoked.posts.privacy.keys import KeyFolder
    from evoked.posts.privacy.peer_files import start_group

    started = start_group(KeyFolder(key), group, category or (), minimum_members)
    say(
        f"Group {started.key} in {group}. Give the file to all members ('evoked benchmark join') "
        "and to a coordinator who is not you: whoever has your keys and a member's file can read "
        "that member's rates."
    )


@benchmark.command(
    "join", epilog="Example: [dim]evoked benchmark join my_posts group.zip mine.zip[/]"
)
def benchmark_join(
    posts: PostsArgument,
    group: GroupArgument,
    out_file: Annotated[Path, typer.Argument(metavar="FILE", help="File for the coordinator.")],
) -> None:
    """Join a group: encrypt how many of your posts have which rates."""
    from evoked.posts.privacy.peer_files import join_group

    dataset = open_dataset(posts)
    joined = join_group(dataset.posts, group, out_file)
    say(
        f"The rates of {_counted(joined.posts)} of {len(dataset):,} posts are counted, "
        f"encrypted, in {out_file}. Give it to the coordinator, and not to the reader."
    )


@benchmark.command(
    "add", epilog="Example: [dim]evoked benchmark add group.zip a.zip b.zip c.zip --out sum.zip[/]"
)
def benchmark_add(
    group: GroupArgument,
    members: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What 'join' wrote.")],
    out_file: Annotated[Path, typer.Option("--out", help="File for the reader.")],
) -> None:
    """Add the members' files: the coordinator does, who can read none of them."""
    from evoked.posts.privacy.peer_files import add_members

    added = add_members(group, members, out_file)
    say(f"{added} members, added and still encrypted, in {out_file}. Give it to the reader.")


@benchmark.command(
    "read",
    epilog="Example: [dim]evoked benchmark read sum.zip peers.json --key ~/evoked_keys[/]",
)
def benchmark_read(
    file: Annotated[Path, typer.Argument(metavar="SUM", help="What 'add' wrote.")],
    out_file: Annotated[Path, typer.Argument(metavar="PEERS", help="File for all members.")],
    key: ReaderKeyOption,
) -> None:
    """Read the sum, and nothing but the sum: the reader does, for all members."""
    from evoked.posts.privacy.keys import KeyFolder
    from evoked.posts.privacy.peer_files import read_sum, write_peers

    peers = read_sum(file, KeyFolder(key))
    write_peers(peers, out_file)
    say(
        f"The rates of {_counted(peers.histograms.posts)} posts of {peers.members} accounts, all "
        f"together, in {out_file}. Members compare with 'evoked benchmark compare'."
    )


@benchmark.command(
    "compare", epilog="Example: [dim]evoked benchmark compare my_posts peers.json[/]"
)
def benchmark_compare(
    posts: PostsArgument,
    peers_file: Annotated[Path, typer.Argument(metavar="PEERS", help="What 'read' wrote.")],
    as_json: JsonFlag = False,
) -> None:
    """Say where your rates stand among the group's."""
    from evoked.posts.privacy.peer_bins import standing
    from evoked.posts.privacy.peer_files import read_peers

    dataset = open_dataset(posts)
    peers = read_peers(peers_file)
    table = standing(dataset.posts, peers.histograms, peers.group.minimum_members)
    sentences = [_sentence(row) for row in records(table[table["part"] == "all"])]
    if as_json:
        print_json(
            {"members": peers.members, "sentences": sentences, "rates": plain(records(table))}
        )
        return
    _print(table, sentences, peers)


def _print(table: pd.DataFrame, sentences: list[str], peers: Peers) -> None:
    if not len(table):
        print_sentence(
            "Nothing can be compared: you and enough of the group's accounts must have the same "
            "counts, and what they are divided by, for five of your posts or more."
        )
        return
    for sentence in sentences[:_SENTENCES]:
        print_sentence(sentence)
    print_table(
        f"Your median beside the posts of {peers.members} accounts",
        [
            "rate",
            "posts",
            "yours",
            "quarter",
            "half",
            "three\nquarters",
            "below\nyours",
            "accounts",
        ],
        [
            [
                f"{row['count']} per {row['basis'].removesuffix('s')}",
                row["part"],
                *(percent(row[name]) for name in ("own", "lower", "median", "upper")),
                f"{row['below']:.0%}",
                f"{row['accounts']} accounts",
            ]
            for row in records(table)
        ],
        whole=range(2, 8),
    )
    print_sentence(
        "The group's posts include yours if you joined it. A quarter, half or three quarters of "
        "them have lower rates than the columns say; an account with more posts counts for more."
    )


def _sentence(row: dict[str, Any]) -> str:
    below = 100 * row["below"]
    return (
        f"Your median {row['count'].removesuffix('s')} rate, {percent(row['own'])} of "
        f"{row['basis']}, is higher than that of {below:.0f} of 100 posts of {row['accounts']} "
        f"accounts ({row['posts']:,} posts)."
    )


def _counted(posts: Any) -> str:
    """How many posts any rate is counted of, of histograms (parts, rates, bins)."""
    return f"{int(posts[0].sum(axis=1).max()):,}"


def percent(rate: float) -> str:
    """A rate in per cent, to two figures.

    Examples
    --------
    >>> [percent(rate) for rate in (0.0312, 0.00007, 0.0, 0.214)]
    ['3.1%', '0.007%', '0%', '21%']
    """
    return f"{float(f'{100 * rate:.2g}'):.10g}%"
