"""Files of a group that compares its rates: histograms that are added before anybody reads them.

Four kinds of files, each a zip archive (stored, not compressed) with ``about.json``::

    group     from the reader of sums: public.key, with which everybody encrypts
    member    from a member: histograms.ciphertext, posts per bin
    sum       from the coordinator: the ciphertexts added, histograms.ciphertext
    peers     a plain JSON file: the decrypted sum, for all members

Counts are divided by 2^20 and encrypted into one ciphertext. Its noise is a ten-thousandth of a
post; sums whose numbers are not whole to a tenth are refused, as are those that can't be sums of
histograms, so that what is given is exact or not given.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evoked.errors import DataError, SettingsError
from evoked.files import MAX_JSON_BYTES, atomic_path, parse_json, read_object, write_json
from evoked.posts.privacy._entries import entry_content
from evoked.posts.privacy.ckks import (
    DEGREE,
    MAX_CIPHERTEXT_BYTES,
    MAX_PUBLIC_KEY_BYTES,
    PRIME_BITS,
    Adder,
    Ciphertext,
    Encryptor,
    Floats,
)
from evoked.posts.privacy.keys import KeyFolder
from evoked.posts.privacy.peer_bins import (
    BINS,
    MOST_CATEGORIES,
    RATES,
    Histograms,
    histograms,
    parts_of,
)

FORMAT_VERSION = 1
FEWEST_MEMBERS = 3
"""Of two members each could subtract their own and read the other's."""
MOST_MEMBERS = 1000
MOST_POSTS = 2**20
"""Posts of one member, and what counts are divided by."""
_ABOUT_FILE = "about.json"
_KEY_FILE = "public.key"
_HISTOGRAMS_FILE = "histograms.ciphertext"
# Decrypted counts are this near to whole numbers, or refused. The noise of a sum of a thousand
# members is below a hundredth.
_WHOLE = 0.1
_NAME_CHARACTERS = 60
_DIGEST_DIGITS = 16


@dataclass(frozen=True)
class Group:
    """What all members of a group share.

    Attributes
    ----------
    key
        Digest of the public key, which names the group.
    categories
        Categories that posts are counted by, beside formats.
    minimum_members
        Fewer are never added, and figures that fewer have are never shown.
    """

    key: str
    categories: tuple[str, ...]
    minimum_members: int

    def about(self, kind: str, **more: Any) -> dict[str, Any]:
        """The description of one of the group's files."""
        return {
            "kind": kind,
            "format_version": FORMAT_VERSION,
            "scheme": "CKKS",
            "degree": DEGREE,
            "prime_bits": list(PRIME_BITS),
            "bins": BINS,
            "rates": [f"{count} per {basis}" for count, basis in RATES],
            "group": self.key,
            "categories": list(self.categories),
            "minimum_members": self.minimum_members,
            **more,
        }


@dataclass(frozen=True)
class Peers:
    """A group's decrypted sum.

    Attributes
    ----------
    group
        The group.
    members
        Accounts that were added.
    histograms
        Their posts per bin, all together.
    """

    group: Group
    members: int
    histograms: Histograms


def start_group(
    keys: KeyFolder,
    out: Path | str,
    categories: Sequence[str] = (),
    minimum_members: int = FEWEST_MEMBERS,
) -> Group:
    """Write the file that members encrypt with.

    Parameters
    ----------
    keys
        The keys of whoever will read the sum, and nothing but the sum.
    out
        The group's file, for every member and the coordinator; 1 MB.
    categories
        At most three categories, by which posts are counted beside their formats.
    minimum_members
        Fewer are never added; three at least.

    Raises
    ------
    SettingsError
        Too many categories, one that is empty or too long, or too few members.
    """
    names = tuple(dict.fromkeys(name.strip() for name in categories))
    if len(names) > MOST_CATEGORIES:
        raise SettingsError(f"at most {MOST_CATEGORIES} categories, not {len(names)}.")
    if any(not 0 < len(name) <= _NAME_CHARACTERS for name in names):
        raise SettingsError(f"the name of a category has 1 to {_NAME_CHARACTERS} characters.")
    if not FEWEST_MEMBERS <= minimum_members <= MOST_MEMBERS:
        raise SettingsError(
            f"a group has {FEWEST_MEMBERS} to {MOST_MEMBERS:,} members at least, not "
            f"{minimum_members}: of two, each could subtract their own posts and read the other's."
        )
    public = keys.fields().public_key()
    group = Group(_digest(public), names, minimum_members)
    _write_archive(Path(out), group.about("group"), {_KEY_FILE: public})
    return group


