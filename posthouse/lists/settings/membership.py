"""How people join and leave, and what they are told."""

from __future__ import annotations

from posthouse.lists.expressions import checked_sender
from posthouse.lists.settings.kinds import BOOL, CHOICE, ITEMS, LINES, Setting

_OPTIONS = ("acknowledge_posts", "hide_address", "receive_list_copy", "receive_own_postings")


def _option(item: str) -> str:
    """`preference=value` as it is kept. Raises ValueError with the rule."""
    name, equals, value = (word.strip().lower() for word in item.partition("="))
    if name not in _OPTIONS or value not in ("yes", "no", ""):
        raise ValueError(f"is not one of {', '.join(_OPTIONS)} with =yes or =no")
    if equals and not value:
        raise ValueError("says neither yes nor no")
    return f"{name}={value or 'yes'}"


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "subscription_policy",
        CHOICE,
        "confirm",
        "How people join: `confirm` after they answer a message sent to their address; `open` at once, when the "
        "address is one that was verified here, else they confirm too; `moderate` when a moderator approves; "
        "`confirm_then_moderate` both, one after the other; `closed` not by themselves: owners add or invite them.",
        ("open", "confirm", "moderate", "confirm_then_moderate", "closed"),
    ),
    Setting(
        "unsubscription_policy",
        CHOICE,
        "confirm",
        "How people leave by mail or web: `confirm` after they answer a message sent to their address, `open` at "
        "once, `moderate` and `confirm_then_moderate` when a moderator approves. The unsubscribe link in each copy "
        "always works at once.",
        ("open", "confirm", "moderate", "confirm_then_moderate"),
    ),
    Setting(
        "subscribe_auto_approval",
        LINES,
        "",
        "Whose requests to join need no moderator: one a line an address, `@domain`, `@list@domain` for the members of "
        "another list, or an expression that begins with `^`.",
        check=checked_sender,
    ),
    Setting(
        "new_member_options",
        ITEMS,
        "",
        "What people who join from now on want unless they said it for all their lists: acknowledge_posts, "
        "hide_address, receive_list_copy, receive_own_postings, each with `=yes` or `=no`.",
        check=_option,
    ),
    Setting(
        "member_roster_visibility",
        CHOICE,
        "moderators",
        "Who may ask for the list of members (`who` by mail, and the web): everybody, members, or moderators and "
        "owners only. Members who hide their address are shown to moderators and owners only.",
        ("public", "members", "moderators"),
    ),
    Setting("send_welcome_message", BOOL, True, "Whether people who join are greeted."),
    Setting("send_goodbye_message", BOOL, True, "Whether people who leave are told that they have left."),
    Setting(
        "admin_notify_mchanges", BOOL, False, "Whether owners and moderators are told when somebody joins or leaves."
    ),
)
