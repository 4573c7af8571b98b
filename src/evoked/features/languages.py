"""What captions are written in, and which text encoder reads it.

The language of a text is what py3langid (Lui and Baldwin 2012; BSD-3) is sure of; it is imported
only for texts in a script that several languages share. Hashtags, mentions, addresses and emoji are
no language, and a few letters are not enough to know one by.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from evoked.features.captions import part_emoji, prepare
from evoked.features.encoders.universal_text import has_universal_encoder

if TYPE_CHECKING:
    from evoked.features.catalog import FeatureSettings

UNDECIDED = "undecided"
UNIVERSAL = "use"
"""Name of the text encoder for other languages than English."""

CHOSEN_BY_CAPTIONS = ("text_encoder", "affect_reader")
"""The settings of features that captions decide, unless they are asked for."""

# The languages that are known here, by the code that py3langid has for them.
LANGUAGES = {
    "af": "Afrikaans",
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "km": "Khmer",
    "ko": "Korean",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mr": "Marathi",
    "ms": "Malay",
    "my": "Burmese",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Filipino",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese",
}

# What an encoder was trained on. Translations into Indonesian and Malay are USE's as well: eight
# sentences each were nearest to their own (mean cosine .75 and .69; German .78, Swedish .12).
READS: dict[str, frozenset[str]] = {
    "builtin": frozenset({"English"}),
    UNIVERSAL: frozenset(
        {
            *("Arabic", "Chinese", "Dutch", "English", "French", "German", "Indonesian", "Italian"),
            *("Japanese", "Korean", "Malay", "Polish", "Portuguese", "Russian", "Spanish", "Thai"),
            "Turkish",
        }
    ),
}

# Every repetition is bounded, so that no text takes more than linear time.
_MARKED = re.compile(r"[#＃@＠][\w.]{1,200}")
_LETTER = re.compile(r"[^\W\d_]")
_SCRIPTS = {
    "Japanese": re.compile("[\u3040-\u30ff]"),
    "Korean": re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]"),
    "Thai": re.compile("[\u0e00-\u0e7f]"),
}
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_FEWEST_LETTERS, _FEWEST_SIGNS = 12, 3
# Of 3,000 sentences of EmoBank, which are English, this decides all of 80 characters and more,
# rightly, and 58 % of those of 15 to 25, of which 1 % are wrong.
_SURE = 0.5
_MOST_CHARACTERS = 1000
_MOST_POSTS = 5000
_MOST_NAMED = 6
# Of the captions in a known language, those that only the encoder of other languages reads.
_SHARE_FOR_ENCODER, _SHARE_FOR_READER = 0.5, 0.05


def languages_of(texts: Sequence[str | None]) -> list[str | None]:
    """What each text is written in.

    Parameters
    ----------
    texts
        n captions, as they were written.

    Returns
    -------
    list
        English names of languages (:data:`LANGUAGES`), :data:`UNDECIDED`, or None for no text.

    Examples
    --------
    >>> languages_of(["What a lovely evening by the sea", "今日は天気が良い", "#sunset 😍", None])
    ['English', 'Japanese', 'undecided', None]
    """
    cleaned = prepare(texts, steps=["urls"], max_characters=_MOST_CHARACTERS)
    return [_language(text) if text else None for text in cleaned]


def caption_languages(captions: Sequence[str | None]) -> dict[str, int]:
    """Number of captions by language, most first, those undecided last. Of more than 5,000 posts,
    so many are looked at, evenly spaced."""
    step = max(1, -(-len(captions) // _MOST_POSTS))
    return dict(_counted(tuple(captions[::step])))


def captions_note(captions: Sequence[str | None], encoder: str) -> str | None:
    """What captions are written in and which of it the text encoder reads, in a line; None where
    there are no captions."""
    found = caption_languages(captions)
    if not found:
        return None
    line = f"Captions: {_listed(found)}; the text encoder ({encoder})"
    if encoder not in READS:
        return f"{line} is your own choice."
    unread = unread_languages(found, encoder)
    reads = "English" if encoder == "builtin" else f"{len(READS[encoder])} languages"
    if not unread:
        return f"{line} reads {reads}."
    line = f"{line} reads {reads}, not {_listed(unread)}."
    *first, last = sorted(set(unread) & READS[UNIVERSAL]) or [""]
    if encoder != "builtin" or not last:
        return line
    others = f"{', '.join(first)} and {last}" if first else last
    if has_universal_encoder():
        return f"{line} The text encoder {UNIVERSAL} would read {others}."
    return f"{line} One that reads {others} comes with: pip install 'evoked[languages]'."


def unread_languages(found: Mapping[str, int], encoder: str) -> dict[str, int]:
    """Those of the ``found`` languages that a text encoder doesn't read; none where that isn't
    known."""
    if encoder not in READS:
        return {}
    reads = READS[encoder] | {UNDECIDED}
    return {name: number for name, number in found.items() if name not in reads}


def for_captions(
    settings: FeatureSettings | None, captions: Sequence[str | None]
) -> FeatureSettings:
    """The settings with what reads the captions, where the extra ``languages`` is there: the text
    encoder that reads most of them, and the emotion reader that reads noticeably more; what was
    asked for stays."""
    from evoked.features.catalog import FeatureSettings

    settings = settings or FeatureSettings()
    if not has_universal_encoder():
        return settings
    found = caption_languages(captions)
    decided = sum(number for name, number in found.items() if name != UNDECIDED)
    gained = sum(unread_languages(found, "builtin").values()) - sum(
        unread_languages(found, UNIVERSAL).values()
    )
    chosen = {}
    if gained > _SHARE_FOR_ENCODER * decided:
        chosen["text_encoder"] = UNIVERSAL
    if gained > _SHARE_FOR_READER * decided:
        chosen["affect_reader"] = UNIVERSAL
    asked = settings.model_fields_set
    return settings.model_copy(update={k: v for k, v in chosen.items() if k not in asked})


def _listed(found: Mapping[str, int]) -> str:
    """Languages with their numbers of captions, the rare ones together."""
    named = [f"{name} {number}" for name, number in list(found.items())[:_MOST_NAMED]]
    others = sum(list(found.values())[_MOST_NAMED:])
    return ", ".join(named) + (f", others {others}" if others else "")


@lru_cache(maxsize=4)
def _counted(captions: tuple[str | None, ...]) -> tuple[tuple[str, int], ...]:
    found = Counter(name for name in languages_of(captions) if name is not None)
    undecided = found.pop(UNDECIDED, 0)
    return (*found.most_common(), *([(UNDECIDED, undecided)] if undecided else []))


def _language(text: str) -> str:
    said, _ = part_emoji(_MARKED.sub(" ", text))
    letters = len(_LETTER.findall(said))
    own = {name: len(script.findall(said)) for name, script in _SCRIPTS.items()}
    han = len(_HAN.findall(said))
    if own["Japanese"]:
        own["Japanese"] += han
    else:
        own["Chinese"] = han
    name, signs = max(own.items(), key=lambda item: item[1])
    if 2 * signs > letters:
        return name if signs >= _FEWEST_SIGNS else UNDECIDED
    if letters < _FEWEST_LETTERS:
        return UNDECIDED
    code, sure = _identifier().classify(said)
    return LANGUAGES[code] if sure >= _SURE else UNDECIDED


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier
