"""Edge lists: who liked, viewed or commented on which post, in whatever table it stands."""

from __future__ import annotations

from pathlib import Path

from evoked.posts.readers.base import ReadOptions, Source
from evoked.posts.readers.network import NetworkSource


def read(source: Path, options: ReadOptions) -> Source:
    """Posts and who viewed them, from a file with one viewing per row, or from a folder.

    A folder may hold posts, connections, groups, memberships, users and comments beside the
    viewings; how files and columns are found, and how to decide otherwise, tells
    :mod:`evoked.posts.readers.network_tables`. Without a table of posts, the posts are those that
    were viewed. A like is a viewing whose emotion is not known. Pictures that are named by their
    post's id are taken along, in any folder. Of one user and one post, the first viewing counts.

    Raises
    ------
    DataError
        No such file or folder; no table of viewings, or several; no viewing left in the end.
    SettingsError
        A mapping of a table, field or column that doesn't exist.
    """
    return NetworkSource(source, options).reading()
