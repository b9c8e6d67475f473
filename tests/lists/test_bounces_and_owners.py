"""What comes back to -bounces is recorded per member and answered to nobody; what goes to -owner reaches people."""

from __future__ import annotations

import pytest

from posthouse import maillog
from posthouse.directory import accounts
from posthouse.lists import bounces, departure, roster
from posthouse.lists.bounce_models import Probe
from posthouse.lists.bounces.scoring import MOST_KEPT
from posthouse.lists.bounces.telling import MOST_FORWARDED
from posthouse.lists.models import Bounce
from posthouse.message.headers import Fields
from posthouse.message.report import RecipientReport, compose_dsn
from posthouse.queue.models import Event, Message
from tests.lists.scene import DAY, NOW, arrives, has_list, letter, notices_for, waiting
from tests.people import ANA, BEN, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")
BOUNCES = "garden-bounces@lists.example"
OWNER = "garden-owner@lists.example"


def report(recipient: str, action: str = "failed", status: str = "5.1.1", diagnostic: str = "550 nobody here") -> bytes:
    """A delivery report about one recipient."""
    return compose_dsn(
        author="MAILER-DAEMON@far.example",
        to=BOUNCES,
        reporting_mta="mx.far.example",
        message_id="<report@far.example>",
        date=NOW // 1000,
        recipients=[RecipientReport(recipient, action, status, diagnostic)],
        original=letter(EVE),
    )


@both
def test_a_bounce_of_a_copy_is_recorded_for_its_member_by_the_return_path() -> None:
    pk = has_list(members=[ANA, BEN])
    return_path, _ = departure.for_list(pk).copy(ANA)
    assert return_path == "garden-bounces+ana=far.example@lists.example"

    taken = arrives(report("ana@internal.far.example"), return_path, "")

    assert taken.reply == "recorded for 1 members"
    ana, ben = roster.members(GARDEN)
    assert (ana.bounces, ana.last_bounce) == (1, "5.1.1 550 nobody here")
    assert ana.last_bounce_at is not None
    assert ben.bounces == 0
    bounce = Bounce.objects.get()
    assert (bounce.address, bounce.status) == (ANA, "5.1.1")
    maillog.flush()
    assert Event.objects.filter(kind="bounced", address=ANA).exists()


@sqlite
def test_a_bounce_without_verp_is_recorded_by_the_address_it_names() -> None:
    has_list(members=[ANA])
    arrives(report(ANA.upper()), BOUNCES, "")
    assert roster.members(GARDEN)[0].bounces == 1


@sqlite
@pytest.mark.parametrize(
    ("action", "status"), [("delayed", "4.4.7"), ("delayed", "5.4.7"), ("delivered", "2.0.0"), ("relayed", "2.0.0")]
)
def test_delays_and_good_news_do_not_count(action: str, status: str) -> None:
    has_list(members=[ANA])
    arrives(report(ANA, action, status), "garden-bounces+ana=far.example@lists.example", "")
    assert roster.members(GARDEN)[0].bounces == 0


@sqlite
@pytest.mark.parametrize("field", ["X-Plain: yes", "Auto-Submitted: auto-replied"])
@pytest.mark.parametrize("return_path", ["", ANA])
def test_vacation_notes_and_letters_to_the_bounce_address_do_not_count(field: str, return_path: str) -> None:
    has_list(members=[ANA])
    to = "garden-bounces+ana=far.example@lists.example"
    arrives(letter(ANA, to, "Out of office", "I am away", field), to, return_path)
    assert roster.members(GARDEN)[0].bounces == 0


@sqlite
def test_nothing_that_comes_to_the_bounce_address_is_answered_and_with_discard_nothing_is_passed_on() -> None:
    has_list(members=[ANA], forward_unrecognized_bounces_to="discard")
    for content in (report(ANA), report(EVE), letter(EVE, BOUNCES), b"", b"\0\xff\r\n\r\n"):
        for return_path in ("", EVE):
            assert arrives(content, BOUNCES, return_path).result == "delivered"
    assert Message.objects.count() == 0


