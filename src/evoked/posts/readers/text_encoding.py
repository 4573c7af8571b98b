"""In which encoding a text file is written, and whether texts were decoded in a wrong one."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from evoked.errors import DataError, SettingsError

_BLOCK = 2**20
_SAMPLE_BYTES = 2**18
# The mark of UTF-32 begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
# Encodings in which what isn't ASCII stands in seven bits, between marks.
_SEVEN_BITS = ((b"\x1b$)C", "iso2022-kr"), (b"\x1b$", "iso2022-jp"), (b"~{", "hz"))
# In ISO 8859-15, letters and the euro stand where Latin-1 has signs that stand beside no letter,
# and where a price ends; where Windows-1252 has quotes and dashes, it has nothing.
_LATIN_9 = re.compile(
    rb"(?<=[A-Za-z\xc0-\xff])[\xa6\xa8\xbc\xbd\xbe](?=[A-Za-z\xc0-\xff])"
    rb"|(?<![0-9A-Za-z\xc0-\xff])[\xa6\xa8\xbc\xbd](?=[a-z\xe0-\xff])|\d ?\xa4|\xa4 ?\d"
)
_WINDOWS = re.compile(rb"[\x80-\x9f]")
# Letters of UTF-8, and bytes beyond ASCII that are in none.
_OF_UTF_8 = re.compile(
    rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_FEWEST_OF_UTF_8 = 4
_MOST_STRAYS = 0.1
# Of UTF-16, every other byte is null where the text is Latin; of other files hardly any.
_MOST_NULL_BYTES = 0.02
_TOO_MANY_NULL_BYTES = 0.25
_STRAY_BYTES = 400
_BEYOND_ASCII = bytes(range(0x80, 0x100))
# A few odd bytes are no text of a Macintosh of old.
_FEWEST_OF_MAC = 8
# Fewer than this share of bad texts are people's own.
_SOME = 0.02

# The most frequent characters of each language; a text of ten characters holds some of them.
_CHINESE = frozenset(
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后"
    "小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
    "第二片照茶今新美爱吃店买家最快乐图视频品牌分享"
)
_TRADITIONAL = frozenset(
    "的一是不了在人有我他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後"
    "小麼心多天而能好都然沒日於起還發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長"
    "第二片照茶今新美愛吃店買家最快樂圖視頻品牌分享"
)
_KOREAN = frozenset(
    "이다는에의을를가고로한하지도으나서기사인시아리정대수그자어일은해과만보있니요것들"
)


def find_encoding(source: Path) -> str:
    """The encoding of a text file.

    It is that of the file's mark if it has one; UTF-16 or UTF-32 if null bytes are frequent; UTF-8
    if the bytes allow it. Otherwise it is the one whose characters occur in texts: Windows-1252,
    the code pages of other alphabets, or those of Chinese, Japanese and Korean.

    Raises
    ------
    DataError
        Null bytes are all over the file, and it is in no such encoding.
    """
    with source.open("rb") as stream:
        sample = stream.read(_SAMPLE_BYTES)
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    wide = _without_mark(sample)
    if not wide and sample.count(0) > len(sample) * _MOST_NULL_BYTES:
        wide = _wide_encoding(source, sample)
    if wide:
        return wide
    for mark, name in _SEVEN_BITS:
        if mark in sample and sample.isascii() and decodes(source, name):
            return name
    if decodes(source, "utf-8") or _is_nearly_utf_8(sample):
        return "utf-8"
    has_few = len(sample) - len(sample.translate(None, _BEYOND_ASCII)) < _FEWEST_OF_MAC
    scores = {
        name: _score(sample, name, looks)
        for name, looks in _CANDIDATES.items()
        if not (has_few and name.startswith("mac-"))
    }
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > scores["cp1252"] + 0.1 else _western_encoding(source, sample)


def _western_encoding(source: Path, sample: bytes) -> str:
    if _LATIN_9.search(sample) and not _WINDOWS.search(sample):
        return "iso8859-15"
    return "cp1252" if decodes(source, "cp1252") else "latin-1"  # which takes any byte


def _is_nearly_utf_8(sample: bytes) -> bool:
    """Whether nearly all that is beyond ASCII is UTF-8: the rest was damaged."""
    letters = len(_OF_UTF_8.findall(sample))
    rest = _OF_UTF_8.sub(b"", sample)
    strays = len(rest) - len(rest.translate(None, _BEYOND_ASCII))
    return letters >= _FEWEST_OF_UTF_8 and strays <= _MOST_STRAYS * letters


def _wide_encoding(source: Path, sample: bytes) -> str:
    """The encoding of a file in which null bytes are frequent; "" if they are strays."""
    in_header = 0 in sample.partition(b"\n")[0]
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        text = sample[: len(sample) // 4 * 4].decode(encoding, errors="replace")
        header, _, rest = text.partition("\n")
        is_table = in_header and bool(rest) and any(sign in header for sign in ",;\t|")
        if is_table and "\0" not in text and decodes(source, encoding):
            return encoding
    if len(sample) < _STRAY_BYTES or sample.count(0) < len(sample) * _TOO_MANY_NULL_BYTES:
        return ""
    raise DataError(
        "null bytes are all over it, and it is neither UTF-16 nor UTF-32.",
        file=source,
        fix="Save the table as CSV in UTF-8.",
    )


def check_encoding(name: str) -> str:
    """An encoding's name, if Python has it; raises SettingsError otherwise."""
    try:
        "".encode(name)
        found = codecs.lookup(name).name
    except (LookupError, UnicodeError, ValueError):
        raise SettingsError(
            f"there is no encoding {name!r}; for example utf-8, utf-16, cp1252, cp1251, cp932, gbk."
        ) from None
    return found


