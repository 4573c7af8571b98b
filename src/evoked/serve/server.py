"""Serving the desk's application at an address."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

from evoked.errors import SettingsError
from evoked.serve.settings import DeskSettings


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; port 0 takes any that is free.

    Raises
    ------
    SettingsError
        The address isn't this machine's, or its port is taken.
    """
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(kind, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # who comes before the application is ready waits for it
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"the desk can't listen at {host}, port {port}: {error.strerror or error}. "
            "Choose another with --host or --port."
        ) from error
    return listening


def serve_app(settings: DeskSettings, listening: socket.socket, uvicorn: Any) -> None:
    """Serve until the process is asked to end."""
    from evoked.serve.app import create_app

    application = create_app(replace(settings, port=listening.getsockname()[1]))
    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,  # which would name what people look at
        server_header=False,
        timeout_keep_alive=5,
        h11_max_incomplete_event_size=64 * 1024,
        limit_concurrency=200,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listening])
