"""Languages: the codes people may choose, what each is called by those who speak it, which one an address reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import connection

from posthouse.address import AddressError, key_of

if TYPE_CHECKING:
    from posthouse.lists.models import MailingList

ENGLISH = "en"  # the language of last resort: its templates are complete
TEMPLATES = Path(__file__).parent / "templates"
# RFC 5646 tags in lower case. Texts of the site's own can be stored in each; those without any are written in English.
LANGUAGES: Mapping[str, str] = {
    "ar": "العربية", "ast": "Asturianu", "bg": "Български", "ca": "Català", "cs": "Čeština", "da": "Dansk",
    "de": "Deutsch", "el": "Ελληνικά", "en": "English", "eo": "Esperanto", "es": "Español", "et": "Eesti",
    "eu": "Euskara", "fa": "فارسی", "fi": "Suomi", "fr": "Français", "gl": "Galego", "he": "עברית", "hr": "Hrvatski",
    "hu": "Magyar", "ia": "Interlingua", "it": "Italiano", "ja": "日本語", "ko": "한국어", "lt": "Lietuvių",
    "nl": "Nederlands", "no": "Norsk", "pl": "Polski", "pt": "Português", "pt-br": "Português (Brasil)",
    "ro": "Română", "ru": "Русский", "sk": "Slovenčina", "sl": "Slovenščina", "sr": "Српски", "sv": "Svenska",
    "tr": "Türkçe", "uk": "Українська", "vi": "Tiếng Việt", "zh-cn": "简体中文", "zh-tw": "繁體中文",
}  # fmt: skip
_BATCH = 400


def normal(code: str | None) -> str:
    """A language code as it is kept: `pt_BR` is `pt-br`; "" for none."""
    return (code or "").strip().lower().replace("_", "-")


def checked(code: str) -> str:
    """The code as it is kept. Raises ValueError with the rule for a language that is not known."""
    kept = normal(code)
    if kept not in LANGUAGES:
        raise ValueError(f"is no language known here; known are {', '.join(LANGUAGES)}")
    return kept


@cache
def complete() -> tuple[str, ...]:
    """The languages with built-in templates."""
    return tuple(sorted(folder.name for folder in TEMPLATES.iterdir() if folder.is_dir()))


def chain(*codes: str | None) -> list[str]:
    """Languages to try in order, each once: what was said, its general form (`pt` for `pt-br`), English at last."""
    tried: list[str] = []
    for code in (*(normal(one) for one in codes), ENGLISH):
        tried += [one for one in (code, code.partition("-")[0]) if one and one not in tried]
    return tried


def spoken(row: MailingList, addresses: Sequence[str]) -> tuple[dict[str, str], str]:
    """(the language that each of these addresses asked for, by key; what holds for all others); one question.

    Asked for on the membership, by the address, by the account; for others it is the list's, or the site's.
    """
    keys = _keys(addresses)
    found: dict[str, str] = {}
    site = ""
    for start in range(0, max(1, len(keys)), _BATCH):
        part = keys[start : start + _BATCH]
        marks = ", ".join(["%s"] * len(part)) or "''"
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT '', (SELECT preferred_language FROM directory_sitepreferences WHERE id = 1) UNION ALL "
                "SELECT a.key, COALESCE(NULLIF(m.preferred_language, ''), NULLIF(a.preferred_language, ''), "
                "c.preferred_language) FROM directory_address a "
                "LEFT JOIN lists_membership m ON m.address_id = a.id AND m.mailing_list_id = %s "
                f"LEFT JOIN directory_account c ON c.id = a.account_id WHERE a.key IN ({marks})",
                [row.pk, *part],
            )
            for key, language in cursor.fetchall():
                if not key:
                    site = normal(language)
                elif language:
                    found.setdefault(key, normal(language))
    return found, normal(row.preferred_language) or site or ENGLISH


def _keys(addresses: Iterable[str]) -> list[str]:
    keys = []
    for address in addresses:
        try:
            keys.append(key_of(address))
        except AddressError:
            continue
    return list(dict.fromkeys(keys))
