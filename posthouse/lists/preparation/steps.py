"""The steps from a posting to what its copies share, in the order of `STEPS`; bytes that need not change stay."""

from __future__ import annotations

from collections.abc import Callable
from string import Template

from posthouse.lists import notices
from posthouse.lists.models import MailingList
from posthouse.message.headers import HeaderEditor
from posthouse.message.identity import message_id_hash
from posthouse.message.rewrite import add_subject_prefix, append_footer
from posthouse.message.words import encode_phrase

# A list speaks for itself in these; what another list, or the author's mailer, said in them would mislead. Approved
# and its like carry passwords in Mailman's world: no copy may show one.
FOREIGN = (
    "List-Id", "List-Help", "List-Subscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Post", "List-Owner",
    "List-Archive", "Archived-At", "Precedence", "Message-ID-Hash", "X-Message-ID-Hash",
    "Return-Path", "Errors-To", "Return-Receipt-To", "Disposition-Notification-To", "X-Confirm-Reading-To",
    "Approved", "Approve", "X-Approved", "X-Approve",
)  # fmt: skip


class Preparation:
    """A posting on its way to its copies. `message_id`: bare; `permalink`: "" where nothing is archived.

    Steps that need the whole message come first and change `content`; those that need its header change `editor`,
    which takes the content over. So a large posting is in memory two or three times, not once for every step.
    """

    def __init__(self, mailing_list: MailingList, content: bytes, message_id: str, permalink: str) -> None:
        self.mailing_list, self.message_id, self.permalink = mailing_list, message_id, permalink
        self.values = {**notices.placeholders(mailing_list), "permalink": permalink}
        self.content = content
        self._editor: HeaderEditor | None = None

    @property
    def editor(self) -> HeaderEditor:
        """The header, to be edited."""
        if self._editor is None:
            self._editor = HeaderEditor.on(self.content)
            self.content = b""
        return self._editor


Step = Callable[[Preparation], None]


def cleanse(preparation: Preparation) -> None:
    """Remove what a list's copies must not carry. Signatures stay: one that still holds is worth keeping."""
    preparation.editor.remove(*FOREIGN)


def identity(preparation: Preparation) -> None:
    """Give the copies the Message-ID the archive files the posting under, when it came without one."""
    if not (preparation.editor.first("message-id") or "").strip():
        preparation.editor.replace("Message-ID", f"<{preparation.message_id}>")
    preparation.editor.append("Message-ID-Hash", message_id_hash(preparation.message_id))


def subject_prefix(preparation: Preparation) -> None:
    """Put the list's prefix before the subject, once."""
    add_subject_prefix(preparation.editor, preparation.mailing_list.subject_prefix)


def list_fields(preparation: Preparation) -> None:
    """Say which list this is and what one can do with it (RFC 2919, RFC 2369); List-Unsubscribe comes per copy."""
    row, editor, values = preparation.mailing_list, preparation.editor, preparation.values
    phrase = " ".join(row.description.split())
    editor.append("List-Id", f"{encode_phrase(phrase)} <{row.list_id}>" if phrase else f"<{row.list_id}>")
    editor.append("List-Post", f"<mailto:{row.address}>" if row.allow_list_posts else "NO (posting is not allowed)")
    editor.append("List-Help", f"<mailto:{values['request_address']}?subject=help>, <{values['list_url']}>")
    editor.append("List-Subscribe", f"<mailto:{values['join_address']}>, <{values['list_url']}>")
    editor.append("List-Owner", f"<mailto:{values['owner_address']}>")
    if row.archive_policy != "never":
        editor.append("List-Archive", f"<{values['archive_url']}>")
    editor.append("X-BeenThere", row.address)  # survives lists that rewrite our List-Id, and so ends loops


def archived_at(preparation: Preparation) -> None:
    """Say where this posting is kept (RFC 5064)."""
    if preparation.permalink:
        preparation.editor.append("Archived-At", f"<{preparation.permalink}>")


def precedence(preparation: Preparation) -> None:
    """Ask machines not to answer (RFC 3834 §2 names the field; it was never standardised)."""
    preparation.editor.append("Precedence", "list")


def footer(preparation: Preparation) -> None:
    """Put the list's footer below the text, filled in; an edit of the content, so it must come first."""
    text = Template(preparation.mailing_list.footer).safe_substitute(preparation.values)
    if text.strip():
        preparation.content = append_footer(preparation.content, text)


STEPS: tuple[Step, ...] = (footer, cleanse, identity, subject_prefix, list_fields, archived_at, precedence)


def prepare(mailing_list: MailingList, content: bytes, message_id: str, permalink: str) -> bytes:
    """What all copies of a posting share. `message_id`: bare; `permalink`: "" where nothing is archived."""
    preparation = Preparation(mailing_list, content, message_id, permalink)
    del content
    for step in STEPS:
        step(preparation)
    return preparation.editor.content()