@sqlite
def test_what_cannot_be_read_is_forwarded_so_many_times_a_day() -> None:
    has_list(members=[ANA])
    for _ in range(MOST_FORWARDED + 5):
        arrives(letter(EVE, BOUNCES), BOUNCES, "")
    assert len(notices_for(OWEN)) == MOST_FORWARDED
    arrives(letter(EVE, BOUNCES), BOUNCES, "", NOW + DAY + 1)
    assert len(notices_for(OWEN)) == MOST_FORWARDED + 1


@sqlite
def test_a_report_without_verp_counts_for_each_member_it_names_and_for_nobody_else() -> None:
    has_list(members=[ANA, BEN])
    failures = [RecipientReport(address, "failed", "5.1.1") for address in (ANA, EVE, "not an address")]
    late = [RecipientReport(BEN, "delayed", "4.4.7")]
    content = compose_dsn(author="MAILER-DAEMON@far.example", to=BOUNCES, reporting_mta="mx.far.example", date=1,
                          message_id="<1@far.example>", recipients=[*failures, *late], original=b"")  # fmt: skip
    assert arrives(content, BOUNCES, "").reply == "recorded for 1 members"
    assert {one.address: one.bounces for one in roster.members(GARDEN)} == {ANA: 1, BEN: 0}


@both
def test_old_bounces_and_probes_are_forgotten() -> None:
    has_list(members=[ANA], bounce_score_threshold="1")
    arrives(report(ANA), BOUNCES, "")
    assert (Bounce.objects.count(), Probe.objects.count()) == (1, 1)
    bounces.periodic(NOW + 9 * DAY)
    assert (Bounce.objects.count(), Probe.objects.count()) == (1, 1)
    bounces.periodic(NOW + 11 * DAY)
    assert (Bounce.objects.count(), Probe.objects.count()) == (1, 0)
    bounces.periodic(NOW + 91 * DAY)
    assert Bounce.objects.count() == 0


@sqlite
def test_remembered_bounces_of_a_member_are_bounded() -> None:
    has_list(members=[ANA])
    for _ in range(MOST_KEPT + 5):
        arrives(report(ANA), BOUNCES, "")
    assert Bounce.objects.count() == MOST_KEPT
    assert roster.members(GARDEN)[0].bounces == MOST_KEPT + 5


@both
def test_mail_to_the_owner_reaches_owners_and_moderators_unchanged() -> None:
    has_list(owners=[OWEN, BEN])
    roster.add(GARDEN, ANA, role="moderator")
    content = letter(EVE, OWNER, "Help", "Grüße")

    arrives(content, OWNER, EVE)

    [(message, kept, recipients)] = waiting()
    assert recipients == [ANA, BEN, OWEN]
    assert kept == content
    assert (message.return_path, message.list_id) == (BOUNCES, None)


@sqlite
def test_a_list_without_owners_is_the_administrators_business() -> None:
    has_list(owners=[])
    assert arrives(letter(EVE, OWNER), OWNER, EVE).result == "failed"
    accounts.create(BEN, superuser=True)
    assert arrives(letter(EVE, OWNER), OWNER, EVE).result == "delivered"
    assert waiting()[0][2] == [BEN]


@sqlite
def test_mail_to_the_owner_does_not_go_round() -> None:
    has_list()
    arrives(letter(EVE, OWNER), OWNER, EVE)
    [(message, content, _)] = waiting()
    arrives(bytes(message.prefix) + content, OWNER, EVE)
    assert len(waiting()) == 1
    assert Fields(bytes(message.prefix)).first("x-beenthere") == OWNER


@sqlite
def test_an_owner_who_is_the_owner_address_itself_makes_no_circle() -> None:
    has_list(owners=[OWNER])
    assert arrives(letter(EVE, OWNER), OWNER, EVE).result == "failed"
    assert notices_for(OWNER) == []
