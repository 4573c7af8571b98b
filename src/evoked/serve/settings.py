"""What the desk is started with: its folder, its address and its bounds."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from evoked.errors import SettingsError

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds on what a desk takes, keeps and runs.

    Attributes
    ----------
    form_bytes, picture_bytes, table_bytes, export_bytes
        The largest body of an ordinary request, and of one that brings a picture, a table of drafts
        or an export; larger ones are refused before they are kept.
    files
        Most files of one upload.
    slow_seconds
        How long a client may keep the desk waiting for the next piece of a request.
    requests, per_seconds
        Requests that one client may make within so many seconds, on average and at once.
    upload_hours
        Age at which uploads are deleted.
    disk_bytes
        What the desk's folder may hold; a job that goes beyond it is stopped.
    queue
        Most jobs that wait or run.
    job_seconds
        How long one step of a job may take.
    attempts
        How often a step is started that was killed.
    drafts
        Most drafts of one request.
    """

    form_bytes: int = 1 * MIB
    picture_bytes: int = 32 * MIB
    table_bytes: int = 256 * MIB
    export_bytes: int = 4096 * MIB
    files: int = 1000
    slow_seconds: float = 20.0
    requests: int = 600
    per_seconds: float = 60.0
    upload_hours: float = 24.0
    disk_bytes: int = 64 * 1024 * MIB
    queue: int = 20
    job_seconds: float = 6 * 3600.0
    attempts: int = 3
    drafts: int = 200


@dataclass(frozen=True)
class DeskSettings:
    """What a desk is started with.

    Attributes
    ----------
    data
        The desk's own folder, made if need be.
    runs
        Runs that lie elsewhere and are shown as well; they are never deleted.
    host, port
        The address that it listens at.
    token
        What every request has to bring; needed at any address but this machine's own.
    names
        Names by which browsers may call the desk, beside its addresses and ``localhost``.
    cache
        Folder of computed features; the user's by default.
    limits
        See :class:`Limits`.
    """

    data: Path
    runs: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    cache: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def check(self) -> None:
        """Raise SettingsError where anybody in the network could use the desk without a token."""
        if self.token is None and not is_own_address(self.host):
            raise SettingsError(
                f"at {self.host} others can reach the desk, so it needs a token: write one of 16 "
                "characters or more into a file and give --token-file FILE. Or leave --host out."
            )
        if self.token is not None and len(self.token) < 16:
            raise SettingsError("the token has fewer than 16 characters, so it could be guessed.")


def is_own_address(host: str) -> bool:
    """Whether an address is one that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
