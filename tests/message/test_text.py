"""Any bytes become readable text: charsets that lie, flowed lines, HTML told in plain words."""

import pytest

from posthouse.message.text import decode, decode_with_oddity, flowed, html_to_text


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"abc", None, "abc"),
        ("Grüße".encode(), "us-ascii", "Grüße"),
        ("Grüße".encode("latin-1"), "utf-8", "Grüße"),
        (b"\x93quoted\x94", "iso-8859-1", "“quoted”"),
        ("привет".encode("koi8-r"), "KOI8-R", "привет"),
        ("日本".encode("iso-2022-jp"), "iso-2022-jp", "日本"),
        ("邮件".encode("gbk"), "gb2312", "邮件"),
        ("Grüße".encode("utf-7"), "utf-7", "Grüße"),
        (b"+2AA-x", "utf-7", "\ufffdx"),
        ("Grüße".encode("cp1252"), "cp-1252", "Grüße"),
        ("Grüße".encode(), "x-nobody", "Grüße"),
        ("Grüße".encode("utf-16"), "utf-16", "Grüße"),
        (b"a\0b", "utf-8", "ab"),
        (b"abc", "rot13", "abc"),
        (b"abc", "unicode_escape", "abc"),
        (b"\\x41", "unicode_escape", "\\x41"),
        (b"YWJj", "base64", "YWJj"),
        (b"abc-", "punycode", "abc-"),
        (b"abc", "../../etc/passwd", "abc"),
        (b"abc", "x" * 100_000, "abc"),
        ("Grüße".encode("latin-1"), '"latin1"', "Grüße"),
        (b"\xef\xbb\xbfabc\xc3\xbc", "utf-8", "abcü"),
    ],
)
def test_bytes_are_read_in_the_charset_that_fits(raw, charset, text):
    assert decode(raw, charset) == text


def test_an_unknown_or_lying_charset_is_told():
    assert decode_with_oddity(b"abc\xe9", "x-nobody")[1] == "the charset x-nobody is unknown"
    assert "not in the charset" in decode_with_oddity(b"abc\xe9 def", "utf-8")[1]
    assert decode_with_oddity(b"abc", "utf-8")[1] == ""


def test_a_text_in_two_charsets_is_read_in_both():
    quoted = "> Grüße, Philippe Lafoucrière, ça va ?\n".encode() + "Déjà vu\n".encode("latin-1")
    assert decode(quoted, "utf-8") == "> Grüße, Philippe Lafoucrière, ça va ?\nDéjà vu\n"
    assert decode("Déjà vu, ça va ?".encode("latin-1"), None) == "Déjà vu, ça va ?"


def test_flowed_lines_are_joined_and_fixed_ones_kept():
    assert flowed("One \ntwo \nthree.\nFour.\n") == "One two three.\nFour.\n"
    assert flowed("> a \n> b\n>> c \n> d\n") == "> a b\n>> c \n> d\n"
    assert flowed(" From stuffed\n-- \nAna\n") == "From stuffed\n-- \nAna\n"
    assert flowed("日本 \n語\n", delsp=True) == "日本語\n"


def test_html_is_told_in_plain_words():
    html = (
        "<html><head><title>no</title><style>p{}</style></head><body><h1>Beans</h1><p>"
        "Ripe&nbsp;at <b>last</b> &amp; good.<br>"
        "See <a href='https://far.example/x'>the garden</a>.</p><script>alert('<p>no</p>')</script><!-- no -->"
        "<blockquote>said<blockquote>before</blockquote></blockquote><ul><li>one<li>two</ul><pre>a  b\nc</pre>"
        "<img src='http://eve.example/spy.gif' alt='a bean'><table><tr><td>x</td><td>y</td></tr></table></body></html>"
    )
    assert html_to_text(html) == (
        "Beans\n\nRipe\xa0at last & good.\nSee the garden <https://far.example/x>.\n\n> said\n>\n> > before\n\n"
        "* one\n* two\n\na  b\nc\n\n[a bean]\n\nx\ty\n"
    )


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_a_link_that_runs_is_not_shown(link):
    assert html_to_text(f"<a href='{link}'>click</a>").strip() == "click"


@pytest.mark.parametrize(
    "piece",
    ["<!--", "<a ", '<a "', "<a '\"", "<script>", "</script ", "<head>", "<style", "&#" + "9" * 5_000 + ";",
     "<blockquote>",
     "<pre>x\n", "</a>x", "<a href='http://x.y/'>x", "<", "<br>", "&", "<td>x", '<p a="'],
)  # fmt: skip
def test_hostile_html_costs_linear_time(piece, deadline):
    with deadline(3.0):
        html_to_text(piece * (1_000_000 // len(piece)))
