"""What every answer of the site carries, and whom it believes."""

from __future__ import annotations

import gzip
import re

import jinja2
import pytest
from django.http import HttpRequest

from posthouse.web.assets import FOLDER
from posthouse.web.middleware import believe_proxies, is_fresh, takes_gzip
from tests.people import GARDEN
from tests.web.neighbourhood import Neighbourhood


def asked(**meta: str) -> HttpRequest:
    request = HttpRequest()
    request.method = "GET"
    request.META = {"REMOTE_ADDR": "192.0.2.7", "wsgi.url_scheme": "http", **meta}
    return request


@pytest.mark.parametrize("path", ["/", f"/archives/{GARDEN}/", "/search?q=x", "/sign-in/", "/nowhere", "/robots.txt"])
def test_every_answer_forbids_what_a_page_never_needs(quick_site: Neighbourhood, path: str) -> None:
    headers = quick_site.as_("stranger").get(path).headers

    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Server" not in headers


def test_https_is_remembered_only_where_the_site_has_it(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("stranger")
    assert "Strict-Transport-Security" not in client.get("/").headers
    quick_site.changes(web_base_url="https://lists.example")
    assert client.get("/").headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/", f"/archives/{GARDEN}/", f"/lists/{GARDEN}/", "/search?q=ripe"])
def test_a_stranger_who_reads_gets_no_cookie(quick_site: Neighbourhood, path: str) -> None:
    quick_site.letter(1)
    answer = quick_site.as_("stranger").get(path)
    assert answer.status_code == 200
    assert not answer.cookies


def test_a_page_that_did_not_change_is_not_sent_again(quick_site: Neighbourhood) -> None:
    quick_site.letter(1)
    client = quick_site.as_("stranger")
    for path in ("/", f"/archives/{GARDEN}/", f"/archives/{GARDEN}/thread/{quick_site.key(1)}/", "/search?q=ripe"):
        etag = client.get(path).headers["ETag"]
        again = client.get(path, headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b""), path
        assert again.headers["ETag"] == etag
    quick_site.letter(2, answers=1)
    assert client.get(f"/archives/{GARDEN}/", headers={"if-none-match": etag}).status_code == 200


def test_an_etag_of_one_person_is_no_etag_of_another(quick_site: Neighbourhood) -> None:
    path = f"/archives/{GARDEN}/"
    tags = {quick_site.as_(who).get(path).headers["ETag"] for who in ("stranger", "eve", "root")}
    assert len(tags) == 3


def test_pages_are_packed_for_those_who_take_it(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("stranger")
    plain = client.get("/")
    packed = client.get("/", headers={"accept-encoding": "br;q=1, gzip;q=0.8"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.content) == plain.content
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = client.get("/", headers={"accept-encoding": "gzip", "if-none-match": packed.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("words", "takes"),
    [
        ("gzip", True), ("gzip, br", True), ("br, gzip;q=0.5", True), ("*", True), ("", False), ("identity", False),
        ("gzip;q=0", False), ("gzip;q=0.000", False), ("x-gzipped", False),
    ],
)  # fmt: skip
def test_gzip_is_sent_only_when_it_is_taken(words: str, takes: bool) -> None:
    assert takes_gzip(asked(HTTP_ACCEPT_ENCODING=words)) is takes


@pytest.mark.parametrize(
    ("known", "fresh"),
    [('"abc"', True), ('W/"abc"', True), ('"x", "abc-gz"', True), ("*", True), ('"ab"', False), ("", False)],
)
def test_an_etag_is_recognised_in_every_spelling(known: str, fresh: bool) -> None:
    assert is_fresh(asked(HTTP_IF_NONE_MATCH=known), '"abc"') is fresh


def test_head_is_get_without_the_content(quick_site: Neighbourhood) -> None:
    quick_site.letter(1)
    client = quick_site.as_("stranger")
    for path in ("/", f"/archives/{GARDEN}/", f"/archives/{GARDEN}/message/{quick_site.key(1)}/raw", "/robots.txt"):
        full, head = client.get(path), client.head(path)
        assert head.content == b""
        assert head.status_code == full.status_code == 200
        assert head.headers["Content-Length"] == str(len(full.content))
        assert head.headers.get("ETag") == full.headers.get("ETag")


def test_a_stranger_cannot_say_who_he_is(quick_site: Neighbourhood) -> None:
    meta = asked(HTTP_X_FORWARDED_FOR="10.0.0.1", HTTP_X_FORWARDED_PROTO="https", HTTP_FORWARDED="for=x").META
    believe_proxies(meta)
    assert meta["REMOTE_ADDR"] == "192.0.2.7"
    assert meta["wsgi.url_scheme"] == "http"
    assert not [name for name in meta if "FORWARDED" in name]


def test_a_trusted_proxy_says_who_asked_and_how(quick_site: Neighbourhood) -> None:
    quick_site.changes(web_trusted_proxies=["192.0.2.0/28", "198.51.100.1/32"])
    meta = asked(
        HTTP_X_FORWARDED_FOR="6.6.6.6, 203.0.113.9, 198.51.100.1", HTTP_X_FORWARDED_PROTO="https"
    ).META  # fmt: skip
    believe_proxies(meta)
    assert meta["REMOTE_ADDR"] == "203.0.113.9"  # what stands before it is the client's own word
    assert meta["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize(
    ("said", "address"),
    [("203.0.113.9:40123", "203.0.113.9"), ("[2001:db8::9]:40123", "2001:db8::9"), ("[2001:db8::9]", "2001:db8::9"),
     ("2001:db8::9", "2001:db8::9"), ("203.0.113.9, 198.51.100.1:8080", "203.0.113.9"), ("unknown", "unknown")],
)  # fmt: skip
def test_the_port_that_a_proxy_writes_is_no_part_of_the_address(
    quick_site: Neighbourhood, said: str, address: str
) -> None:
    quick_site.changes(web_trusted_proxies=["192.0.2.0/28", "198.51.100.1/32"])
    meta = asked(HTTP_X_FORWARDED_FOR=said).META
    believe_proxies(meta)
    assert meta["REMOTE_ADDR"] == address


def test_assets_are_kept_for_good_under_the_name_of_their_content(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("stranger")
    page = client.get("/").content.decode()
    path = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    style = client.get(path, headers={"accept-encoding": "gzip"})
    assert style.status_code == 200
    assert "immutable" in style.headers["Cache-Control"]
    assert style.headers["Content-Type"].startswith("text/css")
    assert len(gzip.decompress(style.content)) < 12_000
    again = client.get(path, headers={"accept-encoding": "gzip", "if-none-match": style.headers["ETag"]})
    assert again.status_code == 304
    assert client.get("/static/site.0000000000000000.css").status_code == 404


def test_health_says_whether_the_database_answers(site: Neighbourhood) -> None:
    answer = site.as_("stranger").get("/health")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_a_database_that_cannot_answer_is_503_and_comes_back(
    quick_site: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    from posthouse.web.views import archive

    client = quick_site.as_("stranger")

    def gone() -> None:
        raise OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(archive, "all_places", gone)
        answer = client.get("/")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "disk" not in answer.content.decode()
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/held/99999999999999999999999999/", "/archives/a%00b@lists.example/", "/lists/%ff%fe@x/", "/confirm/%00%ff/",
        "/unsubscribe/%00/", f"/archives/{GARDEN}/message/{'A' * 32}/attachment/9999999999999999999999/x",
        f"/archives/{GARDEN}/search?q=%00%ff%22%27)(*", "/search?q=" + "a" * 5000, "/search?sort=%00&page=%00&q=a",
        f"/archives/{GARDEN}/?page=%D9%A3", "/trial/outbox/x", "/static/../settings.py", "/static/%2e%2e/x",
        "/sign-in/?next=%00", "/sign-in/%00.%D9%A3/", "//evil.example/", "/archives/",
    ],
)  # fmt: skip
def test_no_address_makes_the_site_stumble(site: Neighbourhood, path: str) -> None:
    for who in ("stranger", "root"):
        assert site.as_(who).get(path).status_code < 500
    odd = site.as_("stranger")
    odd.cookies["sessionid"] = "a\\000b'--"
    assert odd.get(path).status_code < 500


def test_a_fault_of_ours_is_admitted_without_showing_our_insides(
    quick_site: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    from posthouse.web.views import archive

    def broken() -> None:
        raise ZeroDivisionError("inner secret")

    monkeypatch.setattr(archive, "all_places", broken)
    answer = quick_site.as_("stranger", raise_request_exception=False).get("/")
    assert answer.status_code == 500
    assert "our fault" in answer.content.decode() and "secret" not in answer.content.decode()
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_database_that_is_locked_or_gone_is_said_so_by_health(
    quick_site: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    from posthouse import database

    client = quick_site.as_("stranger")
    kept = Path(quick_site.configuration.database_url.removeprefix("sqlite:///"))
    database.close()
    away = kept.with_name("away")
    kept.rename(away)
    try:
        assert client.get("/health").status_code == 503
        assert client.get("/").status_code == 503
    finally:
        database.close()
        for left in kept.parent.glob(f"{kept.name}*"):
            left.unlink()
        away.rename(kept)
    assert client.get("/health").status_code == 200


def test_templates_are_compiled_once_and_a_full_disk_does_not_stop_the_site(
    quick_site: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    from posthouse.web.environment import environment

    folder = quick_site.configuration.data / "run" / "templates"
    folder.parent.mkdir(exist_ok=True)
    templates = jinja2.FileSystemLoader(str(FOLDER.parent / "templates"))
    environment(loader=templates).get_template("site.html")
    [kept] = folder.glob("*.cache")
    before = kept.stat().st_mtime_ns
    environment(loader=templates).get_template("site.html")
    assert kept.stat().st_mtime_ns == before

    def full(*_arguments: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    environment(loader=templates).get_template("base.html")


def test_crawlers_are_told_which_pages_are_worth_their_while(quick_site: Neighbourhood) -> None:
    told = quick_site.as_("stranger").get("/robots.txt").content.decode().splitlines()
    assert told[0] == "User-agent: *" and all(line.startswith("Disallow: /") for line in told[1:])
    rules = [re.escape(line.removeprefix("Disallow: ")).replace(r"\*", ".*") for line in told[1:]]  # RFC 9309 §2.2.3
    letter = f"/archives/{GARDEN}/message/{quick_site.key(1)}"
    for path in ("/", f"/lists/{GARDEN}/", f"/archives/{GARDEN}/", f"{letter}/"):
        assert not any(re.match(rule, path) for rule in rules), path
    for path in ("/search?q=x", "/sign-in/", f"{letter}/raw", f"/archives/{GARDEN}/mbox", f"/archives/{GARDEN}/search"):
        assert any(re.match(rule, path) for rule in rules), path