def join_group(posts: pd.DataFrame, group_file: Path | str, out: Path | str) -> Histograms:
    """Encrypt the histograms of an account's posts.

    Parameters
    ----------
    posts
        The posts of one account.
    group_file
        From :func:`start_group`.
    out
        The member's file, for the coordinator alone; 0.5 MB.

    Returns
    -------
    Histograms
        What was encrypted.

    Raises
    ------
    DataError
        The group's file is none, no post has a rate, or the posts are of several accounts or more
        than a million.
    """
    path = Path(group_file)
    with _Archive(path) as archive:
        group = archive.group("group")
        public = archive.content(_KEY_FILE, MAX_PUBLIC_KEY_BYTES)
    if _digest(public) != group.key:
        raise DataError("the key in it is not the group's.", file=path)
    if len(posts) > MOST_POSTS:
        raise DataError(f"{len(posts):,} posts; a member has at most {MOST_POSTS:,}.")
    authors = posts["author_id"].nunique()
    if authors > 1:
        raise DataError(
            f"posts of {authors} accounts; a member is one account.",
            fix="Import the account's posts alone.",
        )
    own = histograms(posts, group.categories)
    if not own.posts.any():
        raise DataError(
            "no post has likes, comments, shares or saves and the followers or views that they "
            "are divided by.",
            fix="Import the posts with these columns (--map followers=…).",
        )
    with _scratch(public) as key_path:
        encrypted = Encryptor(key_path).encrypt(_slots(own) / MOST_POSTS)
    content = _saved(encrypted)
    about = group.about("member", member=secrets.token_hex(16), digest=_digest(content))
    _write_archive(Path(out), about, {_HISTOGRAMS_FILE: content})
    return own


def add_members(group_file: Path | str, members: Sequence[Path | str], out: Path | str) -> int:
    """Add what members encrypted, without being able to read it.

    Parameters
    ----------
    group_file
        From :func:`start_group`.
    members
        Files from :func:`join_group`, each of another member.
    out
        The sum, for the reader; 0.5 MB.

    Returns
    -------
    The number of members.

    Raises
    ------
    SettingsError
        There are fewer members than the group's least number, or too many.
    DataError
        A file is damaged, of another group, or added twice.
    """
    with _Archive(Path(group_file)) as archive:
        group = archive.group("group")
    if not group.minimum_members <= len(members) <= MOST_MEMBERS:
        raise SettingsError(
            f"{len(members)} members; {group.minimum_members} to {MOST_MEMBERS:,} can be added: "
            "from fewer, what single members got could be made out."
        )
    adder, total = Adder(), None
    seen: dict[str, Path] = {}
    for path in map(Path, members):
        with _Archive(path) as archive:
            if archive.group("member") != group:
                raise DataError("was made for another group.", file=path)
            content = archive.content(_HISTOGRAMS_FILE, MAX_CIPHERTEXT_BYTES)
            about = archive.about()
        if about.get("digest") != _digest(content):
            raise DataError("was changed since it was made.", file=path)
        for name in (str(about.get("member")), str(about["digest"])):
            if name in seen:
                raise DataError(f"is the member's in {seen[name]}, too.", file=path)
            seen[name] = path
        total = adder.add(total, _loaded(adder, content, path))
    content = _saved(total)
    about = group.about("sum", members=len(members), digest=_digest(content))
    _write_archive(Path(out), about, {_HISTOGRAMS_FILE: content})
    return len(members)


def read_sum(file: Path | str, keys: KeyFolder) -> Peers:
    """Decrypt a sum.

    Parameters
    ----------
    file
        From :func:`add_members`.
    keys
        The keys that the group was started with.

    Raises
    ------
    DataError
        The file is no sum, damaged, or of another group; or what is decrypted are no whole numbers
        of posts that so many members could have.
    """
    path = Path(file)
    owner = keys.fields()
    with _Archive(path) as archive:
        group, about = archive.group("sum"), archive.about()
        content = archive.content(_HISTOGRAMS_FILE, MAX_CIPHERTEXT_BYTES)
    if _digest(content) != about.get("digest"):
        raise DataError("was changed since it was made.", file=path)
    members = about.get("members")
    if not isinstance(members, int) or not group.minimum_members <= members <= MOST_MEMBERS:
        raise DataError(
            f"{members!r} members; a sum has at least {group.minimum_members}.", file=path
        )
    values = owner.decrypt(_loaded(owner, content, path)) * MOST_POSTS
    return Peers(group, members, _checked(values, group, members, path))


def write_peers(peers: Peers, out: Path | str) -> None:
    """Write a decrypted sum as JSON, for the members; what too few of them have is left out."""
    shown = peers.histograms.accounts >= peers.group.minimum_members
    posts = np.where(shown[..., None], peers.histograms.posts, 0)
    accounts = np.where(shown, peers.histograms.accounts, 0)
    about = peers.group.about("peers", members=peers.members)
    write_json(Path(out), about | {"accounts": accounts.tolist(), "posts": posts.tolist()})


