"""Postings whose author's domain forbids what lists do: sent in the list's name, or wrapped into a list's message."""

from __future__ import annotations

from posthouse.address import AddressError, key_of
from posthouse.directory.models import Address
from posthouse.lists.models import MailingList
from posthouse.lists.preparation.mailboxes import Mailbox, in_fields, written
from posthouse.message.compose import boundary_for, text_part
from posthouse.message.headers import Fields, HeaderEditor

# What the wrapping message takes over; its Message-ID too, so that answers find the conversation.
_TAKEN_OVER = (
    "message-id", "date", "in-reply-to", "references", "subject", "to", "cc", "auto-submitted",
    "x-no-archive", "x-beenthere", "importance", "keywords", "content-language",
)  # fmt: skip


def munge_from(row: MailingList, editor: HeaderEditor) -> None:
    """From becomes `Name via List <list>`; the author goes to Reply-To, or to Cc where the list directs answers."""
    fields = Fields(editor.to_bytes())
    authors = in_fields(fields, "from")
    by = f" via {row.display_name}"
    name = shown_name(authors).removesuffix(by)  # mail programs keep the name of an earlier copy in address books
    editor.replace("From", written([(f"{name}{by}", row.address)]))
    if row.reply_goes_to_list == "no_munging":
        answered = [*in_fields(fields, "reply-to"), *authors]
        if answered:
            editor.replace("Reply-To", written(answered))
        return
    known = {key_of(address) for _, address in in_fields(fields, "reply-to")}
    others = [box for box in authors if key_of(box[1]) not in known]
    if others:
        editor.replace("Cc", written([*in_fields(fields, "cc"), *others]))


def shown_name(authors: list[Mailbox]) -> str:
    """The name the first author is shown by: their own, else the member's, else the address without its domain."""
    if not authors:
        return "Somebody"
    name, address = authors[0]
    if name.strip() and "@" not in name:  # a name that looks like an address would fail for the same reason
        return name
    try:
        known = Address.objects.filter(key=key_of(address)).values_list("display_name", flat=True).first()
    except AddressError:
        known = ""
    return known or (name or address).partition("@")[0]


def wrapped(row: MailingList, content: bytes) -> bytes:
    """A message of the list with the posting attached, its bytes as they came, behind the list's own words."""
    fields = Fields(content)
    editor = HeaderEditor.on(content)
    eol = editor.eol
    inner = content[fields.header_start :]
    outer = HeaderEditor(
        b"".join(raw if raw.endswith(b"\n") else raw + eol for name, raw in fields if name.lower() in _TAKEN_OVER)
    )
    for name in ("From", "Reply-To"):
        boxes = in_fields(fields, name)
        if boxes:
            outer.append(name, written(boxes))
    outer.append("MIME-Version", "1.0")
    head = b"Content-Type: message/rfc822" + eol + b"Content-Disposition: inline" + eol
    encoding = "7bit" if inner.isascii() else "8bit"
    words = row.dmarc_wrapped_message_text.strip("\n")
    if not words.strip():
        outer.append("Content-Type", "message/rfc822")
        outer.append("Content-Disposition", "inline")
        outer.append("Content-Transfer-Encoding", encoding)
        return outer.to_bytes() + eol + inner
    text = text_part(words + "\n", eol=eol, fields=(("Content-Disposition", "inline"),))
    boundary = boundary_for((text, inner))
    outer.append("Content-Type", f'multipart/mixed; boundary="{boundary}"')
    outer.append("Content-Transfer-Encoding", encoding)
    delimiter = b"--" + boundary.encode("ascii")
    head += b"Content-Transfer-Encoding: " + encoding.encode() + eol + eol
    return b"".join([
        outer.to_bytes(), eol, delimiter, eol, text, eol, delimiter, eol, head, inner, eol, delimiter, b"--", eol,
    ])  # fmt: skip
