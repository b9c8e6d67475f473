"""What scanning leaves in a message: scores above it, a milter's edits, and no field that a stranger forged."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from posthouse.authenticity import results
from posthouse.configuration import Configuration, Scanner
from posthouse.content import files
from posthouse.content.spool import LARGE, Spooled
from posthouse.reception.policy.facts import Scan
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.trace import HEADER_READ, header_of
from posthouse.smtp.session import ForwardPath, ReturnPath

SCORE, REPORT = "X-Spam-Score", "X-Spam-Report"
MOST_BAR = 50
MOST_REPORT = 8 * 1024  # characters
MOST_LINE = 900
_TAGS, _SCORES = "x-posthouse-", "x-spam-"
_SUSPICIOUS = (b"\nx-spam-", b"\nx-posthouse-", b"\nauthentication-results")


@dataclass(frozen=True, slots=True)
class Finished:
    """A message as it will be kept: what goes above our fields and below them, its content, and what milters did to
    the envelope."""

    prefix: bytes
    content: Spooled
    return_path: ReturnPath | None = None
    added: tuple[ForwardPath, ...] = ()
    removed: tuple[str, ...] = ()
    below: bytes = b""


def tenths(score: float) -> int:
    """A score as thresholds are compared: tenths of a point."""
    return round(max(-1e6, min(1e6, score)) * 10)


def bar(score: float) -> str:
    """The score to be seen, and to be matched by rules of lists: a + for each point, - below 0, / for none."""
    points = int(min(abs(score), MOST_BAR))
    return ("+" if score > 0 else "-") * points or "/"


def fields(scans: Iterable[Scan], settings: dict[str, Scanner]) -> bytes:
    """X-Spam-Score, and X-Spam-Report where there is one, for each score above its `tag_at` (D3)."""
    made: list[str] = []
    for scan in scans:
        known = settings.get(scan.scanner)
        if known is None or scan.score is None or tenths(scan.score) <= tenths(known.tag_at):
            continue
        made.append(f"{SCORE}: {scan.score:.1f} ({bar(scan.score)})\r\n")
        if scan.report and known.report != "none":
            lines = [line.rstrip()[:MOST_LINE] for line in scan.report[:MOST_REPORT].splitlines()]
            folded = "".join(f"\r\n\t{_printable(line)}" for line in lines if line.strip())
            made.append(f"{REPORT}: {scan.scanner}{folded}\r\n")
    return "".join(made).encode("ascii", "replace")


def _printable(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


def unforged(header: bytes) -> bool:
    """Whether a header has no field at all that `cleansed` looks at: one scan, so that most mail is not touched."""
    lowered = b"\n" + header.lower()
    return not any(word in lowered for word in _SUSPICIOUS)


def cleansed(letter: Letter, names: Collection[str], scores: bool) -> None:
    """Take out what only we may say: Authentication-Results in our name (RFC 8601 §5), our tags, our scores.

    `names`: the authserv-ids of this house. `scores`: whether scanners of ours write X-Spam- fields; where there is
    none, such a field is somebody else's opinion, which lists may heed as they like.
    """
    ours = (_TAGS, _SCORES) if scores else (_TAGS,)
    doomed: list[int] = []
    for place, raw in enumerate(letter.fields):
        name = raw.partition(b":")[0].rstrip().decode("ascii", "replace").lower()
        forged = name.startswith(ours)
        if name == results.FIELD.lower():
            forged = not results.without_ours(raw, names)
        if forged:
            doomed.append(place)
    if doomed:
        letter.remove(doomed)


def letter_of(content: Spooled, prefix: bytes, configuration: Configuration, strangers: bool) -> Letter:
    """The message as the first scanner sees it: a stranger's without what only we may say."""
    letter = Letter(content, prefix)
    if strangers:
        cleansed(letter, (configuration.host,), bool(configuration.scanners))
    return letter


async def finished(
    content: Spooled, scans: tuple[Scan, ...], configuration: Configuration, strangers: bool = True
) -> Finished:
    """The message with forged fields gone (`strangers`), the edits of scanners done and scores on top.

    A small message that needs no change costs one look at its header. The content given is forgotten when another
    takes its place. Raises StorageFull.
    """
    edited = [scan.edits for scan in scans if scan.edits]
    marks = fields(scans, configuration.scanners) if scans else b""
    if not edited and (not strangers or unforged(header_of(_head(content)))):
        return Finished(marks, content)
    letter = letter_of(content, b"", configuration, strangers)
    for edits in edited:
        letter.apply(edits)
    kept = content
    if letter.changed:
        folder = files.incoming(configuration.data)
        if content.octets is not None and not any(edits.body for edits in edited):
            kept = letter.kept(folder, LARGE)
        else:
            kept = await asyncio.get_running_loop().run_in_executor(None, letter.kept, folder, LARGE)
    added, removed, return_path = _envelope(scans)
    return Finished(marks + b"".join(letter.above), kept, return_path, added, removed, b"".join(letter.below))


def _head(content: Spooled) -> bytes:
    return content.octets if content.octets is not None else content.head(HEADER_READ)


def _envelope(scans: Iterable[Scan]) -> tuple[tuple[ForwardPath, ...], tuple[str, ...], ReturnPath | None]:
    """Recipients added and removed, and another return path: the last word on each counts."""
    added: dict[str, ForwardPath] = {}
    removed: dict[str, None] = {}
    return_path = None
    for scan in scans:
        for address in scan.edits.recipients_removed:
            added.pop(address, None)
            removed[address] = None
        for path in scan.edits.recipients_added:
            removed.pop(path.address, None)
            added[path.address] = path
        if scan.edits.return_path is not None:
            return_path = scan.edits.return_path
    return tuple(added.values()), tuple(removed), return_path


def words(scans: Iterable[Scan]) -> str:
    """What was found, as a sentence for the maillog."""
    told = []
    for scan in scans:
        score = "" if scan.score is None else f" {scan.score:.1f}"
        names = ", ".join(scan.symbols[:10])
        more = "; ".join(part for part in (scan.words, names) if part)
        told.append(f"{scan.scanner} {scan.result}{score}{f' ({more[:300]})' if more else ''}")
    return "; ".join(told)
