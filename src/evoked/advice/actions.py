"""What a person could change about one draft, without another idea for it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from evoked.advice.effects import NUMBER_STARTS, Design, aspects_of
from evoked.errors import ImageError, SettingsError
from evoked.features.captions import part_emoji
from evoked.features.form import QUESTION_MARK, opening_of, words_of
from evoked.posts.drafts import Draft
from evoked.posts.images import load_image
from evoked.posts.readers.base import PICTURE_SUFFIXES

Edit = Callable[[Draft], Draft]

PICTURE = "picture"
MOST_ALTERNATIVES = 30
# Share of a picture's sides that a crop keeps, and where crops lie.
_KEPT = 0.75
_CROPS = {
    "upper left": (0.0, 0.0),
    "upper right": (1.0, 0.0),
    "lower left": (0.0, 1.0),
    "lower right": (1.0, 1.0),
    "middle": (0.5, 0.5),
}
_SMALLEST_CROP = 64  # pixels
_FORMATS = {"image": "a single picture", "carousel": "a carousel", "video": "a video"}
_MENTIONS = re.compile(r"@[\w.]{1,60}")


@dataclass(frozen=True)
class Action:
    """One change of a draft.

    Attributes
    ----------
    about
        What it changes: one of :data:`evoked.advice.effects.ASPECTS`, a hashtag with '#', or
        :data:`PICTURE`.
    text
        What to do, as one would say it.
    before, after
        The value before and after; of hashtags ``no`` and ``yes``, of pictures their names.
    form
        What it changes of the draft's form, by column.
    edit
        Makes the change; where only a person can make it well, something like it, which the run's
        model can score. None where not even that can be done.
    mechanical
        Whether the edited draft can be posted as it is.
    """

    about: str
    text: str
    before: str
    after: str
    form: dict[str, Any] = field(default_factory=dict)
    edit: Edit | None = None
    mechanical: bool = False


def actions_on(
    draft: Draft,
    form: pd.Series,
    design: Design,
    past: pd.DataFrame,
) -> list[Action]:
    """Every change of a draft but of its picture and time that past posts can say something of.

    Parameters
    ----------
    draft
        The draft.
    form
        Its row of :func:`evoked.features.form.form_of`.
    design
        What the past posts differ in.
    past
        The account's own posts, rows of :attr:`evoked.runs.past.PastPosts.table`.
    """
    now = aspects_of(form.to_frame().T, design.bounds).iloc[0]
    return [
        *_caption_changes(draft, now, design),
        *_lengths(draft, now, design),
        *_formats(draft, now, design),
        *_numbers(form, now, design, past),
        *_tags(form, design),
    ]


def pictures_for(draft: Draft, design: Design, alternatives: Sequence[Path]) -> list[Action]:
    """Other pictures, and parts of the draft's own; none where their worth is not known."""
    if not any(name.startswith("image_") for name in design.coordinates):
        return []
    pictures: dict[str, tuple[str, Path | bytes]] = {
        f"Take the picture {path.name}": (path.name, path) for path in alternatives
    }
    for where, crop in _crops(draft.image).items():
        pictures[f"Crop the picture to its {where}, {_KEPT:.0%} of each side"] = (where, crop)
    return [
        Action(PICTURE, text, "as it is", name, {}, partial(_with_picture, image=image), True)
        for text, (name, image) in pictures.items()
    ]


def alternatives_in(folder: Path) -> list[Path]:
    """The pictures in a folder, by name.

    Raises
    ------
    SettingsError
        There is no such folder, or it holds no picture, or more than are compared.
    """
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder} of other pictures.")
    found = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in PICTURE_SUFFIXES
    )
    if not found:
        raise SettingsError(f"there is no picture in {folder} ({', '.join(PICTURE_SUFFIXES)}).")
    if len(found) > MOST_ALTERNATIVES:
        raise SettingsError(
            f"{len(found)} pictures in {folder}; at most {MOST_ALTERNATIVES} are compared. Put the "
            "ones that you would really post into a folder of their own."
        )
    return found


