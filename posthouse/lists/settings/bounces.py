"""What happens when copies cannot be delivered to a member."""

from __future__ import annotations

from posthouse.lists.settings.kinds import BOOL, CHOICE, DURATION, NUMBER, Setting

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "process_bounces",
        BOOL,
        True,
        "Whether bounces are counted for members. With `no` they are thrown away, and nobody is warned or removed.",
    ),
    Setting(
        "bounce_score_threshold",
        NUMBER,
        5,
        "From this score on an address is probed or delivery to it stops. A day with a failure of the address adds 1; "
        "a day with failures of the moment or of the message only (mailbox full, given up after days of trying, "
        "refused for its content or size) adds one half. Delays, vacation notes and challenges add nothing.",
    ),
    Setting(
        "bounce_info_stale_after",
        DURATION,
        7 * 86400,
        "After so long without a bounce the next one begins a new score.",
    ),
    Setting(
        "verp_probes",
        BOOL,
        True,
        "Whether at the threshold a probe is sent first, a letter with a return path of its own, and only its bounce "
        "stops delivery. With `no` delivery stops at once when our own delivery saw every counted failure; failures "
        "that others reported are always probed, since anybody can write a report.",
    ),
    Setting(
        "bounce_you_are_disabled_warnings",
        NUMBER,
        3,
        "How many warnings a member gets after delivery stopped, before the member is removed. 0: removed at once.",
    ),
    Setting(
        "bounce_you_are_disabled_warnings_interval",
        DURATION,
        7 * 86400,
        "The time from the stop to the first warning, between warnings, and from the last to the removal; an hour or "
        "more.",
    ),
    Setting(
        "bounce_notify_owner_on_disable",
        BOOL,
        True,
        "Whether owners and moderators are told that delivery to a member stopped; the report goes with it.",
    ),
    Setting(
        "bounce_notify_owner_on_removal",
        BOOL,
        True,
        "Whether owners and moderators are told that a member was removed after bounces.",
    ),
    Setting(
        "bounce_notify_owner_on_bounce_increment",
        BOOL,
        False,
        "Whether owners and moderators are told each time a member's score rises; the report goes with it.",
    ),
    Setting(
        "forward_unrecognized_bounces_to",
        CHOICE,
        "administrators",
        "Who gets what comes to the bounce address and cannot be read: `discard` nobody, `administrators` the list's "
        "owners and moderators, `site_owner` the administrators of the site. At most 20 a day; answers of machines "
        "(vacation, challenges) go to nobody.",
        ("discard", "administrators", "site_owner"),
    ),
)
