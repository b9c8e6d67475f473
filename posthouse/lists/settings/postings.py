"""Who may post, and what is looked at before a posting goes out."""

from __future__ import annotations

from posthouse.lists.settings.kinds import ACTIONS, BOOL, CHOICE, NUMBER, Setting

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
    Setting("respond_to_post_requests", BOOL, True, "Whether authors are told that their posting is held."),
    Setting("admin_immed_notify", BOOL, True, "Whether owners and moderators are told at once of each held posting."),
)
