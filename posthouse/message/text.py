"""Text of any charset, made readable: decoding that never fails, flowed lines joined, HTML told in plain words."""

import codecs
import re
from encodings.aliases import aliases
from functools import lru_cache

from posthouse.message.html import html_to_text

__all__ = ["codec_of", "decode", "decode_with_oddity", "flowed", "html_to_text"]

# What mailers call a charset, and what they mean by it (WHATWG Encoding §4.2 where it has an opinion)
_MEANT = {
    "ascii": "utf_8", "us_ascii": "utf_8", "646": "utf_8", "ansi_x3_4_1968": "utf_8", "iso646_us": "utf_8",
    "7bit": "utf_8", "8bit": "utf_8", "binary": "utf_8", "unknown_8bit": "utf_8", "unknown": "utf_8",
    "default": "utf_8", "default_charset": "utf_8", "utf_8_mb4": "utf_8", "utf8mb4": "utf_8",
    "unicode_1_1_utf_8": "utf_8",
    "iso_8859_1": "cp1252", "iso8859_1": "cp1252", "8859_1": "cp1252", "latin_1": "cp1252", "latin1": "cp1252",
    "l1": "cp1252", "iso_8859_1_1987": "cp1252", "iso_ir_100": "cp1252", "windows_1252": "cp1252",
    "ansi": "cp1252", "x_ansi": "cp1252", "iso_8859_9": "cp1254", "latin5": "cp1254", "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8", "gb2312": "gb18030", "gb_2312_80": "gb18030", "gbk": "gb18030", "x_gbk": "gb18030",
    "cp936": "gb18030", "euc_cn": "gb18030", "ks_c_5601_1987": "cp949", "ks_c_5601": "cp949", "euc_kr": "cp949",
    "shift_jis": "cp932", "sjis": "cp932", "x_sjis": "cp932", "windows_31j": "cp932", "big5": "cp950",
    "tis_620": "cp874",
    "unicode_1_1_utf_7": "utf_7", "iso_2022_jp": "iso2022_jp_2", "csiso2022jp": "iso2022_jp_2", "x_unknown": "utf_8",
    "macintosh": "mac_roman", "x_mac_roman": "mac_roman", "x_euc_jp": "euc_jp", "utf_16": "utf_16",
    "unicode": "utf_16",
}  # fmt: skip
# Python's codecs that are no charset, or that cost more than linear time
_NO_CHARSETS = frozenset(
    [
        "base64_codec",
        "bz2_codec",
        "hex_codec",
        "quopri_codec",
        "rot_13",
        "uu_codec",
        "zlib_codec",
        "idna",
        "punycode",
        "raw_unicode_escape",
        "unicode_escape",
        "undefined",
        "mbcs",
        "oem",
        "charmap",
        "unicode_internal",
    ]
)
_MODULES = (frozenset(aliases) | frozenset(aliases.values())) - _NO_CHARSETS
_CLEAN_NAME = re.compile(r"[^a-z0-9]+")
_UTF8_LETTER = re.compile(rb"[\xc3-\xf4][\x80-\xbf]")
_MIXED = "posthouse-utf8-and-windows-1252"
_MAX_MIXED = 10_000  # each costs a call; beyond it they become question marks
_SURROGATES = re.compile("[\ud800-\udfff]")


@lru_cache(maxsize=512)
def codec_of(charset: str) -> str:
    """The codec for what a mailer calls its charset; "" when nobody knows it."""
    name = _CLEAN_NAME.sub("_", charset.lower()).strip("_")
    name = _MEANT.get(name, name)
    if name not in _MODULES or aliases.get(name) in _NO_CHARSETS:
        if not re.fullmatch(r"(?:windows_|x_cp|cp_|win_?)(125\d|874)", name):
            return ""
        name = "cp" + re.sub(r"\D", "", name)
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""


def decode(content: bytes, charset: str | None) -> str:
    """The text of these bytes; a lying or unknown charset is survived, NUL and lone surrogates are dropped."""
    return decode_with_oddity(content, charset)[0]


def decode_with_oddity(content: bytes, charset: str | None) -> tuple[str, str]:
    """(text, what was odd about its charset as a sentence without full stop, or ""). Never raises, linear time."""
    name = charset.strip("\"' \t")[:60] if charset else ""
    codec = codec_of(name) if name else "utf-8"
    if content.isascii() and codec in ("utf-8", "cp1252", "cp1254"):
        return content.decode("ascii").replace("\0", ""), ""
    if not codec:
        return _guess(content), f"the charset {name} is unknown"
    try:
        text = content.decode(codec)
    except (UnicodeError, LookupError, ValueError):
        if codec == "utf-8" or content.isascii():
            return _guess(content), f"the text is not in the charset it names ({name or 'none'})"
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode(codec, "replace")
        return _clean(text), f"the text is not in the charset it names ({name})"
    return _clean(text), ""


def _guess(content: bytes) -> str:
    """UTF-8 or windows-1252, whichever speaks more in these bytes; both where a quoting mailer mixed them."""
    try:
        return _clean(content.decode("utf-8"))
    except UnicodeDecodeError as trouble:
        if trouble.start >= len(content) - 3 and not content[: trouble.start].isascii():
            return _clean(content.decode("utf-8", "replace"))  # UTF-8 that was cut within its last letter
    text = content.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    if len(_UTF8_LETTER.findall(content)) <= wrong:
        return _clean(content.decode("cp1252", "replace"))
    return _clean(content.decode("utf-8", _MIXED) if wrong <= _MAX_MIXED else text)


def _western(trouble: UnicodeError) -> tuple[str, int]:
    """The error handler for text in two charsets: octets that are no UTF-8 are read as windows-1252."""
    if not isinstance(trouble, UnicodeDecodeError):
        raise trouble
    return trouble.object[trouble.start : trouble.end].decode("cp1252", "replace"), trouble.end


codecs.register_error(_MIXED, _western)


def _clean(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "")
    if not text.isascii():
        if text[0] == "\ufeff":
            text = text[1:]
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:  # UTF-7 and UTF-16 can smuggle half letters in, which no database takes
            text = _SURROGATES.sub("\ufffd", text)
    return text


def flowed(text: str, delsp: bool = False) -> str:
    """Join the soft lines of format=flowed (RFC 3676 §4); quoted lines stay quoted. Takes LF line ends."""
    out: list[str] = []
    joining: list[str] = []
    depth = 0
    for line in text.split("\n"):
        line_depth = len(line) - len(line.lstrip(">"))
        line = line[line_depth:].removeprefix(" ")  # RFC 3676 §4.4: space-stuffing
        if joining and line_depth != depth:  # RFC 3676 §4.5: another depth ends the paragraph
            out.append(_quoted("".join(joining), depth))
            joining = []
        depth = line_depth
        if line.endswith(" ") and line != "-- ":  # RFC 3676 §4.3: the signature separator is never soft
            joining.append(line[:-1] if delsp else line)
        elif line == "-- ":
            if joining:
                out.append(_quoted("".join(joining), depth))
                joining = []
            out.append(_quoted(line, depth))
        else:
            joining.append(line)
            out.append(_quoted("".join(joining), depth))
            joining = []
    if joining:
        out.append(_quoted("".join(joining), depth))
    return "\n".join(out)


def _quoted(line: str, depth: int) -> str:
    return f"{'>' * depth} {line}" if depth else line
