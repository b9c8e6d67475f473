"""The gateway between a list and a newsgroup, with a news server on the far side."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

from posthouse import configuration
from posthouse.configuration import Configuration, Nntp
from posthouse.content import keeping
from posthouse.lists import creation, holding, periodic, roster
from posthouse.lists.models import MailingList
from posthouse.lists.news.client import NewsError, NewsServer
from posthouse.lists.news.incoming import take_new
from posthouse.lists.news.visits import visit
from posthouse.lists.news_models import NewsArticle
from posthouse.queue.models import Delivery, Message
from tests.databases import both_databases
from tests.lists.scene import DAY, MINUTE, NOW, arrives, copies, has_list, letter, notices_for, posts, waiting
from tests.news import FarNews
from tests.people import ANA, BEN, EVE, GARDEN, OWEN
from tests.smtp.recording import certificate

database = both_databases
GROUP = "rec.gardens"
BOTH = {"linked_newsgroup": GROUP, "gateway_to_news": "yes", "gateway_to_mail": "yes"}


@pytest.fixture
def far(database: Configuration) -> Iterator[FarNews]:
    with FarNews(GROUP) as server:
        _linked(server)
        yield server


def _linked(server: FarNews, **more: str) -> None:
    nntp = Nntp(server=f"127.0.0.1:{server.port}", timeout=60.0, **more)  # type: ignore[arg-type]
    configuration.activate(dataclasses.replace(configuration.active(), nntp=nntp))


def _posted(server: FarNews) -> list[bytes]:
    return list(server.groups[GROUP].articles.values())


def _arrive_from_news() -> int:
    """Deliver what the newsgroup gave us, as the station would: how many."""
    rows = list(Message.objects.filter(origin="news").order_by("id"))
    for row in rows:
        to = Delivery.objects.get(message=row).recipient
        content = keeping.read(row.content_id).all()
        Delivery.objects.filter(message=row).delete()
        Message.objects.filter(pk=row.pk).delete()
        arrives(bytes(content), to, row.return_path, NOW, origin="news")
    return len(rows)


def _article(number: int = 1, author: str = EVE, *more: str) -> bytes:
    return letter(author, "nobody@far.example", f"Beans {number}", "From afar.", f"Newsgroups: {GROUP}",
                  f"Message-ID: <beans{number}@far.example>", "Path: far!not-for-mail", *more)  # fmt: skip


def test_a_posting_goes_to_the_newsgroup_once_with_what_the_list_says_of_it(far: FarNews) -> None:
    has_list(members=[ANA, BEN], **BOTH)
    posts(ANA, ".dots\r\n..and more", now=NOW)
    assert visit(NOW + MINUTE) == 1
    [article] = _posted(far)
    fields = message_from_bytes(article)
    assert (fields["Newsgroups"], fields["Message-ID"]) == (GROUP, "<tomatoes@far.example>")
    assert fields["Subject"] == "[Garden] Tomatoes"
    assert fields["From"] == ANA and fields["X-BeenThere"] == GARDEN and fields["Approved"] is None
    assert b".dots\r\n..and more\r\n" in article and b"____" not in article  # no footer, every dot
    assert visit(NOW + 2 * MINUTE) == 0
    assert (len(_posted(far)), NewsArticle.objects.count()) == (1, 0)


@pytest.mark.parametrize(("on", "articles"), [("yes", 1), ("no", 0)])
def test_only_a_list_that_wants_it_sends_to_news(far: FarNews, on: str, articles: int) -> None:
    has_list(members=[ANA], **{**BOTH, "gateway_to_news": on})
    posts(ANA)
    visit(NOW)
    assert len(_posted(far)) == articles


def test_a_newsgroup_is_linked_by_its_name(far: FarNews) -> None:
    far.groups["alt.other"] = type(far.groups[GROUP])()
    has_list(members=[ANA], **{**BOTH, "linked_newsgroup": "alt.other"})
    posts(ANA)
    visit(NOW)
    assert [len(far.groups[name].articles) for name in (GROUP, "alt.other")] == [0, 1]
    creation.set_settings(GARDEN, {"linked_newsgroup": ""})
    posts(ANA, "x", GARDEN, "Other", NOW, "Message-ID: <other@far.example>")
    assert NewsArticle.objects.count() == 0


@pytest.mark.parametrize(("too", "subject"), [("yes", "[Garden] Tomatoes"), ("no", "Tomatoes")])
def test_articles_have_the_subject_prefix_too_where_owners_want_it(far: FarNews, too: str, subject: str) -> None:
    has_list(members=[ANA], nntp_prefix_subject_too=too, **BOTH)
    posts(ANA)
    visit(NOW)
    assert message_from_bytes(_posted(far)[0])["Subject"] == subject
    assert b"Subject: [Garden] Tomatoes" in waiting()[0][1]


@pytest.mark.parametrize(
    ("moderation", "approved", "held"), [("none", None, 0), ("open_moderated", GARDEN, 0), ("moderated", GARDEN, 1)]
)
def test_a_moderated_newsgroup_gets_approved_articles_and_may_want_a_moderated_list(
    far: FarNews, moderation: str, approved: str | None, held: int
) -> None:
    has_list(members=[ANA], newsgroup_moderation=moderation, **BOTH)
    posts(ANA)
    assert len(holding.held(GARDEN)) == held
    for one in holding.held(GARDEN):
        assert one.rule == "news-moderation" and GROUP in one.reason
        holding.release(one.id, OWEN, NOW)
    visit(NOW)
    assert message_from_bytes(_posted(far)[0])["Approved"] == approved


def test_new_articles_become_postings_from_the_first_visit_on_and_never_go_back(far: FarNews) -> None:
    has_list(members=[ANA, BEN], **BOTH)
    far.groups[GROUP].add(_article(0))
    assert visit(NOW) == 0  # what was there before stays there
    far.groups[GROUP].add(_article(1, EVE, "Approved: moderator@far.example"))
    far.groups[GROUP].highest += 3  # numbers that were cancelled
    far.groups[GROUP].add(_article(2))
    assert visit(NOW) == 2
    assert _arrive_from_news() == 2
    assert copies() == [ANA, ANA, BEN, BEN]
    assert [message_from_bytes(content)["Subject"] for _, content, _ in waiting()] == [
        "[Garden] Beans 1", "[Garden] Beans 2",
    ]  # fmt: skip
    assert b"Path:" not in waiting()[0][1] and b"Approved" not in waiting()[0][1]
    assert NewsArticle.objects.count() == 0
    assert visit(NOW) == 0 and len(_posted(far)) == 3


def test_without_the_gateway_to_mail_articles_stay_where_they_are(far: FarNews) -> None:
    has_list(members=[ANA], **{**BOTH, "gateway_to_mail": "no"})
    visit(NOW)
    far.groups[GROUP].add(_article())
    assert visit(NOW) == 0
    assert MailingList.objects.get().usenet_watermark is None


def test_a_posting_that_comes_back_as_an_article_is_not_posted_again(far: FarNews) -> None:
    has_list(members=[ANA, BEN], **BOTH)
    visit(NOW)
    posts(ANA)
    assert visit(NOW) == 1 and _arrive_from_news() == 0
    assert visit(NOW) == 0 and copies() == [ANA, BEN]
    # mailed and posted by its author: it is there already
    posts(ANA, "x", GARDEN, "Both", NOW, "Message-ID: <both@far.example>", f"Newsgroups: alt.x, {GROUP}")
    assert NewsArticle.objects.count() == 0


def test_articles_pass_without_being_a_members_but_not_past_a_ban_or_a_limit(far: FarNews) -> None:
    from posthouse.lists import bans

    pk = has_list(members=[ANA], max_message_size="1", default_nonmember_action="discard", **BOTH)
    visit(NOW)
    bans.ban(BEN, pk, by=OWEN, now=NOW)
    far.groups[GROUP].add(_article(1))
    far.groups[GROUP].add(_article(2, BEN))
    far.groups[GROUP].add(_article(3) + b"x" * 70 + b"\r\n" + b"y" * 900 + b"\r\n" + b"z" * 900 + b"\r\n")
    far.groups[GROUP].add(_article(4, OWEN, "Control: cancel <x@far.example>"))
    assert visit(NOW) == 3
    _arrive_from_news()
    assert copies() == [ANA]
    assert [one.rule for one in holding.held(GARDEN)] == ["size"]
    assert not waiting("notice") or not notices_for(EVE)  # nobody is told who may not have written it


def test_an_article_in_an_owners_name_is_not_an_owners_posting(far: FarNews) -> None:
    has_list(members=[ANA], **BOTH, max_num_recipients="1")
    visit(NOW)
    far.groups[GROUP].add(_article(1, OWEN))
    visit(NOW)
    _arrive_from_news()
    assert [one.rule for one in holding.held(GARDEN)] == ["max-recipients"]


def test_nothing_is_lost_while_the_news_server_is_away(far: FarNews) -> None:
    has_list(members=[ANA], **BOTH)
    far.greeting = "400 not now"
    posts(ANA)
    with pytest.raises(NewsError, match="not now"):
        visit(NOW)
    assert periodic.run_now("news", NOW).failed == ("news",)
    assert NewsArticle.objects.count() == 1
    far.greeting = "200 again"
    assert visit(NOW) == 1 and len(_posted(far)) == 1


def test_an_article_offered_again_after_a_crash_is_not_posted_twice(far: FarNews) -> None:
    has_list(members=[ANA], **BOTH)
    posts(ANA)
    [row] = NewsArticle.objects.all()
    far.groups[GROUP].add(bytes(keeping.read(row.content_id).all()))  # it was posted; the commit behind it was lost
    assert visit(NOW) == 1
    assert (len(_posted(far)), NewsArticle.objects.count()) == (1, 0)


def test_two_processes_do_not_take_the_same_article(far: FarNews) -> None:
    has_list(members=[ANA], **BOTH)
    visit(NOW)
    far.groups[GROUP].add(_article(1))
    rows = [MailingList.objects.select_related("domain").get() for _ in range(2)]  # both have seen the same mark
    with NewsServer("127.0.0.1", far.port) as one, NewsServer("127.0.0.1", far.port) as other:
        assert take_new(one, rows[0], NOW) == 1
        with pytest.raises(NewsError, match="another process"):
            take_new(other, rows[1], NOW)
    assert Message.objects.filter(origin="news").count() == 1


def test_a_conversation_ends_in_time(far: FarNews) -> None:
    with NewsServer("127.0.0.1", far.port, longest=60.0) as server:
        server._until = 0.0
        with pytest.raises(NewsError, match="too long"):
            server.group(GROUP)


def test_what_the_server_refuses_goes_to_the_owners_with_its_words(far: FarNews) -> None:
    has_list(members=[ANA], **BOTH)
    far.refuses = "441 437 no such hierarchy"
    posts(ANA)
    visit(NOW)
    [told] = notices_for(OWEN)
    assert b"no such hierarchy" in told and GROUP.encode() in told and b"Ripe at last." in told
    assert NewsArticle.objects.count() == 0


def test_what_waits_too_long_goes_to_the_owners(far: FarNews) -> None:
    has_list(members=[ANA], **BOTH)
    posts(ANA)
    far.greeting = "400 not now"
    with pytest.raises(NewsError):
        visit(NOW + 6 * DAY)
    assert NewsArticle.objects.count() == 0
    assert b"could not be reached" in notices_for(OWEN)[0]


def test_a_group_that_does_not_exist_keeps_no_other_list_waiting(far: FarNews) -> None:
    has_list("garden@lists.example", members=[ANA], **{**BOTH, "linked_newsgroup": "no.such.group"})
    has_list("park@lists.example", members=[ANA], **BOTH)
    visit(NOW)
    far.groups[GROUP].add(_article())
    assert visit(NOW) == 1


def test_the_gateway_signs_in_where_the_server_wants_it(database: Configuration) -> None:
    with FarNews(GROUP, password="secret") as server:
        _linked(server, user="post", password="secret")
        has_list(members=[ANA], **BOTH)
        posts(ANA)
        assert visit(NOW) == 1
        assert "AUTHINFO USER post" in server.commands
        _linked(server, user="post", password="wrong")
        with pytest.raises(NewsError, match="481"):
            visit(NOW)


@pytest.mark.parametrize("at_once", [True, False])
def test_the_conversation_is_encrypted_where_the_server_can(
    sqlite: Configuration, tmp_path: Path, at_once: bool
) -> None:
    with FarNews(GROUP, password="secret", tls=server_context(tmp_path), at_once=at_once) as server:
        _linked(server, user="post", password="secret")
        nntp = dataclasses.replace(configuration.active().nntp, tls=at_once)
        configuration.activate(dataclasses.replace(configuration.active(), nntp=nntp))
        has_list(members=[ANA], **BOTH)
        posts(ANA)
        assert visit(NOW) == 1
        assert server.secret == 1 and "AUTHINFO PASS secret" in server.commands


def test_what_is_said_in_clear_behind_starttls_is_nobodys_word(tmp_path: Path) -> None:
    with FarNews(GROUP, tls=server_context(tmp_path)) as far:
        far.leaks = b"211 9 1 9 rec.gardens\r\n"
        with pytest.raises(NewsError), NewsServer("127.0.0.1", far.port, timeout=60.0) as server:
            assert server.group(GROUP) != (1, 9)
            raise NewsError("the leaked line was not believed")


def test_a_server_far_away_must_be_who_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewsServer, "_is_near", lambda self: False)
    with (
        FarNews(GROUP, tls=server_context(tmp_path), at_once=True) as far,
        pytest.raises(NewsError, match="TLS failed"),
        NewsServer("127.0.0.1", far.port, tls=True, timeout=60.0),
    ):
        pass


def server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(str(folder)))
    return context


def test_nothing_leaves_the_trial(far: FarNews) -> None:
    configuration.activate(dataclasses.replace(configuration.active(), trial=True))
    has_list(members=[ANA], **BOTH)
    posts(ANA)
    assert visit(NOW) == 0 and far.commands == []


def test_a_server_that_talks_without_end_is_left() -> None:
    with FarNews(GROUP) as server:
        server.greeting = "2" * 100_000
        with pytest.raises(NewsError, match="without end"), NewsServer("127.0.0.1", server.port, timeout=60.0):
            pass


def test_a_password_does_not_cross_a_network_in_clear() -> None:
    server = NewsServer("192.0.2.1", 119)
    with pytest.raises(NewsError, match="not sent"):
        server.sign_in("post", "secret")


def test_a_command_cannot_be_made_into_two() -> None:
    with FarNews(GROUP) as far, NewsServer("127.0.0.1", far.port) as server:
        with pytest.raises(NewsError, match="line breaks"):
            server.group("x\r\nPOST")
        assert not any("POST" in one for one in far.commands)


@pytest.mark.parametrize("name", ["a b", "x\r\nPOST", ".rec", "rec..gardens", "ré"])
def test_only_names_of_newsgroups_are_kept(database: Configuration, name: str) -> None:
    from posthouse.lists.errors import BadSetting

    has_list()
    with pytest.raises(BadSetting):
        creation.set_settings(GARDEN, {"linked_newsgroup": name})


def test_a_receipt_is_not_sent_for_an_article(far: FarNews) -> None:
    pk = has_list(members=[ANA], **BOTH)
    roster.set_preferences(pk, ANA, acknowledge_posts=True)
    visit(NOW)
    far.groups[GROUP].add(_article(1, ANA))
    visit(NOW)
    _arrive_from_news()
    assert notices_for(ANA) == [] and copies() == [ANA]
