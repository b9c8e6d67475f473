"""What a list changes in a posting before it goes out, and whose copies it goes to."""

from __future__ import annotations

from posthouse.address import AddressError, key_of
from posthouse.lists.placeholders import OF_COPIES, checked
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


def words(text: str) -> str:
    """A header or a footer. Raises ValueError with the rule."""
    return checked(text, OF_COPIES)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "posting_pipeline",
        CHOICE,
        "default-posting-pipeline",
        "What happens to accepted postings: `default-posting-pipeline` all that the other settings say; "
        "`virgin` members get them as they came, with the list's own fields and the answers' direction alone: nothing "
        "is filtered, changed for DMARC, decorated, gathered for digests, archived or sent to news; "
        "`default-owner-pipeline` they go to owners and moderators alone, as they came.",
        ("default-posting-pipeline", "virgin", "default-owner-pipeline"),
    ),
    Setting(
        "subject_prefix",
        LINE,
        "[$display_name] ",
        "Put before the subject of every posting, once. `%d` or `%05d` in it becomes the number of the posting. At "
        "creation $display_name is filled in. Empty: subjects stay as written.",
    ),
    Setting(
        "encode_ascii_prefixes",
        BOOL,
        False,
        "Whether a prefix of plain letters is written as an encoded word (RFC 2047) like the subject it stands before, "
        "where that is written so. Without it such a prefix can be read by every program.",
    ),
    Setting(
        "header",
        TEXT,
        "",
        "Put above the text of every posting. The placeholders are those of the footer.",
        check=words,
    ),
    Setting(
        "footer",
        TEXT,
        FOOTER,
        "Put below every posting. Placeholders: $display_name $listname $list_id $description $list_url $archive_url "
        "$permalink $leave_address $owner_address $request_address; with `personalize` also $user_email $user_name "
        "$user_name_or_email $user_delivered_to $user_language $user_optionsurl. A plain dollar sign is `$$`. "
        "Empty: postings stay as written.",
        check=words,
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
        "include_errors_to",
        BOOL,
        False,
        "Whether each copy says its return path in an Errors-To field too, as Mailman 2 wrote it, for old hosts that "
        "report there. Every host of today reports to the return path.",
    ),
    Setting(
        "scrub_nondigest",
        BOOL,
        False,
        "Whether copies of a posting with attachments carry its text alone, with a link to each attachment in the "
        "archive. Without an archive attachments stay, so that nothing is lost.",
    ),
    Setting(
        "anonymous_list",
        BOOL,
        False,
        "Whether postings hide their author: copies, digests and the archive carry the list as author, and no field "
        "of the posting that could tell who or where it came from. What the text says stays.",
    ),
)
