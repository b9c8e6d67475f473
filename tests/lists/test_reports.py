"""What a sender is told of failed, late and delivered mail is worded like every other text; programs read the same."""

from __future__ import annotations

import email
import email.policy
import logging
from typing import Any

import pytest

from posthouse.configuration import Configuration
from posthouse.directory import accounts, domains
from posthouse.directory import preferences as own
from posthouse.lists import wording
from posthouse.lists.errors import BadSetting
from posthouse.lists.reports import Speaker
from posthouse.lists.text_models import ListText
from posthouse.message.envelope import Envelope, Recipient
from posthouse.message.headers import Fields
from posthouse.message.report import read_dsn
from posthouse.queue.claim import claim, register
from posthouse.queue.enqueue import enqueue
from posthouse.queue.operator import return_now
from posthouse.queue.outcome import DEFERRED, DELIVERED, FAILED, Outcome, record_outcomes
from posthouse.queue.returning import warn_delayed, write_reports
from tests.lists.scene import has_list, waiting
from tests.people import BEN, DOMAIN, GARDEN
from tests.queue.arrivals import NOW, arrival

HOST = "mx.lists.example"
SENDER = "cleo@lists.example"
FAILED_REPORT, DELAYED = "domain:user:report:failed", "domain:user:report:delayed"
REFUSED = ("mx.far.example [192.0.2.9]:25", "550 5.1.1 nobody here", "5.1.1")
LETTER = b"Subject: =?utf-8?q?Les_tomates_m=C3=BBres?=\r\n\r\nRipe.\r\n"


def sends(sender: str, notify: str = "", **given: Any) -> None:
    """A message of this sender for Ben waits."""
    enqueue(arrival(BEN, content=LETTER, envelope=Envelope(sender, (Recipient(BEN, notify),)), **given))


def told(result: str = FAILED, *said: Any, notify: str = "", sender: str = SENDER, **given: Any) -> bytes:
    """The report on a message to Ben of which this came."""
    sends(sender, notify)
    [one] = [one for one in claim(register("here:1", NOW), NOW, 10, 10) if one.message.return_path]
    record_outcomes([Outcome(one, result, *(said or REFUSED), **given)], NOW, Speaker())
    write_reports(NOW, HOST, Speaker())
    warn_delayed(NOW + 86_400_000, HOST, 3600, Speaker())
    return waiting("report")[-1][1]


def words(name: str, text: str, place: str = "site", language: str = "en") -> None:
    wording.put(place, name, language, text, by="owen", now=NOW)


def text_of(report: bytes) -> str:
    """What people read: the first part."""
    message = email.message_from_bytes(report, policy=email.policy.default)
    return str(next(message.iter_parts()).get_content()).replace("\r\n", "\n")  # type: ignore[attr-defined]


def test_a_report_says_in_plain_words_what_happened(database: Configuration) -> None:
    report = told()
    assert Fields(report).first("subject") == "Undelivered: your message was returned"
    text = text_of(report)
    assert 'Your message "Les tomates mûres"\nof 2026-09-21 14:13 UTC could not be delivered to:\n' in text
    assert "  ben@far.example\n    There is no such mailbox.\n    mx.far.example: 550 5.1.1 nobody here\n" in text


def test_who_reads_french_is_told_in_french_and_programs_read_the_same(database: Configuration) -> None:
    english = told()
    account = accounts.create(SENDER)
    own.set_account(account.id, {"preferred_language": "fr"})
    french = told()
    assert Fields(french).decoded("subject") == "Non remis : votre message vous est retourné"
    assert "    Cette boîte aux lettres n'existe pas.\n" in text_of(french) and b"Content-Language: fr" in french
    assert read_dsn(french) == read_dsn(english)


