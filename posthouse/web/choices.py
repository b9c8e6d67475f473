"""What can be chosen, in words: each value of a setting with its label, beside the word that commands use for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from posthouse.lists import languages

STYLE, ACTION = "style", "action"  # what is chosen besides settings: a new list's style, what happens to mail

_DECISIONS: Final[Mapping[str, object]] = {
    "accept": _("let it through"),
    "defer": _("let the other rules decide"),
    "hold": _("hold it for a moderator"),
    "reject": _("send it back with the reason"),
    "discard": _("throw it away"),
}
_ANSWERS: Final[Mapping[str, object]] = {
    "none": _("no answer"),
    "respond_and_discard": _("answer, and keep nothing"),
    "respond_and_continue": _("answer, and go on"),
}
_JOINING: Final[Mapping[str, object]] = {
    "open": _("at once"),
    "confirm": _("when they confirm it by mail"),
    "moderate": _("when a moderator says yes"),
    "confirm_then_moderate": _("when they confirm it and a moderator says yes"),
    "closed": _("nobody, but by an owner"),
}
LABELS: Final[Mapping[str, Mapping[str, object]]] = {
    ACTION: _DECISIONS,
    "default_member_action": _DECISIONS,
    "default_nonmember_action": _DECISIONS,
    STYLE: {
        "discussion": _("members talk to each other"),
        "announce": _("owners and moderators write, members read"),
        "private": _("hidden from strangers, moderators let people in"),
    },
    "posting_pipeline": {
        "default-posting-pipeline": _("as the settings say"),
        "virgin": _("as they came, to all, kept nowhere"),
        "default-owner-pipeline": _("as they came, to owners and moderators alone"),
    },
    "personalize": {
        "none": _("the same copy for all"),
        "individual": _("header and footer may name the reader"),
        "full": _("addressed to the reader, too"),
    },
    "reply_goes_to_list": {
        "no_munging": _("where the author says"),
        "point_to_list": _("to the list"),
        "explicit_header": _("also to the address for replies"),
        "explicit_header_only": _("to the address for replies alone"),
    },
    "filter_action": {
        "hold": _("hold it for a moderator"),
        "reject": _("send it back with the reason"),
        "discard": _("throw it away"),
        "forward": _("send it to the owners"),
        "preserve": _("send it to the administrators of the site"),
        "accept": _("let it through as it came"),
        "defer": _("let it through as it came"),
    },
    "dmarc_mitigate_action": {
        "no_mitigation": _("send it as it is"),
        "munge_from": _("send it from the list's address"),
        "wrap_message": _("attach it to a message of the list"),
        "reject": _("send it back with the reason"),
        "discard": _("throw it away"),
    },
    "subscription_policy": _JOINING,
    "unsubscription_policy": {name: label for name, label in _JOINING.items() if name != "closed"},
    "member_roster_visibility": {
        "public": _("everybody"),
        "members": _("members"),
        "moderators": _("moderators and owners"),
    },
    "forward_unrecognized_bounces_to": {
        "discard": _("nobody"),
        "administrators": _("owners and moderators of the list"),
        "site_owner": _("administrators of the site"),
    },
    "digest_volume_frequency": {
        "yearly": _("every year"),
        "quarterly": _("every quarter"),
        "monthly": _("every month"),
        "weekly": _("every week"),
        "daily": _("every day"),
    },
    "autorespond_owner": _ANSWERS,
    "autorespond_postings": _ANSWERS,
    "autorespond_requests": _ANSWERS,
    "archive_policy": {
        "public": _("everybody reads it"),
        "private": _("people on the list read it"),
        "never": _("nothing is kept"),
    },
    "archive_rendering_mode": {
        "text": _("as its author wrote it"),
        "markdown": _("Markdown as headings, lists and emphasis"),
    },
    "archive_download": {
        "readers": _("who reads it"),
        "members": _("people on the list"),
        "nobody": _("nobody on the web"),
    },
    "newsgroup_moderation": {
        "none": _("it is not moderated"),
        "open_moderated": _("moderated; postings are marked as approved"),
        "moderated": _("moderated; a moderator sees every posting"),
    },
}


def choice(name: str, value: str) -> str:
    """The label of a value of a setting, with the value itself, as commands take it, where that is another word."""
    if name == "preferred_language":
        label = languages.LANGUAGES.get(value, "")
    elif value in ("yes", "no"):
        label = gettext("yes") if value == "yes" else gettext("no")
    else:
        label = str(LABELS.get(name, {}).get(value, ""))
    if not value:
        return gettext("(none)")
    if not label or label == value:
        return value
    return f"{label} ({value})"
