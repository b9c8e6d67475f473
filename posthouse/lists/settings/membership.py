"""How people join and leave, and what they are told."""

from __future__ import annotations

from posthouse.lists.settings.kinds import BOOL, CHOICE, Setting

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "subscription_policy",
        CHOICE,
        "confirm",
        "How people join: `confirm` after they answer a message sent to their address, `open` at once (anybody can "
        "then add anybody's address), `closed` not by themselves: owners add them.",
        ("confirm", "open", "closed"),
    ),
    Setting(
        "unsubscription_policy",
        CHOICE,
        "confirm",
        "How people leave by mail or web: `confirm` after they answer a message sent to their address, `open` at "
        "once. The unsubscribe link in each copy always works at once.",
        ("confirm", "open"),
    ),
    Setting("send_welcome_message", BOOL, True, "Whether people who join are greeted."),
    Setting("send_goodbye_message", BOOL, True, "Whether people who leave are told that they have left."),
)
