"""The desk (serve)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evoked.cli.application import app, say, say_aside
from evoked.cli.options import CacheOption, check_runs
from evoked.errors import MissingExtraError, SettingsError

# A token is one line of some length.
_MOST_TOKEN_BYTES = 4096


@app.command(
    epilog="Examples: [dim]evoked serve[/]  ·  [dim]evoked serve my_run --port 9000[/]  ·  "
    "[dim]evoked serve --host 0.0.0.0 --token-file token.txt --name desk.example.org[/]"
)
def serve(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN]...", help="Runs to show, beside those of the desk's folder."),
    ] = None,
    data: Annotated[
        Path, typer.Option(help="The desk's folder: its datasets, runs, uploads and jobs.")
    ] = Path("evoked-desk"),
    host: Annotated[
        str, typer.Option(help="Address to listen at; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at.")] = 8765,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File whose first line is the token that every request has to bring."),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Name by which browsers call the desk, if it isn't localhost or an address; "
            "repeatable.",
        ),
    ] = None,
    cache: CacheOption = None,
) -> None:
    """Open the desk: pages to work at in the browser, and an interface for programs."""
    try:
        import fcntl  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "the desk needs Linux or macOS, which alone lock files as its jobs need it. On Windows "
            "start it in WSL, or in the container that docs/serving.md shows."
        ) from error
    from evoked.serve.settings import DeskSettings

    check_runs(*(runs or []))
    settings = DeskSettings(
        data=data,
        runs=tuple(runs or []),
        host=host,
        port=port,
        token=None if token_file is None else _token(token_file),
        names=tuple(names or []),
        cache=cache,
    )
    settings.check()
    try:
        import fastapi  # noqa: F401
        import multipart  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingExtraError(error.name or "FastAPI", "serve", "the desk") from error

    from evoked.serve.server import bound, serve_app

    listening = bound(host, port)
    shown = f"[{host}]" if ":" in host else host
    say(f"The desk is at http://{shown}:{listening.getsockname()[1]}/ - Ctrl+C closes it.")
    say_aside(f"Its folder is {data.resolve()}.")
    serve_app(settings, listening, uvicorn)


def _token(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            lines = stream.read(_MOST_TOKEN_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--token-file: {path} can't be read as text.") from error
    return lines[0].strip() if lines else ""
