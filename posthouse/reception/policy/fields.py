"""What is written before a message that was let in with a remark, for lists and filters to look at."""

from __future__ import annotations

import re
from collections.abc import Iterable

FIELD = "X-Posthouse-Tag"
LONGEST_REASON = 300  # octets
_ODD = re.compile(r"[^\x20-\x7e]+")


def tag_field(tags: Iterable[tuple[str, str]]) -> bytes:
    """`X-Posthouse-Tag: spf (reason);` and so on, one check on each line; b"" without tags.

    Reasons hold what strangers say: whatever could end a line, a comment or the field is replaced.
    """
    said = [f"{name} ({_comment(reason)})" for name, reason in tags]
    lines = ";\r\n\t".join(said)  # RFC 5322 §2.2.3: folded
    return f"{FIELD}: {lines}\r\n".encode("ascii") if said else b""


def _comment(text: str) -> str:
    """Text as a comment holds it (RFC 5322 §3.2.2)."""
    clean = " ".join(_ODD.sub(" ", text.encode("ascii", "replace").decode("ascii")).split())[:LONGEST_REASON]
    return clean.replace("\\", "/").replace("(", "[").replace(")", "]")
