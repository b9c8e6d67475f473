"""Who may post, and what is looked at before a posting goes out."""

from __future__ import annotations

from posthouse.lists.expressions import checked_alias, checked_header, checked_sender
from posthouse.lists.settings.kinds import ACTIONS, BOOL, CHOICE, LINES, NUMBER, SECRET, TEXT, Setting

_NONMEMBERS = (
    "Each line is an address, `@domain` for everybody there, `@list@domain` for the members of another list, or an "
    "expression that begins with `^`; case does not matter. Asked after a nonmember's own action, in the order "
    "accept, hold, reject, discard."
)

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "allow_list_posts",
        BOOL,
        True,
        "What List-Post says: the list's address, or NO (RFC 2369). With `no`, members whose postings are rejected "
        "are told that only owners and moderators post here.",
    ),
    Setting(
        "default_member_action",
        CHOICE,
        "defer",
        "What happens to a member's posting: `defer` lets the other rules decide (which accept what nothing speaks "
        "against), `accept` leaves them out. A member may have an action of their own.",
        ACTIONS,
    ),
    Setting(
        "default_nonmember_action",
        CHOICE,
        "hold",
        "What happens to the posting of somebody who is not a member.",
        ACTIONS,
    ),
    Setting(
        "max_message_size", NUMBER, 10_240, "Postings larger than this many KB are held. 0: no limit of the list's own."
    ),
    Setting(
        "accept_these_nonmembers",
        LINES,
        "",
        f"Nonmembers whose postings pass like a member's, if the other rules find nothing. {_NONMEMBERS}",
        check=checked_sender,
    ),
    Setting(
        "hold_these_nonmembers",
        LINES,
        "",
        f"Nonmembers whose postings are held. {_NONMEMBERS}",
        check=checked_sender,
    ),
    Setting(
        "reject_these_nonmembers",
        LINES,
        "",
        f"Nonmembers whose postings are rejected. {_NONMEMBERS}",
        check=checked_sender,
    ),
    Setting(
        "discard_these_nonmembers",
        LINES,
        "",
        f"Nonmembers whose postings are discarded. {_NONMEMBERS}",
        check=checked_sender,
    ),
    Setting(
        "member_moderation_notice",
        TEXT,
        "",
        "What a member is told whose posting is rejected by the list's or their own action. Empty: a sentence.",
    ),
    Setting(
        "nonmember_rejection_notice",
        TEXT,
        "",
        "What a nonmember is told whose posting is rejected for not being one. Empty: a sentence.",
    ),
    Setting(
        "forward_auto_discards",
        BOOL,
        False,
        "Whether owners and moderators get the postings that are discarded because their author is no member.",
    ),
    Setting(
        "member_verbosity_threshold",
        NUMBER,
        0,
        "A member who sends more than this many postings within member_verbosity_interval is moderated from then on. "
        "0: nobody counts.",
    ),
    Setting("member_verbosity_interval", NUMBER, 300, "The interval of member_verbosity_threshold in seconds."),
    Setting(
        "emergency",
        BOOL,
        False,
        "Whether every posting is held, also those of members, moderators and owners, unless it is approved.",
    ),
    Setting(
        "moderator_password",
        SECRET,
        "",
        "A posting with a field `Approved: password` in its header, or as its first line, goes out at once, unless "
        "its author is banned; the password is taken out of it. It also releases held mail by an answer to the "
        "notice. Empty: none.",
    ),
    Setting("administrivia", BOOL, True, "Whether postings that look like commands for the list manager are held."),
    Setting(
        "require_explicit_destination",
        BOOL,
        True,
        "Whether postings are held that do not name the list in To or Cc.",
    ),
    Setting(
        "acceptable_aliases",
        LINES,
        "",
        "Other names of the list for require_explicit_destination: addresses, local parts, or expressions that begin "
        "with `^`, one a line. Aliases that an administrator gave the list need not be named.",
        check=checked_alias,
    ),
    Setting(
        "max_num_recipients",
        NUMBER,
        10,
        "Postings that name this many addresses or more in To and Cc are held. 0: no limit.",
    ),
    Setting(
        "hold_digest",
        BOOL,
        False,
        "Whether answers to a digest are held that keep its subject or quote all of it.",
    ),
    Setting(
        "bounce_matching_headers",
        LINES,
        "",
        "Postings with such a header field are held: `field: expression`, one a line. For other actions, for the "
        "fields of attachments and for an order, use header matches.",
        check=checked_header,
    ),
    Setting(
        "max_days_to_hold",
        NUMBER,
        180,
        "Held postings are discarded after so many days; nobody is told. 0: never.",
    ),
    Setting("respond_to_post_requests", BOOL, True, "Whether authors are told that their posting is held."),
    Setting("admin_immed_notify", BOOL, True, "Whether owners and moderators are told at once of each held posting."),
)
