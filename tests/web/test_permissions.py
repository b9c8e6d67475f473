"""Every address of the site, for everybody: who sees what."""

from __future__ import annotations

import pytest

from tests.people import ANA, DOMAIN, GARDEN
from tests.web.neighbourhood import BOARD, DIARY, Neighbourhood

ROLES = ("stranger", "eve", "ana", "mona", "owen", "root")
OPEN = dict.fromkeys(ROLES, 200)
BOARD_READERS = {**dict.fromkeys(ROLES, 200), "stranger": 404, "eve": 404}
NOBODY = dict.fromkeys(ROLES, 404)
SIGNED_IN = {**OPEN, "stranger": 302}
GONE = dict.fromkeys(("mona", "owen", "root"), 302)  # to the inbox, which says that it was decided
MODERATORS = {**BOARD_READERS, "stranger": 302, "ana": 404}

# path (with {key}, {other}, {held}) -> the status for each role
TABLE = {
    "/": OPEN,
    "/search": OPEN,
    "/search?q=ripe": OPEN,
    "/robots.txt": OPEN,
    "/health": OPEN,
    "/sign-in/": OPEN,
    "/sign-in/abc/": OPEN,
    "/sign-out/": SIGNED_IN,
    "/held/": SIGNED_IN,
    "/held/{held}/": MODERATORS,
    "/held/act/nonsense/": dict.fromkeys(ROLES, 410),
    "/held/999999/": {**SIGNED_IN, "eve": 404, "ana": 404, **GONE},
    "/trial/outbox": NOBODY,
    "/trial/outbox/1": NOBODY,
    "/unsubscribe/nonsense/": NOBODY,
    "/confirm/nonsense/": dict.fromkeys(ROLES, 410),
    "/bounces/restart/nonsense/": dict.fromkeys(ROLES, 410),
    f"/lists/{GARDEN}/": OPEN,
    f"/lists/{BOARD}/": BOARD_READERS,
    f"/lists/nowhere@{DOMAIN}/": NOBODY,
}
for _address, _statuses in ((GARDEN, OPEN), (BOARD, BOARD_READERS), (DIARY, NOBODY), (f"none@{DOMAIN}", NOBODY)):
    for _tail in (
        "", "2026/05/", "search?q=ripe", "feed.atom", "thread/{key}/", "thread/{key}/?sort=date", "thread/{key}/mbox",
        "thread/{key}/feed.atom", "message/{key}/", "message/{key}/raw", "message/{key}/headers",
        "message/{key}/attachment/1/notes.txt",
    ):  # fmt: skip
        TABLE[f"/archives/{_address}/{_tail}"] = _statuses

OWNERS = {**NOBODY, "stranger": 302, "owen": 200, "root": 200}
FOUNDERS = {**NOBODY, "stranger": 302, "root": 200}
STAFF = {**OWNERS, "mona": 200}
for _address, _staff in ((GARDEN, OWNERS), (BOARD, STAFF), (DIARY, OWNERS)):
    for _tail in ("settings/", "settings/postings/", "bans/", "templates/", "templates/list:user:notice:welcome/",
                  "manage/"):  # fmt: skip
        TABLE[f"/lists/{_address}/{_tail}"] = OWNERS
    TABLE[f"/lists/{_address}/members/"] = TABLE[f"/lists/{_address}/requests/"] = _staff
    TABLE[f"/lists/{_address}/settings/nonsense/"] = {**NOBODY, "stranger": 302}
TABLE |= {
    "/favicon.ico": OPEN, "/held/discarded/": SIGNED_IN, "/options/addresses/": SIGNED_IN,
    "/options/addresses/nonsense/": {**dict.fromkeys(ROLES, 410), "stranger": 302},
    f"/archives/{GARDEN}/mbox": OPEN, f"/archives/{BOARD}/mbox": BOARD_READERS, f"/archives/{DIARY}/mbox": NOBODY,
    f"/lists/{GARDEN}/members/table.csv": OWNERS, f"/lists/{BOARD}/members/table.csv": OWNERS,
    f"/lists/{GARDEN}/members/{ANA}/": OWNERS, f"/lists/{BOARD}/members/{ANA}/": STAFF,
    f"/lists/{BOARD}/members/nobody@far.example/": {**NOBODY, "stranger": 302},
    **dict.fromkeys(("/site/", "/site/people/", "/site/bans/", "/site/templates/"), FOUNDERS),
    f"/site/domains/{DOMAIN}/": FOUNDERS,
    "/site/domains/nowhere.example/": {**NOBODY, "stranger": 302},
    f"/lists/{GARDEN}/join/": OPEN, f"/lists/{BOARD}/join/": BOARD_READERS, "/options/": SIGNED_IN,
    "/lists/new/": FOUNDERS, f"/lists/nowhere@{DOMAIN}/settings/": {**NOBODY, "stranger": 302},
}  # fmt: skip