def test_strangers_are_told_in_the_language_of_the_site(database: Configuration) -> None:
    own.set_site({"preferred_language": "fr"})
    report = told(DEFERRED, "mx.far.example", "452 4.2.2 full", "4.2.2", next_attempt=NOW + 1)
    assert Fields(report).decoded("subject") == "Retardé : votre message attend encore"
    assert "continuent jusqu'au 2026-09-" in text_of(report) and "La boîte aux lettres est pleine." in text_of(report)


@pytest.mark.parametrize(
    ("local", "subject"), [(True, "Delivered: your message arrived"), (False, "Relayed: your message went on")]
)
def test_who_asked_is_told_of_success(sqlite: Configuration, local: bool, subject: str) -> None:
    report = told(DELIVERED, "mx.far.example", "250 2.0.0 Ok", "2.0.0", notify="SUCCESS", local=local)
    assert Fields(report).first("subject") == subject
    assert "  ben@far.example\n    mx.far.example: 250 2.0.0 Ok\n" in text_of(report)


def test_site_and_domain_word_reports_and_the_nearest_holds(database: Configuration) -> None:
    domains.add(DOMAIN)
    words(FAILED_REPORT, "Subject: Site: $subject\n\n$recipients\nAsk $site_email, $address.")
    report = told()
    assert Fields(report).decoded("subject") == "Site: Les tomates mûres"
    assert text_of(report).endswith("here\nAsk postmaster@mx.lists.example, cleo@lists.example.\n")
    words(FAILED_REPORT, "Subject: Domain $domain\n\nSorry.", DOMAIN)
    assert Fields(told()).first("subject") == "Domain lists.example"
    assert Fields(told(sender="ana@elsewhere.example")).decoded("subject") == "Site: Les tomates mûres"


def test_a_template_that_cannot_be_filled_keeps_no_report_back(
    database: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    words(FAILED_REPORT, "Subject: Sorry\n\nSorry.")
    ListText.objects.update(text="$gone costs 5$")
    with caplog.at_level(logging.ERROR):
        report = told()
    assert "There is no such mailbox." in text_of(report)
    assert "domain:user:report:failed as the site words it (en) cannot be filled" in caplog.text


def test_reports_are_worded_for_a_domain_or_the_site_with_their_own_placeholders(sqlite: Configuration) -> None:
    has_list()
    assert (
        DELAYED in wording.names("site") and DELAYED in wording.names(DOMAIN) and DELAYED not in wording.names(GARDEN)
    )
    assert "site:user:action:sign-in" in wording.names("site") and "site:user:action:sign-in" not in wording.names(
        DOMAIN
    )
    with pytest.raises(BadSetting, match="a domain or the whole site"):
        words(DELAYED, "Subject: x\n\nx", GARDEN)
    with pytest.raises(BadSetting, match=r"nothing fills \$display_name; known are .*\$recipients.*\$until"):
        words(DELAYED, "Subject: x\n\n$display_name")
    assert "until 2030-02-05 12:00 UTC" in wording.preview(DOMAIN, DELAYED).text


def test_the_report_of_a_lists_copy_stays_plain_since_the_list_reads_it(sqlite: Configuration) -> None:
    pk = has_list(members=[BEN])
    own.set_site({"preferred_language": "fr"})
    sends("garden-bounces@lists.example", list_id=pk)
    [one] = claim(register("here:1", NOW), NOW, 10, 10)
    record_outcomes([Outcome(one, FAILED, *REFUSED)], NOW, Speaker())
    assert write_reports(NOW, HOST, Speaker()) == 1
    [(_, report, readers)] = waiting("bounce")
    assert readers == ["garden-bounces+ben=far.example@lists.example"]
    assert Fields(report).first("subject") == "Undelivered: your message was returned"


def test_an_operators_return_is_worded_too(sqlite: Configuration) -> None:
    own.set_site({"preferred_language": "fr"})
    sends(SENDER)
    [item] = {one.message.item for one in claim(register("here:1", NOW), NOW, 10, 10)}
    assert return_now(item, NOW, HOST, Speaker()) == 1
    assert "n'a pas pu être remis" in text_of(waiting("report")[0][1])