def decodes(source: Path, encoding: str) -> bool:
    """Whether a whole file can be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with source.open("rb") as stream:
            while block := stream.read(_BLOCK):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def badly_decoded(texts: Iterable[str]) -> str:
    """A sample of texts that were decoded in a wrong encoding; "" if nearly none was.

    Examples
    --------
    >>> badly_decoded(["CafÃ© au lait", "Tea"]), badly_decoded(["Café", "Ça va", "Пьём чай"])
    ('CafÃ© au lait', '')
    """
    foreign = [text for text in texts if not text.isascii()]
    bad = [text for text in foreign if _is_garbled(text)]
    return bad[0][:60] if bad and len(bad) >= _SOME * len(foreign) else ""


def _is_garbled(text: str) -> bool:
    """Whether a text has UTF-8 read as an 8-bit encoding, or letters of no language in a row."""
    if re.search(r"[\x80-\x9f]|�{2}|\w�\w", text):
        return True
    for part in re.findall(r"[^\x00-\x7f]{2,}", text):
        for encoding in ("cp1252", "latin-1"):
            try:
                if part.encode(encoding).decode("utf-8") != part:
                    return True
            except UnicodeError:
                continue
    # Words of accented capitals and signs alone: Cyrillic, Greek … read as a Western code page.
    words = [word for word in re.findall(r"[^\s\d.,;:!?()\"'#@/-]+", text) if len(word) > 3]
    odd = [word for word in words if re.fullmatch(r"[\xa1-\xff]+", word)]
    return len(odd) > len(words) / 3 and bool(odd)


def _without_mark(sample: bytes) -> str:
    """UTF-16 by the null bytes of its ASCII characters; "" if it isn't that."""
    pairs = len(sample) // 2
    first, second = sample[0 : pairs * 2 : 2].count(0), sample[1 : pairs * 2 : 2].count(0)
    if second >= 4 and second > 0.15 * pairs and first < 0.01 * pairs:
        return "utf-16-le"
    if first >= 4 and first > 0.15 * pairs and second < 0.01 * pairs:
        return "utf-16-be"
    return ""


def _score(sample: bytes, encoding: str, looks: Callable[[str, str], float]) -> float:
    """How usual the characters beyond ASCII are; -1 if the bytes can't be decoded.

    Windows-1252 has a few gaps, which Latin-1 fills.
    """
    errors = "replace" if encoding == "cp1252" else "strict"
    try:
        text = codecs.getincrementaldecoder(encoding)(errors).decode(sample)
    except UnicodeDecodeError:
        return -1.0
    before = zip(" " + text, text, strict=False)
    scores = [looks(last, each) for last, each in before if each > "\x7f"]
    return sum(scores) / len(scores) if scores else 0.0


