"""The application that every command registers with, and where commands print."""

from __future__ import annotations

from collections.abc import Iterable

import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from evoked.sentences import visible

app = typer.Typer(
    name="evoked",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Predicts what a social-media post evokes: the emotion people feel and the engagement "
    "that follows.",
    epilog="First steps: [bold]evoked demo my_demo[/bold]",
)


class _Visible(RenderHook):
    """Lets nothing that a console prints act on the terminal, but for its own styles."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_VisibleOnly(each) for each in renderables]


class _VisibleOnly:
    def __init__(self, renderable: ConsoleRenderable) -> None:
        self.renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        segments: Iterable[Segment] = console.render(self.renderable, options)
        for text, style, control in segments:
            yield Segment(text if control else visible(text), style, control)


def safe_console(*, stderr: bool = False) -> Console:
    """A console that prints names and texts of others as text."""
    console = Console(stderr=stderr)
    console.push_render_hook(_Visible())
    return console


# Results go to standard output; progress and notes don't, so that '--json' can be piped.
out = safe_console()
notes = safe_console(stderr=True)


def say(text: str, style: str | None = None) -> None:
    """Print text on standard output as it is: without markup, and without breaking its lines."""
    out.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def say_aside(text: str) -> None:
    """Print text on standard error as it is, like :func:`say`."""
    notes.print(text, markup=False, highlight=False, soft_wrap=True)
