"""One thing that was looked at: how it is, and what to do where it is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass

GOOD, NOTE, WRONG, UNKNOWN = "good", "note", "wrong", "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """`state`: good, note (worth knowing), wrong, or unknown (nobody could be asked). `hint`: what may be done."""

    id: str
    state: str
    sentence: str
    hint: str = ""