WITH_FILE = (
    b"From: Ana <ana@far.example>\r\nTo: all\r\nSubject: Tomatoes\r\nDate: Thu, 28 May 2026 20:26:40 +0000\r\n"
    b"Message-ID: <1@far.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nRipe at last.\r\n"
    b'--b\r\nContent-Type: text/plain; name="notes.txt"\r\n'
    b'Content-Disposition: attachment; filename="notes.txt"\r\n\r\n'
    b"seeds\r\n--b--\r\n"
)


def fill(site: Neighbourhood) -> int:
    """A letter with an attachment in every archive, and one posting held on the board; its number."""
    from django.utils import timezone

    from posthouse.content import keeping
    from posthouse.content.spool import spooled_from
    from posthouse.lists.models import HeldPosting, MailingList

    for archive in (GARDEN, BOARD, DIARY):
        site.letter(1, archive=archive, raw=WITH_FILE)
    row = HeldPosting.objects.create(
        mailing_list=MailingList.objects.get(list_name="board"), content_id=keeping.keep(spooled_from(WITH_FILE)),
        item=7, return_path="eve@elsewhere.example", author="eve@elsewhere.example", subject="Let me in",
        size=len(WITH_FILE), rule="nonmember", reason="not a member", held_at=timezone.now(),
    )  # fmt: skip
    return int(row.pk)


def test_everybody_sees_what_is_theirs_and_nothing_else(site: Neighbourhood) -> None:
    held = fill(site)
    wrong = []
    for role in ROLES:
        client = site.as_(role)
        for pattern, statuses in TABLE.items():
            path = pattern.format(key=site.key(1), held=held)
            status = client.get(path).status_code
            if status != statuses[role]:
                wrong.append(f"{role} {path}: {status}, should be {statuses[role]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("tail", ["", "message/{key}/", "thread/{key}/mbox", "search?q=ripe", "feed.atom"])
def test_a_private_archive_looks_to_strangers_like_one_that_does_not_exist(
    quick_site: Neighbourhood, tail: str
) -> None:
    fill(quick_site)
    tail = tail.format(key=quick_site.key(1))
    client = quick_site.as_("stranger")
    private = client.get(f"/archives/{BOARD}/{tail}")
    unknown = client.get(f"/archives/bored@{DOMAIN}/{tail}")
    assert private.status_code == unknown.status_code == 404
    assert private.content.replace(b"board%40", b"") == unknown.content.replace(b"bored%40", b"")
    assert b"/sign-in/?next=" in private.content


def test_search_over_all_lists_finds_only_what_the_visitor_may_read(site: Neighbourhood) -> None:
    fill(site)
    found = {role: site.as_(role).get("/search?q=ripe").content.decode() for role in ROLES}
    for role in ROLES:
        assert f"/archives/{GARDEN}/message/" in found[role]
        assert (f"/archives/{BOARD}/message/" in found[role]) is (role in ("ana", "mona", "owen", "root")), role
        assert f"/archives/{DIARY}/" not in found[role]
        assert "1 message found" in found[role] or BOARD in found[role]


def test_the_front_page_names_only_lists_the_visitor_may_know_of(site: Neighbourhood) -> None:
    fill(site)
    for role in ROLES:
        page = site.as_(role).get("/").content.decode()
        assert GARDEN in page
        assert (BOARD in page) is (role in ("ana", "mona", "owen", "root")), role
    assert f"/archives/{DIARY}/" not in page


def test_what_members_read_is_never_kept_by_a_shared_cache(quick_site: Neighbourhood) -> None:
    fill(quick_site)
    client = quick_site.as_("ana")
    for tail in ("", f"message/{quick_site.key(1)}/raw", f"thread/{quick_site.key(1)}/mbox", "feed.atom"):
        headers = client.get(f"/archives/{BOARD}/{tail}").headers
        assert "private" in headers["Cache-Control"] or "no-store" in headers["Cache-Control"], tail
        assert "Cookie" in headers["Vary"] or "no-store" in headers["Cache-Control"], tail


def test_a_role_ends_with_the_membership(quick_site: Neighbourhood) -> None:
    from posthouse.lists import roster

    client = quick_site.as_("ana")
    assert client.get(f"/archives/{BOARD}/").status_code == 200
    roster.remove(BOARD, "ana@far.example")
    assert client.get(f"/archives/{BOARD}/").status_code == 404


def test_the_etag_of_a_member_opens_nothing_for_a_stranger(quick_site: Neighbourhood) -> None:
    fill(quick_site)
    for tail in ("", f"message/{quick_site.key(1)}/raw", f"thread/{quick_site.key(1)}/mbox", "feed.atom"):
        etag = quick_site.as_("ana").get(f"/archives/{BOARD}/{tail}").headers["ETag"]
        for known in (etag, "*"):
            answer = quick_site.as_("stranger").get(f"/archives/{BOARD}/{tail}", headers={"if-none-match": known})
            assert answer.status_code == 404
