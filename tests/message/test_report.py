"""A report says for each recipient what happened, to people and to programs; what we write, we can read."""

import email
import email.policy

import pytest

from posthouse.message import parsing, report
from posthouse.message.headers import Fields
from posthouse.message.report import RecipientReport

ORIGINAL = (
    b"Received: from a by b; x\r\nFrom: ana@far.example\r\nSubject: Beans\r\n"
    b"Message-ID: <beans@far.example>\r\n\r\nRipe.\r\n"
)


def dsn(*recipients: RecipientReport, **changes) -> bytes:
    settings = {
        "author": "Mail Delivery System <postmaster@lists.example>",
        "to": "ana@far.example",
        "reporting_mta": "mx.lists.example",
        "message_id": "<dsn1@lists.example>",
        "date": 1_071_122_225,
        "recipients": recipients or (FAILED,),
        "original": ORIGINAL,
    }
    return report.compose_dsn(**(settings | changes))


FAILED = RecipientReport(
    "ben@far.example", "failed", "5.1.1", "550 5.1.1 no such user here", "mx.far.example", "rfc822;Ben@far.example"
)
DELAYED = RecipientReport(
    "cleo@far.example", "delayed", "4.4.1", "connection timed out", will_retry_until=1_071_500_000
)


def test_a_report_reads_back_with_all_its_facts():
    content = dsn(FAILED, DELAYED, envelope_id="QQ314159", arrival_date=1_071_122_000)
    facts = report.read_dsn(content)
    assert facts == report.DsnFacts(
        (
            report.DsnRecipient(
                "ben@far.example", "Ben@far.example", "failed", "5.1.1", "550 5.1.1 no such user here", "mx.far.example"
            ),
            report.DsnRecipient("cleo@far.example", "", "delayed", "4.4.1", "connection timed out", ""),
        ),
        "mx.lists.example",
        "QQ314159",
        "beans@far.example",
    )


def test_a_report_has_the_standards_frame():
    content = dsn(FAILED, DELAYED)
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    groups = message.get_payload(1).get_payload()
    assert groups[0]["Reporting-MTA"] == "dns; mx.lists.example"
    assert [group["Action"] for group in groups[1:]] == ["failed", "delayed"]
    assert groups[2]["Will-Retry-Until"] == "Mon, 15 Dec 2003 14:53:20 +0000"
    assert (message["Auto-Submitted"], message["References"]) == ("auto-replied", "<beans@far.example>")
    assert all(b"\n" not in line and len(line) <= 998 for line in content.split(b"\r\n"))


def test_people_are_told_in_sentences():
    text = parsing.read(dsn(FAILED, DELAYED)).text
    assert "could not be delivered" in text and "ben@far.example" in text and "no such user here" in text
    assert "tried again" in text


def test_words_of_others_change_what_people_read_and_nothing_else():
    ours, theirs = dsn(FAILED), dsn(FAILED, words=report.Words("Non remis", "Désolé.\n", "fr"))
    assert parsing.read(theirs).text.startswith("Désolé.\n\nReporting-MTA")
    assert Fields(theirs).first("subject") == "Non remis"
    assert b"Content-Language: fr\r\n" in theirs
    assert report.read_dsn(theirs) == report.read_dsn(ours)
    of_programs = b"Content-Type: message/delivery-status"
    assert theirs.partition(of_programs)[2].split(b"--=_")[0] == ours.partition(of_programs)[2].split(b"--=_")[0]


@pytest.mark.parametrize("action", ["failed", "delayed", "delivered", "relayed", "expanded"])
def test_every_outcome_has_its_subject_and_sentence(action):
    content = dsn(RecipientReport("ben@far.example", action, "2.0.0"))
    assert report.read_dsn(content).recipients[0].action == action
    assert Fields(content).first("subject")
    assert "ben@far.example" in parsing.read(content).text


def test_the_whole_message_is_returned_only_when_asked_and_small():
    assert b"Ripe." not in dsn()
    assert b"Ripe." in dsn(return_content=True)
    large = ORIGINAL + b"Beans.\r\n" * 20_000
    assert len(dsn(original=large, return_content=True)) < 5_000
    assert len(dsn(original=b"X: y\n" * 50_000 + b"\nz")) < 60_000


def test_a_recipient_with_letters_of_its_own_is_reported_in_them():
    content = dsn(RecipientReport("élise@gärtnerei.example", "failed", "5.6.7", "553 kein Anschluß"))
    assert b"message/global-delivery-status" in content
    assert report.read_dsn(content).recipients[0].address == "élise@gärtnerei.example"


def test_a_far_servers_words_cannot_add_fields():
    content = dsn(
        RecipientReport(
            "ben@far.example", "failed", "5.0.0", "550 no\r\nFinal-Recipient: rfc822; owen@x\r\n\r\n", "m\nx"
        )
    )
    [recipient] = report.read_dsn(content).recipients
    assert recipient.address == "ben@far.example"
    assert recipient.diagnostic == "550 no Final-Recipient: rfc822; owen@x"


def test_a_report_of_endless_recipients_is_bounded():
    group = b"Final-Recipient: rfc822; a@b\r\nAction: failed\r\n\r\n"
    content = b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: x\r\n\r\n" + group * 20_000
    assert len(report.read_dsn(content).recipients) < report.MAX_GROUPS
