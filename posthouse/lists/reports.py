"""Delivery reports in words: the templates of what a sender is told of failed, late and delivered mail.

The reports themselves are made by `queue.returning`; this room gives it their Subject and first part, in the language
of the sender, as the sender's domain or the site words them. What programs read stays as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime

from posthouse import configuration
from posthouse.directory.models import Domain
from posthouse.lists import languages, texts
from posthouse.lists.models import MailingList
from posthouse.lists.sentences import in_language
from posthouse.message.headers import Fields
from posthouse.message.report import RecipientReport, Words
from posthouse.queue.returning import Report

_LONGEST_SUBJECT, _LONGEST_ANSWER = 200, 1000
# What an enhanced status code (RFC 3463, RFC 7505) means for people, the longest beginning that fits.
_MEANS = {
    "4.": "It could not be taken for the moment.",
    "4.2.2": "The mailbox is full.",
    "4.4": "The other side could not be reached.",
    "4.7": "The other side wants to wait before it takes this message.",
    "5.1.1": "There is no such mailbox.",
    "5.1.2": "There is no such domain.",
    "5.1.3": "This is no valid address.",
    "5.1.6": "The mailbox has moved, and nobody said where to.",
    "5.1.10": "This domain takes no mail.",
    "5.2.1": "The mailbox takes no mail at present.",
    "5.2.2": "The mailbox is full.",
    "5.2.3": "The message is too large for this mailbox.",
    "5.3.4": "The message is too large for the other side.",
    "5.4": "The other side could not be reached.",
    "5.4.6": "The message went in a circle.",
    "5.7": "The other side does not want this message.",
}


class Speaker:
    """Words reports; made anew for each batch, in which it asks once for each language and each sender."""

    def __init__(self) -> None:
        self._languages: dict[str, list[str]] = {}
        self._rows: dict[str, MailingList] = {}
        self._wordings: dict[tuple[str, str, tuple[str, ...]], texts.Wording] = {}

    def __call__(self, report: Report) -> Words | None:
        """The words of this report; None where it tells of something that has no template."""
        kind = f"report-{report.recipients[0].action}"
        if kind not in texts.REPORTS:
            return None
        row, wanted = self._row(report.to), self._wanted(report.to)
        key = (kind, row.domain.name, tuple(wanted))
        if key not in self._wordings:
            self._wordings[key] = texts.wording(row, kind, wanted)
        found = self._wordings[key]
        return Words(*texts.filled(row, kind, _values(report, row.domain.name, found.language), found))

    def _wanted(self, sender: str) -> list[str]:
        if sender not in self._languages:
            asked, others = languages.spoken(self._row(sender), [sender])
            self._languages[sender] = languages.chain(next(iter(asked.values()), ""), others)
        return self._languages[sender]

    def _row(self, sender: str) -> MailingList:
        """What the texts of the sender's domain are looked for with, when it is ours; else with those of the site."""
        host = sender.rpartition("@")[2].lower()
        if host not in self._rows:
            domain = Domain.objects.filter(name=host).first()
            self._rows[host] = MailingList(domain=domain or Domain(name=configuration.active().sending_domain))
            self._rows[host].pk = 0
        return self._rows[host]


def _values(report: Report, domain: str, language: str) -> dict[str, str]:
    until = max((one.will_retry_until or 0 for one in report.recipients), default=0)
    subject = " ".join((Fields(report.original).decoded("subject") or "").split())
    return {
        "address": report.to,
        "arrived": _moment(report.arrived_at),
        "domain": domain,
        "hostname": report.hostname,
        "recipients": "\n\n".join(_told(one, language) for one in report.recipients),
        "subject": subject[:_LONGEST_SUBJECT] or "(no subject)",
        "until": _moment(until) if until else "",
    }


def _told(one: RecipientReport, language: str) -> str:
    lines = [f"  {_line(one.final_recipient)}"]
    means = _meaning(one.status)
    if means and one.action in ("failed", "delayed"):
        lines.append(f"    {in_language(means, language)}")
    if one.diagnostic:
        answer = _line(one.diagnostic)
        lines.append(f"    {_line(one.remote_mta)}: {answer}" if one.remote_mta else f"    {answer}")
    elif not means:
        lines.append(f"    {one.status}")
    return "\n".join(lines)


def _meaning(status: str) -> str:
    fitting = [code for code in _MEANS if status == code or status.startswith(f"{code.rstrip('.')}.")]
    return _MEANS[max(fitting, key=len)] if fitting else ""


def _line(text: str) -> str:
    return " ".join(text.replace("\0", "").split())[:_LONGEST_ANSWER]


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