def _western(before: str, each: str) -> float:
    if each in "“”‘’„–—…•€£°«»©®™´¡¿½¼¾§²³±×·\xa0":
        return 0.7
    if not each.isalpha() or each > "ÿ":
        return 0.0
    # Accented letters stand among plain ones; in a row they are another alphabet.
    return (0.5 if each in "þðýÞÐÝ" else 1.0) * (1.0 if before.isascii() else 0.2)


def _accented(letters: str) -> Callable[[str, str], float]:
    """A judge of an alphabet of plain letters and some accented ones."""

    def looks(before: str, each: str) -> float:
        if each.casefold() in letters:
            return 1.0 if before.isascii() or before.casefold() in letters else 0.2
        return 0.7 if each in "“”‘’„–—…•€°«»\xa0" else 0.0

    return looks


def _alphabet(low: str, high: str, frequent: str) -> Callable[[str, str], float]:
    """A judge of an alphabet without plain letters: capitals only at the beginning of words."""

    def looks(before: str, each: str) -> float:
        if not low <= each <= high:
            return 0.5 if each in "“”‘’„–—…«»№\xa0" else 0.0
        if before.isascii() and before.isalpha():
            return 0.0
        if each.isupper() and before.isalpha() and not before.isupper():
            return 0.2
        return 1.0 if each.casefold() in frequent else 0.75

    return looks


def _chinese(common: frozenset[str], encoding: str) -> Callable[[str, str], float]:
    # In both code pages the frequent characters come first.
    highest = 0xD7 if encoding == "gb2312" else 0xC6

    def looks(before: str, each: str) -> float:
        if each in common:
            return 1.2
        if "\u4e00" <= each <= "\u9fff":
            coded = each.encode(encoding, "ignore")
            return 0.7 if coded and coded[0] <= highest else 0.1
        return 0.7 if each in "，。！？、：；（）《》“”…—" else 0.0

    return looks


def _japanese(before: str, each: str) -> float:
    if "\u3041" <= each <= "\u30fc":
        return 1.2
    if "\u4e00" <= each <= "\u9fff":
        coded = each.encode("cp932", "ignore")
        return 0.6 if coded and coded[0] <= 0x97 else 0.1
    return 0.7 if each in "、。！？「」（）・〜…" else 0.0


def _korean(before: str, each: str) -> float:
    if each in _KOREAN:
        return 1.2
    return 0.75 if "\uac00" <= each <= "\ud7a3" else 0.0


_CANDIDATES: dict[str, Callable[[str, str], float]] = {
    "cp1252": _western,
    "cp1254": _accented("ğışi̇çöüâîû"),
    "cp1250": _accented("ąćęłńóśźżáčďéěíňřšťúůýžőűöüä"),
    "cp1251": _alphabet("Ё", "ё", "оеаинтсрвлкмдпуя"),
    "koi8-r": _alphabet("Ё", "ё", "оеаинтсрвлкмдпуя"),
    "iso8859-5": _alphabet("Ё", "ё", "оеаинтсрвлкмдпуя"),
    "mac-cyrillic": _alphabet("Ё", "ё", "оеаинтсрвлкмдпуя"),
    "cp866": _alphabet("Ё", "ё", "оеаинтсрвлкмдпуя"),
    "iso8859-2": _accented("ąćęłńóśźżáčďéěíňřšťúůýžőűöüä"),
    "cp1257": _accented("ąčęėįšųūžāēģīķļņõäöü"),
    "mac-roman": _western,
    "cp1253": _alphabet("Ά", "ώ", "αοιετσνηυρπκμλάόίέήύς"),
    "cp1255": _alphabet("א", "ת", "יוהלאמשתרנבםח"),
    "cp1256": _alphabet("،", "ے", "الينموترهبدعسفك"),
    "cp874": _alphabet("ก", "๛", ""),
    "gb18030": _chinese(_CHINESE, "gb2312"),
    "big5": _chinese(_TRADITIONAL, "big5"),
    "cp932": _japanese,
    "euc-jp": _japanese,
    "euc-kr": _korean,
}