def read_peers(file: Path | str) -> Peers:
    """Inverse of :func:`write_peers`.

    Raises
    ------
    DataError
        The file is none of these.
    """
    path = Path(file)
    about = read_object(path)
    group = _group_of(about, "peers", path)
    parts = parts_of(group.categories)
    try:
        posts = np.array(about["posts"], dtype=np.int64)
        accounts = np.array(about["accounts"], dtype=np.int64)
        members = int(about["members"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"not a group's rates ({error!r}).", file=path) from error
    if posts.shape != (len(parts), len(RATES), BINS) or accounts.shape != posts.shape[:2]:
        raise DataError("the numbers are not those of its parts, rates and bins.", file=path)
    if (posts < 0).any() or (accounts < 0).any() or (accounts > members).any():
        raise DataError("holds numbers of posts or accounts that can't be.", file=path)
    return Peers(group, members, Histograms(parts, posts, accounts))


def _slots(own: Histograms) -> Floats:
    """Posts per bin, then accounts, in as many slots as these take."""
    return np.concatenate([own.posts.ravel(), own.accounts.ravel()]).astype(np.float64)


def _checked(values: Floats, group: Group, members: int, file: Path) -> Histograms:
    """Whole numbers of posts and accounts from decrypted slots."""
    parts = parts_of(group.categories)
    shape = (len(parts), len(RATES), BINS)
    used = int(np.prod(shape)) + shape[0] * shape[1]
    counts = np.rint(values)
    fits = (
        np.isfinite(values).all()
        and (np.abs(values - counts) < _WHOLE).all()
        and (counts >= 0).all()
        and (counts[used:] == 0).all()
        and counts.max(initial=0) <= members * MOST_POSTS
    )
    if not fits:
        raise DataError(
            "what was decrypted are no numbers of posts: it was changed, or a member's file was "
            "made with another key.",
            file=file,
            fix="Ask the members for their files again.",
        )
    whole = counts[:used].astype(np.int64)
    posts = whole[: int(np.prod(shape))].reshape(shape)
    accounts = whole[int(np.prod(shape)) :].reshape(shape[:2])
    likely = (accounts <= members).all() and ((posts.sum(axis=2) >= accounts).all())
    if not likely or ((accounts == 0) & (posts.sum(axis=2) > 0)).any():
        raise DataError(
            f"{members} members can't have such numbers of posts: one of their files is made up.",
            file=file,
        )
    return Histograms(parts, posts, accounts)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]


def _saved(encrypted: Ciphertext) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ciphertext"
        encrypted.save(str(path))
        return path.read_bytes()


def _loaded(reader: Any, content: bytes, file: Path) -> Ciphertext:
    with _scratch(content) as path:
        try:
            return reader.load_sum(path)
        except DataError as error:
            raise DataError(f"{_HISTOGRAMS_FILE!r}: {error.problem}", file=file) from error


@contextmanager
def _scratch(content: bytes) -> Iterator[Path]:
    """A file of some content while it is needed, since the library reads files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content"
        path.write_bytes(content)
        yield path


def _write_archive(out: Path, about: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(_ABOUT_FILE, json.dumps(about, ensure_ascii=False))
        for name, content in files.items():
            archive.writestr(name, content)


class _Archive:
    """Reads one of the files, within bounds on the size of its entries."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._archive = zipfile.ZipFile(file)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"not a file of a group ({error}).", file=file) from error

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def content(self, name: str, limit: int) -> bytes:
        return entry_content(self._archive, name, limit, self._file)

    def about(self) -> dict[str, Any]:
        about = parse_json(self.content(_ABOUT_FILE, MAX_JSON_BYTES), f"{self._file}, about.json")
        if not isinstance(about, dict):
            raise DataError("not a file of a group.", file=self._file)
        return about

    def group(self, kind: str) -> Group:
        return _group_of(self.about(), kind, self._file)


def _group_of(about: Mapping[str, Any], kind: str, file: Path) -> Group:
    """The group that a description names; DataError if it is of another kind or release."""
    names = {"group": "a group", "member": "a member", "sum": "a sum", "peers": "a group's rates"}
    if about.get("kind") != kind:
        found = names.get(str(about.get("kind")), "something else")
        raise DataError(f"is the file of {found}, not of {names[kind]}.", file=file)
    categories, minimum = about.get("categories"), about.get("minimum_members")
    valid = (
        isinstance(about.get("group"), str)
        and isinstance(categories, list)
        and len(categories) <= MOST_CATEGORIES
        and all(isinstance(name, str) for name in categories)
        and isinstance(minimum, int)
        and FEWEST_MEMBERS <= minimum <= MOST_MEMBERS
    )
    if not valid or not isinstance(categories, list) or not isinstance(minimum, int):
        raise DataError("does not say which group it is of.", file=file)
    group = Group(str(about["group"]), tuple(categories), minimum)
    for name, expected in group.about(kind).items():
        if about.get(name) != expected:
            raise DataError(
                f"{name} is {about.get(name)!r}; this release reads {expected!r}.",
                file=file,
                fix="All members, coordinator and reader need the same release of evoked.",
            )
    return group
