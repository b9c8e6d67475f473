"""What messages to -bounces say: 117 reports that real mail servers wrote, and letters that are no reports at all.

The samples come from flufl.bounce (tests/letters/bounces), and so does the table of what they say.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from posthouse.lists.bounces.recognition import (
    ANSWER,
    HARD,
    NO_FAILURE,
    REPORTED,
    SOFT,
    UNKNOWN,
    Recognised,
    recognise,
    weight_of,
)
from posthouse.message.headers import Fields
from posthouse.message.report import RecipientReport, compose_dsn
from tests.people import ANA, BEN

LETTERS = Path(__file__).parents[1] / "letters" / "bounces"

# Whose addresses failed for good; a ~ before an address: delivery is late. What is not named here says nothing.
SAYS = {
    "aol_01": "screenname@aol.com",
    "bounce_02": "userx@example.com",
    "bounce_03": "userx@example.uk",
    "caiwireless_01": "userx@example.com",
    "dsn_01": "userx@example.com",
    "dsn_02": "zzzzz@example.uk",
    "dsn_03": "userx@example.be",
    "dsn_04": "userx@example.ch",
    "dsn_05": "~userx@example.cz",
    "dsn_06": "~userx@example.com",
    "dsn_07": "~userx@example.nz",
    "dsn_08": "~userx@example.de",
    "dsn_09": "userx@example.com",
    "dsn_10": "anne.person@dom.ain",
    "dsn_11": "joem@example.com",
    "dsn_12": "userx@example.jp",
    "dsn_13": "userx@example.com",
    "dsn_14": "userx@example.com.dk",
    "dsn_15": "userx@example.com",
    "dsn_16": "userx@example.com",
    "dsn_17": "~userx@example.fi",
    "dsn_18": "email@replaced.net",
    "exim_01": "userx@its.example.nl",
    "groupwise_01": "userx@example.EDU",
    "groupwise_02": "userx@example.com",
    "hotpop_01": "userx@example.com",
    "llnl_01": "user1@example.gov",
    "microsoft_01": "userx@example.COM",
    "microsoft_02": "userx@example.COM",
    "microsoft_03": "userx@example.com",
    "microsoft_04": "userx@example.COM",
    "netscape_01": "aaaaa@corel.com bbbbb@corel.com",
    "newmailru_01": "zzzzz@newmail.ru",
    "postfix_01": "xxxxx@local.ie",
    "postfix_02": "yyyyy@digicool.com",
    "postfix_03": "ttttt@ggggg.com",
    "postfix_04": "userx@mail1.example.com",
    "postfix_05": "userx@example.net",
    "qmail_01": "userx@example.de",
    "qmail_02": "userx@example.com",
    "qmail_03": "userx@example.jp",
    "qmail_04": "userx@example.au",
    "qmail_05": "userx@example.com",
    "qmail_06": "ntl@xxx.com",
    "qmail_07": "user@example.net",
    "sendmail_01": "zzzzz@nfg.nl zzzzz@shaft.coal.nl",
    "simple_01": "bbbsss@example.com",
    "simple_02": "userx@example.net",
    "simple_03": "~userx@example.za",
    "simple_04": "userx@example.com",
    "simple_05": "userx@example.net",
    "simple_06": "userx@example.com",
    "simple_07": "userx@example.net",
    "simple_08": "userx@example.de",
    "simple_09": "userx@example.de",
    "simple_10": "userx@example.com",
    "simple_11": "userx@example.com",
    "simple_12": "userx@example.ac.jp",
    "simple_13": "userx@example.fr",
    "simple_14": "userx@example.com usery@example.com",
    "simple_15": "userx@example.be",
    "simple_16": "userx@example.com",
    "simple_17": "userx@example.com",
    "simple_18": "userx@example.com",
    "simple_19": "userx@example.com.ar",
    "simple_20": "userx@example.com",
    "simple_21": "~userx@example.com",
    "simple_22": "~User@example.org",
    "simple_23": "userx@example.it",
    "simple_24": "userx@example.com",
    "simple_25": "userx@example.com",
    "simple_26": "userx@example.it",
    "simple_27": "userx@example.net.py",
    "simple_28": "~userx@example.com",
    "simple_29": "userx@example.com",
    "simple_30": "userx@example.com",
    "simple_31": "userx@example.fr",
    "simple_32": "userx@example.com",
    "simple_33": "userx@example.com",
    "simple_34": "roland@example.com",
    "simple_35": "~calvin@example.com",
    "simple_36": "userx@example.com",
    "simple_37": "user@example.edu",
    "simple_38": "userx@example.com",
    "simple_39": "userx@example.ru",
    "simple_40": "~user@example.com",
    "simple_41": "userx@example.com",
    "simple_44": "user@example.com",
    "simple_45": "subscriber@earthlink.net",
    "sina_01": "userx@sina.com usery@sina.com",
    "smtp32_01": "userx@example.ph",
    "smtp32_02": "userx@example.com",
    "smtp32_03": "userx@example.com",
    "smtp32_04": "after_another@example.net one_bad_address@example.net",
    "smtp32_05": "userx@example.com",
    "smtp32_06": "Absolute_garbage_addr@example.net",
    "smtp32_07": "userx@example.com",
    "yahoo_01": "userx@example.com",
    "yahoo_02": "userx@example.es",
    "yahoo_03": "userx@example.com",
    "yahoo_04": "userx@example.es usery@example.uk",
    "yahoo_05": "userx@example.com usery@example.com",
    "yahoo_06": "usera@example.com userx@example.com usery@example.com userz@example.com",
    "yahoo_07": "userw@example.com userx@example.com usery@example.com userz@example.com",
    "yahoo_08": (
        "usera@example.com userb@example.com userc@example.com userd@example.com usere@example.com userf@example.com"
    ),
    "yahoo_09": "userx@example.com usery@example.com",
    "yahoo_10": "userx@example.com usery@example.com userz@example.com",
    "yahoo_11": "bad_user@aol.com",
    "yahoo_12": "user@yahoo.com",
    "yahoo_13": "bogus-address@example.net",
    "yale_01": "userx@cs.yale.edu userx@yale.edu",
}


def said(content: bytes, return_path: str = "", named: str = "") -> Recognised:
    return recognise(content, Fields(content), return_path, named)


def test_there_are_all_samples() -> None:
    assert len(list(LETTERS.glob("*.txt"))) == 117
    assert {f"{name}.txt" for name in SAYS} <= {path.name for path in LETTERS.glob("*.txt")}


@pytest.mark.parametrize("name", sorted(path.stem for path in LETTERS.glob("*.txt")))
def test_a_sample_says_what_its_table_says(name: str) -> None:
    found = said((LETTERS / f"{name}.txt").read_bytes())
    failed = {one.address for one in found.failures if one.address}
    assert failed | {f"~{address}" for address in found.late} == set(SAYS.get(name, "").split())
    assert (found.kind == REPORTED) == bool(found.failures)


WORDS = "Delivery to the following recipients failed.\r\n\r\n    ben@far.example\r\n"


def letter(*fields: str, text: str = WORDS) -> bytes:
    """Words that a mail server might use, under these header fields."""
    return "\r\n".join([*fields, "", text]).encode()


MACHINE = "From: Mail Delivery System <MAILER-DAEMON@mx.far.example>"
PERSON = "From: Ben <ben@far.example>"


@pytest.mark.parametrize(
    ("fields", "return_path", "kind"),
    [
        ([MACHINE, "Subject: Undelivered"], "", REPORTED),
        ([MACHINE, "Subject: Undelivered"], "odd@mx.far.example", REPORTED),
        (["From: odd@mx.far.example"], "postmaster@mx.far.example", REPORTED),
        ([PERSON, "Subject: Look at what I got"], BEN, UNKNOWN),
        ([PERSON, "Subject: Look at what I got"], "", ANSWER),  # the failing address would not write itself
        ([PERSON, "Auto-Submitted: auto-replied"], "", ANSWER),
        (["From: helper@far.example", "Auto-Submitted: auto-replied"], "", ANSWER),
        ([MACHINE, "Auto-Submitted: auto-replied (vacation)"], "", ANSWER),
        ([MACHINE, "Auto-Submitted: auto-replied"], "", REPORTED),  # mail servers mark their reports so too
        (["From: helper@far.example", "X-Autoreply: yes"], "", ANSWER),
        (["From: helper@far.example", "Precedence: auto_reply"], "", ANSWER),
        (["From: helper@far.example", "Subject: Out of office until Monday"], "", ANSWER),
        (["From: helper@far.example", "Subject: =?utf-8?q?R=C3=A9ponse_automatique_=3A_absent?="], "", ANSWER),
        (["From: helper@far.example", "X-Boxbe-MessageID: 1", "Subject: Please confirm"], "", ANSWER),
    ],
)
def test_only_what_a_mail_server_may_have_written_is_searched_for_its_words(
    fields: list[str], return_path: str, kind: str
) -> None:
    assert said(letter(*fields), return_path, BEN).kind == kind


def report(*recipients: RecipientReport) -> bytes:
    return compose_dsn(
        author="MAILER-DAEMON@far.example",
        to="garden-bounces@lists.example",
        reporting_mta="mx.far.example",
        message_id="<report@far.example>",
        date=1_700_000_000,
        recipients=recipients,
        original=letter(PERSON),
    )


@pytest.mark.parametrize(
    ("action", "status", "diagnostic", "kind", "weight"),
    [
        ("failed", "5.1.1", "550 5.1.1 nobody", REPORTED, HARD),
        ("failed", "5.0.0", "", REPORTED, HARD),
        ("failed", "5.2.1", "550 disabled", REPORTED, HARD),
        ("failed", "5.2.2", "552 full", REPORTED, SOFT),
        ("failed", "5.3.4", "552 too big", REPORTED, SOFT),
        ("failed", "5.7.1", "554 looks like spam", REPORTED, SOFT),
        ("failed", "4.4.7", "tried for days", REPORTED, SOFT),
        ("failed", "5.0.0", "gave up after 6 days: RCPT TO: 451 4.2.1 busy", REPORTED, SOFT),
        ("delayed", "4.4.7", "451 busy", NO_FAILURE, 0),
        ("delivered", "2.0.0", "", NO_FAILURE, 0),
        ("relayed", "2.0.0", "", NO_FAILURE, 0),
        ("expanded", "2.0.0", "", NO_FAILURE, 0),
    ],
)
def test_failures_for_good_and_failures_of_the_moment_are_told_apart(
    action: str, status: str, diagnostic: str, kind: str, weight: float
) -> None:
    found = said(report(RecipientReport(ANA, action, status, diagnostic)))
    assert found.kind == kind
    assert [one.weight for one in found.failures] == ([weight] if weight else [])


def test_a_status_decides_before_words() -> None:
    assert weight_of("5.7.26", "") == SOFT and weight_of("5.1.10", "450 in the text") == SOFT
    assert weight_of("5.1.10", "550 no: 450 here") == HARD and weight_of("", "") == HARD


def test_a_report_about_many_is_read_up_to_a_bound() -> None:
    many = [RecipientReport(f"member{number}@far.example", "failed", "5.1.1") for number in range(200)]
    assert len(said(report(*many)).failures) == 50


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\xff\r\n\r\n",
        letter(MACHINE, "Content-Type: multipart/report; boundary=b", text="--b\r\n" * 30_000),
        letter(MACHINE, text="<" * 200_000),
        letter(MACHINE, text="    ben@far.example\r\n" * 20_000),
        b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(2_000)),
        letter(MACHINE, 'Content-Type: text/plain; charset="nonsense"', "Content-Transfer-Encoding: base64",
               text="=" * 99),
    ],
    ids=["empty", "octets", "many parts", "brackets", "many lines", "deep", "charset"],
)  # fmt: skip
def test_hostile_letters_are_read_in_no_time_and_without_a_crash(content: bytes) -> None:
    import time

    began = time.thread_time()
    said(content)
    assert time.thread_time() - began < 10


def test_an_idle_house_does_without_the_detectors() -> None:
    code = "import sys, tests.databases, posthouse.delivery.runner; sys.exit('flufl.bounce' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=LETTERS.parents[2]).returncode == 0