def _others(now: pd.Series, design: Design, about: str) -> list[str]:
    """The values of an aspect that past posts have and the draft has not; none where the draft's
    own can't be compared with them."""
    known = design.values[about]
    comparable = now[about] in known and len(known) > 1
    return [value for value in known if value != now[about]] if comparable else []


def _caption_changes(draft: Draft, now: pd.Series, design: Design) -> list[Action]:
    """Whether the caption asks, shows an emoji, or names somebody."""
    texts: dict[tuple[str, str], tuple[str, Edit | None, bool]] = {
        ("question", "yes"): ("Ask a question in the caption", _asks, False),
        ("question", "no"): ("Leave the question out", _asks_nothing, False),
        ("emoji", "yes"): ("Put an emoji into the caption", _with_emoji, False),
        ("emoji", "no"): ("Leave the emoji out", _without_emoji, True),
        ("mention", "yes"): ("Mention somebody (@…)", None, False),
        ("mention", "no"): ("Mention nobody", _mentions_nobody, False),
    }
    found = []
    for about in ("question", "emoji", "mention"):
        for value in _others(now, design, about):
            text, edit, mechanical = texts[about, value]
            form = {about: float(value == "yes")}
            found.append(Action(about, text, now[about], value, form, edit, mechanical))
    return found


def _asks(draft: Draft) -> Draft:
    return replace(draft, caption=f"{draft.caption}?")


def _asks_nothing(draft: Draft) -> Draft:
    return replace(draft, caption=QUESTION_MARK.sub("", draft.caption or ""))


def _with_emoji(draft: Draft) -> Draft:
    return replace(draft, caption=f"{draft.caption} ✨")


def _without_emoji(draft: Draft) -> Draft:
    bare = part_emoji(draft.caption or "")[0]
    return replace(draft, caption=re.sub(r"[ \t]+", " ", bare).strip())


def _mentions_nobody(draft: Draft) -> Draft:
    return replace(draft, caption=_MENTIONS.sub("", draft.caption or ""))


