"""Odd letters pass through every path a list has, without a crash and without a changed byte that need not change."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from posthouse.archive.models import Posting
from posthouse.archive.render import MARKDOWN, TEXT, blocks
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.content.models import Content
from posthouse.lists import departure, digests, holding, roster
from posthouse.lists.digest_models import DigestPosting
from posthouse.lists.models import MailingList
from posthouse.lists.news.article import posting_of
from posthouse.lists.news_models import NewsArticle
from posthouse.message.headers import Fields
from posthouse.message.parsing import read
from posthouse.queue.models import Delivery, Message
from tests.lists.scene import NOW, arrives, has_list, waiting
from tests.people import ANA, BEN, CLEO, OWEN

HEAD = b"From: Ana <ana@far.example>\r\nTo: odd@lists.example\r\nSubject: odd\r\nMIME-Version: 1.0\r\n"


def _nested(depth: int) -> bytes:
    inner = HEAD + b"\r\ninnermost\r\n"
    for _ in range(depth):
        inner = HEAD + b"Content-Type: message/rfc822\r\n\r\n" + inner
    return inner


def _matryoshka(depth: int) -> bytes:
    body = b"Content-Type: text/plain\r\n\r\ninnermost\r\n"
    for level in range(depth):
        mark = b"b%d" % level
        body = b"Content-Type: multipart/mixed; boundary=" + mark + b"\r\n\r\n--" + mark + b"\r\n" + body
        body += b"\r\n--" + mark + b"--\r\n"
    return HEAD + body


ODD: Mapping[str, bytes] = {
    "nothing": b"",
    "a line end": b"\r\n",
    "no body": HEAD,
    "empty body": HEAD + b"\r\n",
    "UTF-7": HEAD + b"Content-Type: text/plain; charset=utf-7\r\n\r\nHi +AOQ- +ADw-script+AD4-\r\n",
    "UTF-7 subject": HEAD.replace(b"odd\r\n", b"=?utf-7?q?+AOQ-?=\r\n") + b"\r\nx\r\n",
    "UTF-16 text": HEAD + b"Content-Type: text/plain; charset=utf-16\r\n\r\n" + "Grüße".encode("utf-16"),
    "no such charset": HEAD + b"Content-Type: text/plain; charset=x-pickles\r\n\r\n\xff\xfe\r\n",
    "charset that is a codec": HEAD + b"Content-Type: text/plain; charset=rot13\r\n\r\nx\r\n",
    "charset with a NUL": HEAD + b'Content-Type: text/plain; charset="u\0tf-8"\r\n\r\nx\r\n',
    "8 bits, no charset": HEAD + b"\r\nGr\xfc\xdfe\r\n",
    "8 bits in fields": HEAD.replace(b"odd\r\n", b"Gr\xfc\xdfe \xff\r\n").replace(b"Ana", b"\xc4na") + b"\r\nx\r\n",
    "ISO-2022-JP": HEAD + b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s\x1b(B\r\n",
    "half a base64": HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nUmVp=Zi4\x00KU\r\n",
    "odd quoted-printable": HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=zz=\r\n=C3\r\n=",
    "an encoding of its own": HEAD + b"Content-Transfer-Encoding: x-rot\r\n\r\nx\r\n",
    "boundary that never comes": HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\nx\r\n",
    "boundary never closed": HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi",
    "empty boundary": HEAD + b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nhi\r\n----\r\n',
    "no parts": HEAD + b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x--\r\n",
    "the same boundary inside": HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x--\r\n--x--\r\n",
    "two content types": HEAD + b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\n<p>x\r\n",
    "messages in messages": _nested(40),
    "parts in parts": _matryoshka(150),
    "an encoded message": HEAD + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode(_nested(1)) + b"\r\n",
    "many parts": HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n.\r\n" * 3000 + b"--x--",
    "bare LF": HEAD.replace(b"\r\n", b"\n") + b"\nx\n.\n",
    "a long line": HEAD + b"\r\n" + b"x" * 200_000 + b"\r\n",
    "a long field": HEAD.replace(b"odd", b"odd " * 20_000) + b"\r\nx\r\n",
    "many fields": HEAD + b"X-A: 1\r\n" * 900 + b"\r\nx\r\n",
    "fields without names": HEAD + b": x\r\n :\r\n\r\nx\r\n",
    "NULs": HEAD + b"X-A: \0\r\n\r\n\0\0\r\n",
    "an mbox line": b"From ana@far.example Tue Nov 14 22:13:20 2023\r\n" + HEAD + b"\r\nFrom here\r\n>From there\r\n",
    "dots": HEAD + b"\r\n.\r\n..\r\n.\r\n",
    "signed and broken": HEAD + b"Content-Type: multipart/signed; boundary=x; protocol=y\r\n\r\n--x\r\n\r\nhi\r\n",
    "a partial message": HEAD + b"Content-Type: message/partial; number=1; total=2; id=x\r\n\r\nhalf\r\n",
    "an external body": HEAD + b"Content-Type: message/external-body; access-type=x\r\n\r\nContent-Type: a/b\r\n\r\n",
    "names that lead away": HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: a/b\r\n"
    b"Content-Disposition: attachment; filename=\"../../etc/pass\xffwd\0\"\r\n\r\nx\r\n--x--\r\n",
    "a name in pieces": HEAD + b"Content-Type: a/b\r\nContent-Disposition: attachment; filename*0*=utf-8''%F0;"
    b" filename*1*=%9F%92%A9; filename*9=x\r\n\r\nx\r\n",
    "lone surrogates": HEAD.replace(b"odd", b"=?utf-8?b?7aCA?=")
    + b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xed\xa0\x80\r\n",
    "HTML without end": HEAD + b"Content-Type: text/html\r\n\r\n" + b"<div><!-- <p>" * 2000,
    "dates and ids that are none": b"Date: 99 Foo 99999\r\nMessage-ID: <>\r\nIn-Reply-To: <<<\r\nReferences: \xff\r\n"
    + HEAD + b"\r\nx\r\n",
}  # fmt: skip
LETTERS = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parents[1] / "letters").glob("*.eml"))} | ODD

TAKES_ALL = {
    "default_nonmember_action": "accept", "require_explicit_destination": "no", "administrivia": "no",
    "max_message_size": "0", "max_num_recipients": "0", "subject_prefix": "", "footer": "",
    "dmarc_mitigate_action": "no_mitigation", "digest_size_threshold": "0",
}  # fmt: skip
FILTER = {
    "filter_content": "yes",
    "filter_types": "image\naudio",
    "pass_extensions": "txt,png",
    "filter_action": "accept",
}
# What alters postings, each by itself and all together.
WAYS: Mapping[str, Mapping[str, str]] = {
    "as it came": {},
    "prefix": {"subject_prefix": "[Gärten %d 100%] "},
    "plain prefix, encoded": {"subject_prefix": "[odd]", "encode_ascii_prefixes": "yes"},
    "decorated": {"header": "Grüße von $listname", "footer": "Tschüß $permalink"},
    "personal": {"header": "Hi $user_name_or_email", "footer": "Ä", "personalize": "individual"},
    "to its reader": {"personalize": "full", "footer": "$user_email"},
    "answers": {"reply_goes_to_list": "explicit_header", "reply_to_address": BEN, "first_strip_reply_to": "yes"},
    "no list fields": {"include_rfc2369_headers": "no"},
    "anonymous": {"anonymous_list": "yes"},
    "filtered": FILTER,
    "collapsed": {"filter_content": "yes", "convert_html_to_plaintext": "yes", "filter_action": "accept"},
    "scrubbed": {"scrub_nondigest": "yes"},
    "munged": {"dmarc_mitigate_action": "munge_from", "dmarc_mitigate_unconditionally": "yes"},
    "wrapped": {"dmarc_mitigate_action": "wrap_message", "dmarc_mitigate_unconditionally": "yes",
                "dmarc_wrapped_message_text": "Übergeben", "subject_prefix": "[odd] "},
    "topics": {"topics_enabled": "yes", "topics": "Odd: odd|x"},
    "virgin": {"posting_pipeline": "virgin"},
    "to the owners": {"posting_pipeline": "default-owner-pipeline"},
    "to news": {"linked_newsgroup": "odd.group", "gateway_to_news": "yes", "newsgroup_moderation": "open_moderated"},
    "answered": {"autorespond_postings": "respond_and_continue", "autoresponse_postings_text": "Hi",
                 "autoresponse_grace_period": "0"},
    "all": {**FILTER, "subject_prefix": "[Ä %d] ", "footer": "Bye", "header": "Hi $user_email", "personalize": "full",
            "convert_html_to_plaintext": "yes", "scrub_nondigest": "yes", "dmarc_mitigate_action": "wrap_message",
            "dmarc_mitigate_unconditionally": "yes", "topics_enabled": "yes", "topics": "Odd: odd",
            "linked_newsgroup": "odd.group", "gateway_to_news": "yes", "reply_goes_to_list": "point_to_list"},
}  # fmt: skip
SAME_BODY = ("as it came", "prefix", "plain prefix, encoded", "answers", "no list fields", "munged", "topics", "virgin",
             "to the owners", "to news", "answered", "anonymous")  # fmt: skip


# These see every letter; of the others, which only edit the header, each sees another third of them.
THOROUGH = ("as it came", "decorated", "personal", "filtered", "collapsed", "scrubbed", "wrapped", "all")


def _letters(way: str) -> dict[str, bytes]:
    if way in THOROUGH:
        return LETTERS
    return {name: LETTERS[name] for name in list(LETTERS)[list(WAYS).index(way) % 3 :: 3]}


def _body(content: bytes) -> bytes:
    return content[Fields(content).body_offset :]


def _copies() -> Iterator[tuple[Message, bytes]]:
    for origin in ("list", "personal"):
        for message, content, _ in waiting(origin):
            yield message, content


@pytest.mark.parametrize("way", WAYS)
def test_odd_letters_pass_whatever_the_list_does_with_them(sqlite: Configuration, way: str) -> None:
    pk = has_list("odd@lists.example", members=[ANA, BEN], **{**TAKES_ALL, **WAYS[way]})
    accepted = 0
    for name, content in _letters(way).items():
        taken = arrives(content, "odd@lists.example", ANA)
        assert taken.result == "delivered", name
        if "accepted by the list" not in taken.reply:
            continue
        accepted += 1
        [(message, copy)] = _copies()
        fields = Fields(copy)
        wanted = way not in ("no list fields",)
        assert [fields.count(one) for one in ("list-id", "subject", "from", "message-id")][:1] == [wanted], name
        if way in SAME_BODY:
            assert _body(copy) == _body(content), name
        shared = departure.for_list(pk)
        if message.origin == "personal":
            more, pieces = shared.personal(copy).copy(BEN)
            assert more + b"".join(one if isinstance(one, bytes) else copy[one[0] : one[1]] for one in pieces)
        for posting in Posting.objects.all():
            kept = bytes(keeping.read(posting.content_id).all())
            if way not in ("anonymous", "filtered", "collapsed", "all"):
                assert kept == content, name
            if way == "as it came":
                text = read(kept).text
                assert blocks(text, TEXT) is not None and blocks(text, MARKDOWN) is not None
        for article in NewsArticle.objects.all():
            posted = bytes(keeping.read(article.content_id).all())
            assert [Fields(posted).count(one) for one in ("newsgroups", "subject", "date")] == [1, 1, 1], name
            assert posting_of(posted)
        _forget()
    assert accepted >= len(_letters(way)) - 12


def _forget() -> None:
    """Let the next letter find an empty house; contents stay, so that a wrong use of one would show."""
    for rows in (Delivery, Message, Posting, NewsArticle):
        rows.objects.all().delete()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["mime_digests", "plaintext_digests", "summary_digests"])
@pytest.mark.parametrize("policy", ["public", "never"])
def test_odd_letters_pass_through_digests_of_every_kind(sqlite: Configuration, kind: str, policy: str) -> None:
    pk = has_list("odd@lists.example", members=[ANA], **{**TAKES_ALL, "archive_policy": policy})
    roster.set_preferences(pk, ANA, delivery_mode=kind)
    for number, content in enumerate(LETTERS.values()):
        arrives(b"Message-ID: <%d@odd.example>\r\n" % number + content, "odd@lists.example", BEN)
    gathered = DigestPosting.objects.count()
    assert gathered > 30
    sent = digests.send(pk, NOW)
    assert sent and DigestPosting.objects.count() == 0
    whole = b"".join(content for _, content, _ in waiting("digest"))
    assert b"innermost" in whole or kind != "mime_digests"  # the others link to it
    if kind == "plaintext_digests":
        assert b"\0" not in whole and all(b"\n" not in line for line in whole.split(b"\r\n"))


def test_odd_letters_are_held_shown_forwarded_and_released(sqlite: Configuration) -> None:
    has_list("odd@lists.example", members=[ANA], emergency="yes", **TAKES_ALL)
    for name, content in list(LETTERS.items())[::2]:
        arrives(content, "odd@lists.example", BEN)
        for one in holding.held():
            holding.forward(one.id, CLEO, "owen", NOW)
            assert bytes(keeping.read(one.content_id).all()) == content, name
            holding.discard(one.id, "owen", NOW)
            holding.restore(one.id, "owen", NOW)
            assert holding.release(one.id, "owen", NOW) == 1
    told = [content for _, content, recipients in waiting("notice") if OWEN in recipients]
    assert len(told) > 15 and all(Fields(one).count("subject") == 1 for one in told)


@pytest.mark.parametrize(
    "suffix", ["owner", "request", "join", "leave", "confirm", "bounces", "bounces+ana=far.example"]
)
def test_odd_letters_reach_every_other_address(sqlite: Configuration, suffix: str) -> None:
    has_list("odd@lists.example", members=[ANA], **TAKES_ALL)
    for name, content in LETTERS.items():
        assert arrives(content, f"odd-{suffix}@lists.example", BEN).result == "delivered", name
        assert arrives(content, f"odd-{suffix}@lists.example", "").result == "delivered", name


@pytest.mark.parametrize("way", ["as it came", "all"])
def test_fifty_megabytes_pass_in_bounded_time_and_nothing_is_left_behind(sqlite: Configuration, way: str) -> None:
    line = base64.b64encode(bytes(range(57))) + b"\r\n"
    large = HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nLook:\r\n--x\r\nContent-Type: a/b\r\n"
    large += b"Content-Disposition: attachment; filename=a.txt\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    large += line * (50 * 1024 * 1024 // len(line)) + b"--x--\r\n"
    pk = has_list("odd@lists.example", members=[ANA, BEN], **{**TAKES_ALL, **WAYS[way]})
    roster.set_preferences(pk, BEN, delivery_mode="mime_digests")
    begun = time.process_time()
    assert "accepted" in arrives(large, "odd@lists.example", ANA).reply
    assert time.process_time() - begun < 60
    [(_, copy)] = _copies()
    assert (_body(copy) == _body(large)) == (way == "as it came")
    assert bytes(keeping.read(Posting.objects.get().content_id).all()) == large
    assert MailingList.objects.get().post_id == 2
    large_ones = Content.objects.filter(size__gt=1_000_000).count()
    assert large_ones <= 3  # what came, what goes out, what goes to news
