"""The placeholders that texts may hold: all of them, headers and footers, reports, digests; and their check."""

from __future__ import annotations

from collections.abc import Collection
from string import Template

ALWAYS = frozenset({
    "display_name", "listname", "fqdn_listname", "list_name", "short_listname", "mail_host", "domain", "list_id",
    "description", "info", "language", "list_url", "mailinglist_url", "domain_url", "archive_url", "options_url",
    "held_list_url", "held_message_url", "pending_subscriptions_url", "pending_unsubscriptions_url",
    "join_address", "leave_address", "owner_address", "owner_email", "request_address", "request_email",
    "site_email",
})  # fmt: skip
OF_READERS = (
    "user_email", "user_name", "user_name_or_email", "user_delivered_to", "user_language", "user_optionsurl", "member",
    "user_address", "user_name_or_address",
)  # fmt: skip
# `hyperkitty_url` is what footers from Mailman call the permalink.
OF_COPIES = ALWAYS | {"permalink", "hyperkitty_url", *OF_READERS}
OF_REPORTS = frozenset({"address", "arrived", "domain", "hostname", "recipients", "subject", "until"})
OF_DIGESTS = ALWAYS | {"volume", "issue", "title"}


def checked(text: str, known: Collection[str]) -> str:
    """The text itself. Raises ValueError with the rule where it names what nothing fills, or a $ stands alone."""
    template = Template(text)
    if not template.is_valid():
        raise ValueError("holds a $ that stands alone; a placeholder is $name or ${name}, a plain dollar sign $$")
    unknown = sorted(set(template.get_identifiers()) - set(known))
    if unknown:
        raise ValueError(
            f"names {', '.join(f'${name}' for name in unknown)}, which nothing fills; a plain dollar sign is $$; "
            f"known are {', '.join(f'${name}' for name in sorted(known))}"
        )
    return text
