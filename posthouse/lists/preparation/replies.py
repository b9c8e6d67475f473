"""Where answers to a posting go: reply_goes_to_list in its four kinds."""

from __future__ import annotations

from posthouse.lists.models import MailingList
from posthouse.lists.preparation.mailboxes import Mailbox, in_fields, written
from posthouse.message.headers import Fields, HeaderEditor


def direct(row: MailingList, editor: HeaderEditor) -> None:
    """Set Reply-To as the list wants it; what its author wrote there stays beside it unless it is to be stripped."""
    kind = row.reply_goes_to_list
    own = [] if row.first_strip_reply_to else in_fields(Fields(editor.to_bytes()), "reply-to")
    if kind == "no_munging":
        if row.first_strip_reply_to:
            editor.remove("Reply-To")
        return
    ours: list[Mailbox] = [(row.display_name, row.address)]
    if kind != "point_to_list" and row.reply_to_address:
        ours = [("", row.reply_to_address)]
    boxes = ours if kind == "explicit_header_only" else [*ours, *own]
    editor.replace("Reply-To", written(boxes))