def _lengths(draft: Draft, now: pd.Series, design: Design) -> list[Action]:
    """Shorter and longer captions, and a shorter opening."""
    short, medium = int(design.bounds.short), int(design.bounds.medium)
    words = {
        "short": (f"at most {short} characters", short),
        "medium": (f"{short + 1} to {medium} characters", (short + medium) // 2),
        "long": (f"more than {medium} characters", medium + 1),
    }
    found = []
    for value in _others(now, design, "length"):
        text, characters = words[value]
        shorter = characters < len(words_of(draft.caption or ""))
        text = f"{'Shorten' if shorter else 'Lengthen'} the caption to {text}"
        edit = partial(_shortened, characters=characters) if shorter else None
        form = {"characters": float(characters)}
        found.append(Action("length", text, now["length"], value, form, edit))
    if "short" in _others(now, design, "opening"):
        most = int(design.bounds.opening)
        text = f"Open with a first line of at most {most} characters"
        edit, form = partial(_opened, most=most), {"opening": float(most)}
        found.append(Action("opening", text, now["opening"], "short", form, edit))
    return found


def _shortened(draft: Draft, characters: int) -> Draft:
    return replace(draft, caption=(draft.caption or "")[:characters])


def _opened(draft: Draft, most: int) -> Draft:
    caption = draft.caption or ""
    opening = opening_of(caption)
    return replace(draft, caption=caption.replace(opening, f"{opening[:most]}\n", 1))


def _formats(draft: Draft, now: pd.Series, design: Design) -> list[Action]:
    """Other formats; a draft without a picture doesn't say what it will be, unless it does so."""
    said = draft.image is not None or draft.media_type is not None
    values = _others(now, design, "format") if said else []
    return [
        Action(
            "format", f"Post it as {_FORMATS[value]}", now["format"], value, {"media_type": value}
        )
        for value in values
        if value in _FORMATS
    ]


def _numbers(form: pd.Series, now: pd.Series, design: Design, past: pd.DataFrame) -> list[Action]:
    """More or fewer hashtags: the account's commonest are added, the last ones dropped."""
    tags, found, values = list(form["hashtags"]), [], list(NUMBER_STARTS)
    pool = [tag for tag in past["hashtags"].explode().value_counts().index if tag not in tags]
    for value in _others(now, design, "number"):
        more = values.index(value) > values.index(now["number"])
        wanted = NUMBER_STARTS[value] if more else _most_hashtags(value)
        added, dropped = pool[: max(wanted - len(tags), 0)], tags[wanted:]
        kept = [*tags[:wanted], *added]
        if len(kept) < wanted:  # the account has no more of its own
            continue
        amount = "no hashtags" if value == "none" else f"{value} hashtags"
        edit = partial(with_tags, added=added, dropped=dropped)
        text = f"Use {amount} in place of {len(tags) or 'none'}"
        found.append(Action("number", text, now["number"], value, _tagged(kept), edit, True))
    return found


def _most_hashtags(value: str) -> int:
    """The most hashtags that a value of their number stands for, of those that end."""
    starts = list(NUMBER_STARTS.values())
    return starts[list(NUMBER_STARTS).index(value) + 1] - 1


def _tags(form: pd.Series, design: Design) -> list[Action]:
    """Hashtags of the account's pool, each added or dropped."""
    own, found = list(form["hashtags"]), []
    for tag in design.tags:
        if tag in own:
            kept, edit = [each for each in own if each != tag], partial(with_tags, dropped=[tag])
            text, before, after = f"Drop #{tag}", "yes", "no"
        else:
            kept, edit = [*own, tag], partial(with_tags, added=[tag])
            text, before, after = f"Add #{tag}", "no", "yes"
        found.append(Action(f"#{tag}", text, before, after, _tagged(kept), edit, True))
    return found


def _tagged(tags: list[str]) -> dict[str, Any]:
    return {"hashtags": tags, "hashtag_count": float(len(tags))}


def with_tags(draft: Draft, added: Sequence[str] = (), dropped: Sequence[str] = ()) -> Draft:
    """A draft with hashtags added at the end, or dropped wherever they stand.

    Examples
    --------
    >>> with_tags(Draft(caption="Hello #a #ab"), added=["c"], dropped=["a"]).caption
    'Hello #ab #c'
    """
    caption, listed = draft.caption or "", draft.hashtags
    for tag in dropped:
        caption = re.sub(rf"\s?[#＃]{re.escape(tag)}(?!\w)", "", caption, flags=re.IGNORECASE)
    caption = caption.strip()
    if listed is None:
        caption = " ".join([caption, *(f"#{tag}" for tag in added)]).strip()
        return replace(draft, caption=caption)
    kept = [tag for tag in listed if tag.lstrip("#").lower() not in dropped]
    return replace(draft, caption=caption or draft.caption, hashtags=[*kept, *added])


def _with_picture(draft: Draft, image: Path | bytes) -> Draft:
    return replace(draft, image=image)


def _crops(image: Path | str | bytes | None) -> dict[str, bytes]:
    """Parts of a picture as files; none of one that is small, or that can't be read, which the
    prediction says."""
    try:
        pixels = None if image is None else load_image(image)
    except ImageError:
        return {}
    if pixels is None or min(pixels.shape[:2]) * _KEPT < _SMALLEST_CROP:
        return {}
    height, width = (int(_KEPT * side) for side in pixels.shape[:2])
    found = {}
    for where, (across, down) in _CROPS.items():
        left = round(across * (pixels.shape[1] - width))
        top = round(down * (pixels.shape[0] - height))
        part = np.ascontiguousarray(pixels[top : top + height, left : left + width])
        stream = io.BytesIO()
        Image.fromarray(part).save(stream, "JPEG", quality=95)
        found[where] = stream.getvalue()
    return found
