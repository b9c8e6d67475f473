"""Authors whose domains forbid what lists do: their postings must not fail at the members' hosts."""

from __future__ import annotations

from posthouse.lists.expressions import checked_sender
from posthouse.lists.settings.kinds import BOOL, CHOICE, LINES, TEXT, Setting


def author(item: str) -> str:
    """An address, `@domain` or `^expression` as it is kept. Raises ValueError with the rule."""
    if item.startswith("@") and "@" in item[1:]:
        raise ValueError("is no address, @domain or ^expression")
    return checked_sender(item)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "dmarc_mitigate_action",
        CHOICE,
        "munge_from",
        "What happens to a posting whose author's domain publishes the DMARC policy quarantine or reject: `munge_from` "
        "sends it as `Name via List` from the list's address, the author in Reply-To or Cc; `wrap_message` attaches "
        "it to a message of the list, unchanged; `reject` and `discard` as they say; `no_mitigation` sends it as it "
        "is. A policy that cannot be looked up in time counts as such a policy, but nothing is rejected or discarded "
        "for it. Anonymous lists need none of it.",
        ("no_mitigation", "munge_from", "wrap_message", "reject", "discard"),
    ),
    Setting(
        "dmarc_mitigate_unconditionally",
        BOOL,
        False,
        "Whether `munge_from` and `wrap_message` happen to every posting, whatever is published.",
    ),
    Setting(
        "dmarc_addresses",
        LINES,
        "",
        "Authors to whom dmarc_mitigate_action applies always. Each line is an address, `@domain`, or an expression "
        "that begins with `^`.",
        check=author,
    ),
    Setting(
        "dmarc_moderation_notice",
        TEXT,
        "",
        "What authors are told when dmarc_mitigate_action rejects their posting. Empty: a sentence of the site.",
    ),
    Setting(
        "dmarc_wrapped_message_text",
        TEXT,
        "",
        "A text that `wrap_message` puts before the attached posting. Empty: none.",
    ),
)
