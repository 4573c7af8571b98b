"""Edge lists: tables of who liked, viewed or commented on which post."""

from __future__ import annotations

from pathlib import Path

from evoked.posts.readers.base import ReadOptions, Source
from evoked.posts.readers.network import NetworkSource


def read(source: Path, options: ReadOptions) -> Source:
    """Posts and who viewed them, from a file with one viewing per row, or from a folder.

    A folder may hold posts, connections, groups, memberships, users and comments beside the
    viewings; :mod:`evoked.posts.readers.network_tables` says how files and columns are found, and
    how a person can decide otherwise. Without a table of posts, the posts are those that were
    viewed. A like is a viewing whose emotion is unknown. Pictures named by their post's id are
    imported too, from any folder. If a user viewed a post several times, the first viewing counts.

    Raises
    ------
    DataError
        There is no such file or folder, no table of viewings or several, or no usable viewing.
    SettingsError
        A mapping of a table, field or column that doesn't exist.
    """
    return NetworkSource(source, options).reading()
