"""How people join and leave, and what they are told."""

from __future__ import annotations

from posthouse.address import AddressError, key_of, normal_domain
from posthouse.lists.settings.kinds import BOOL, CHOICE, ITEMS, Setting


def _address_or_domain(item: str) -> str:
    """An address or `@domain` as it is kept. Raises ValueError with the rule."""
    try:
        return key_of(item) if not item.startswith("@") else f"@{normal_domain(item[1:])}"
    except AddressError as error:
        raise ValueError(f"is no address and no @domain: {error.rule}") from None


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
        ITEMS,
        "",
        "Addresses and `@domains` whose requests to join need no moderator.",
        check=_address_or_domain,
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
