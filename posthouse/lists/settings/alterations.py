"""What a list changes in a posting before it goes out, and whose copies it goes to."""

from __future__ import annotations

from posthouse.address import AddressError, key_of
from posthouse.lists.settings.kinds import BOOL, CHOICE, LINE, TEXT, Setting

FOOTER = """_______________________________________________
$display_name: $listname
Leave: $leave_address
Archive: $archive_url
"""


def address(item: str) -> str:
    """An address as it is kept. Raises ValueError with the rule."""
    try:
        return key_of(item)
    except AddressError as error:
        raise ValueError(f"is no address: {error.rule}") from None


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "subject_prefix",
        LINE,
        "[$display_name] ",
        "Put before the subject of every posting, once. `%d` or `%05d` in it becomes the number of the posting. At "
        "creation $display_name is filled in. Empty: subjects stay as written.",
    ),
    Setting(
        "header",
        TEXT,
        "",
        "Put above the text of every posting. The placeholders are those of the footer.",
    ),
    Setting(
        "footer",
        TEXT,
        FOOTER,
        "Put below every posting. Placeholders: $display_name $listname $list_id $description $list_url $archive_url "
        "$permalink $leave_address $owner_address $request_address; with `personalize` also $user_email $user_name "
        "$user_name_or_email $user_delivered_to $user_language $user_optionsurl. Empty: postings stay as written.",
    ),
    Setting(
        "personalize",
        CHOICE,
        "none",
        "Whether copies differ: with `individual` header and footer may name their reader, with `full` each copy is "
        "also addressed to its reader (in To; the list stands in Cc).",
        ("none", "individual", "full"),
    ),
    Setting(
        "reply_goes_to_list",
        CHOICE,
        "no_munging",
        "Where answers go: `no_munging` where the author says, `point_to_list` (also) to the list, `explicit_header` "
        "(also) to reply_to_address, `explicit_header_only` to reply_to_address alone.",
        ("no_munging", "point_to_list", "explicit_header", "explicit_header_only"),
    ),
    Setting(
        "reply_to_address",
        LINE,
        "",
        "The address of the two kinds of explicit header. Empty: the list's own.",
        check=address,
    ),
    Setting(
        "first_strip_reply_to",
        BOOL,
        False,
        "Whether the author's own Reply-To is removed before the list adds its own.",
    ),
    Setting(
        "include_rfc2369_headers",
        BOOL,
        True,
        "Whether copies carry List-Id and the other List- fields. Without them mail programs offer no way to leave.",
    ),
    Setting(
        "anonymous_list",
        BOOL,
        False,
        "Whether postings hide their author: copies, digests and the archive carry the list as author, and no field "
        "of the posting that could tell who or where it came from. What the text says stays.",
    ),
)
