"""Every setting of a list, and the test that shows what its values do: a table for each area of settings."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from posthouse.lists import settings

TESTS = Path(__file__).parents[1]

_DAYS = "scenarios/test_bounce_processing.py::test_what_days_of_bounces_come_to"
_WARNINGS = "scenarios/test_bounce_processing.py::test_so_many_warnings_so_far_apart"
_TOLD = "scenarios/test_bounce_processing.py::test_owners_are_told_what_they_want_to_be_told"
_PROBES = "scenarios/test_bounce_processing.py::test_without_probes_what_our_own_delivery_saw_stops_at_once"
_UNREAD = "scenarios/test_bounce_processing.py::test_what_cannot_be_read_goes_to_whom_the_list_says"
_RULES = "lists/test_rules.py::"
_NAMED = f"{_RULES}test_nonmembers_are_named_by_address_expression_domain_or_list"
_ALIASES = f"{_RULES}test_a_posting_that_does_not_name_the_list_is_held_unless_an_alias_or_the_owner_allows_it"
_POLICIES = "lists/test_policies.py::"
_IDENTITY = "scenarios/test_identity.py::test_name_description_and_information_stand_where_people_look"

_ALTERED = "lists/test_alterations.py::"
_ANSWERS = f"{_ALTERED}test_answers_go_where_the_list_says"
_MITIGATED = f"{_ALTERED}test_what_a_policy_entails"
_TOPICS = f"{_ALTERED}test_members_get_what_their_topics_match"
_FILTERED = "lists/test_filtering.py::test_each_setting_of_the_filter_cuts_what_it_names"
_PERSONAL = "scenarios/test_personal_copies.py::test_header_and_footer_name_their_reader"

_FURTHER = "lists/test_further_settings.py::"
_NEWS = "lists/test_news.py::"
_DIGESTS = "lists/test_digests.py::"
_AUTOMATIC = "lists/test_autoresponses.py::"

# The module of an area in posthouse/lists/settings -> its settings -> the test (file::function).
PROVED: Mapping[str, Mapping[str, str]] = {
    "digests": {
        "digests_enabled": f"{_DIGESTS}test_without_digests_their_readers_get_copies",
        "mime_is_default_digest": f"{_FURTHER}test_the_default_digest_is_of_the_kind_the_list_names",
        "digest_is_default": f"{_DIGESTS}test_whoever_joins_a_list_whose_default_is_digests_reads_digests",
        "digest_size_threshold": f"{_DIGESTS}test_a_digest_goes_out_with_the_posting_that_makes_it_large_enough",
        "digest_send_periodic": f"{_DIGESTS}test_daily_digests_go_to_the_lists_that_want_them",
        "digest_volume_frequency": f"{_DIGESTS}test_the_first_digest_of_a_period_begins_a_volume",
        "digest_header": f"{_DIGESTS}test_a_mime_digest_holds_masthead_contents_messages_and_footer",
        "digest_footer": f"{_DIGESTS}test_a_mime_digest_holds_masthead_contents_messages_and_footer",
    },
    "autoresponses": {
        "autorespond_owner": f"{_AUTOMATIC}test_respond_and_discard_ends_the_message_there",
        "autorespond_postings": f"{_AUTOMATIC}test_respond_and_discard_ends_the_message_there",
        "autorespond_requests": f"{_AUTOMATIC}test_respond_and_discard_ends_the_message_there",
        "autoresponse_owner_text": f"{_AUTOMATIC}test_mail_is_answered_once_in_the_grace_period_and_goes_its_way",
        "autoresponse_postings_text": f"{_AUTOMATIC}test_mail_is_answered_once_in_the_grace_period_and_goes_its_way",
        "autoresponse_request_text": f"{_AUTOMATIC}test_mail_is_answered_once_in_the_grace_period_and_goes_its_way",
        "autoresponse_grace_period": f"{_AUTOMATIC}test_a_grace_period_of_nothing_answers_always_up_to_the_days_bound",
    },
    "identity": {
        "display_name": _IDENTITY,
        "description": _IDENTITY,
        "preferred_language": "lists/test_texts.py::test_people_are_written_to_in_their_own_language",
        "info": _IDENTITY,
        "advertised": "scenarios/test_identity.py::test_only_an_advertised_list_is_shown_to_strangers",
    },
    "membership": {
        "subscription_policy": f"{_POLICIES}test_every_policy_asks_whom_it_says",
        "unsubscription_policy": f"{_POLICIES}test_leaving_has_the_same_policies",
        "subscribe_auto_approval": f"{_FURTHER}test_who_is_named_joins_without_a_moderator",
        "new_member_options": f"{_FURTHER}test_new_members_begin_with_the_lists_options_unless_they_said_otherwise",
        "member_roster_visibility": "lists/test_commands.py::test_the_roster_is_told_to_whom_the_setting_says",
        "send_welcome_message": "lists/test_joining.py::test_greetings_are_left_out_where_the_list_wants_it",
        "send_goodbye_message": "lists/test_joining.py::test_greetings_are_left_out_where_the_list_wants_it",
        "admin_notify_mchanges": f"{_POLICIES}test_owners_are_told_of_who_joins_and_leaves_where_they_want_it",
    },
    "alterations": {
        "posting_pipeline": f"{_FURTHER}test_the_owners_pipeline_shows_postings_to_owners_and_moderators_alone",
        "encode_ascii_prefixes": f"{_FURTHER}test_a_plain_prefix_is_encoded_like_its_subject_where_owners_want_it",
        "scrub_nondigest": f"{_FURTHER}test_attachments_of_copies_are_links_where_owners_want_it",
        "subject_prefix": f"{_ALTERED}test_the_prefix_counts_postings",
        "header": _PERSONAL,
        "footer": _PERSONAL,
        "personalize": _PERSONAL,
        "reply_goes_to_list": _ANSWERS,
        "reply_to_address": _ANSWERS,
        "first_strip_reply_to": _ANSWERS,
        "include_errors_to": "lists/test_departure.py::test_errors_to_says_the_return_path_where_owners_want_it",
        "include_rfc2369_headers": f"{_ALTERED}test_without_list_fields_copies_have_none_of_them",
        "anonymous_list": f"{_ALTERED}test_an_anonymous_list_tells_nobody_who_wrote",
    },
    "filtering": {
        "filter_content": "lists/test_filtering.py::test_copies_and_the_archive_have_what_the_filter_left",
        "filter_types": _FILTERED,
        "pass_types": _FILTERED,
        "filter_extensions": _FILTERED,
        "pass_extensions": _FILTERED,
        "filter_action": "lists/test_filtering.py::test_what_happens_to_a_posting_of_which_nothing_remains",
        "collapse_alternatives": "lists/test_filtering.py::test_alternatives_collapse_where_owners_want_it",
        "convert_html_to_plaintext": "lists/test_filtering.py::test_html_is_told_as_text_where_owners_want_it",
    },
    "dmarc": {
        "dmarc_mitigate_action": _MITIGATED,
        "dmarc_mitigate_unconditionally": _MITIGATED,
        "dmarc_addresses": _MITIGATED,
        "dmarc_moderation_notice": "scenarios/test_dmarc.py::test_a_rejected_author_is_told_the_lists_own_words",
        "dmarc_wrapped_message_text": f"{_ALTERED}test_a_wrapped_posting_is_attached_as_it_came",
    },
    "news": {
        "linked_newsgroup": f"{_NEWS}test_a_newsgroup_is_linked_by_its_name",
        "gateway_to_news": f"{_NEWS}test_only_a_list_that_wants_it_sends_to_news",
        "gateway_to_mail": f"{_NEWS}test_new_articles_become_postings_from_the_first_visit_on_and_never_go_back",
        "newsgroup_moderation": (
            f"{_NEWS}test_a_moderated_newsgroup_gets_approved_articles_and_may_want_a_moderated_list"
        ),
        "nntp_prefix_subject_too": f"{_NEWS}test_articles_have_the_subject_prefix_too_where_owners_want_it",
    },
    "archiving": {
        "archive_rendering_mode": "web/test_markdown_pages.py::test_pages_show_markdown_where_the_list_wants_it",
        "archive_policy": "scenarios/test_private_archives.py::test_a_stranger_finds_nothing_anywhere",
        "obscure_addresses": "web/test_obscured.py::test_addresses_on_public_pages_are_for_people",
        "archive_download": "web/test_downloads.py::test_whole_archives_are_downloaded_by_whom_the_list_lets",
    },
    "recipients": {
        "topics_enabled": _TOPICS,
        "topics": _TOPICS,
        "topics_bodylines_limit": _TOPICS,
        "regular_include_lists": f"{_ALTERED}test_the_members_of_an_included_list_get_copies_once",
        "regular_exclude_lists": f"{_ALTERED}test_members_of_an_excluded_list_get_it_from_there",
    },
    "bounces": {
        "process_bounces": _DAYS,
        "bounce_score_threshold": _DAYS,
        "bounce_info_stale_after": _DAYS,
        "verp_probes": _PROBES,
        "bounce_you_are_disabled_warnings": _WARNINGS,
        "bounce_you_are_disabled_warnings_interval": _WARNINGS,
        "bounce_notify_owner_on_disable": _TOLD,
        "bounce_notify_owner_on_removal": _TOLD,
        "bounce_notify_owner_on_bounce_increment": _TOLD,
        "forward_unrecognized_bounces_to": _UNREAD,
    },
    "postings": {
        "allow_list_posts": f"{_RULES}test_a_list_that_takes_no_postings_says_so_in_its_copies_and_to_its_authors",
        "default_member_action": f"{_RULES}test_what_happens_to_members_is_the_lists_choice",
        "default_nonmember_action": "lists/test_posting.py::test_the_list_decides_what_happens_to_strangers",
        "max_message_size": "lists/test_posting.py::test_a_posting_larger_than_the_list_wants_is_held",
        "accept_these_nonmembers": _NAMED,
        "hold_these_nonmembers": _NAMED,
        "reject_these_nonmembers": _NAMED,
        "discard_these_nonmembers": _NAMED,
        "member_moderation_notice": f"{_RULES}test_what_moderated_people_are_told_is_the_owners_choice",
        "nonmember_rejection_notice": f"{_RULES}test_what_moderated_people_are_told_is_the_owners_choice",
        "forward_auto_discards": f"{_RULES}test_owners_see_what_is_discarded_when_they_want_to",
        "member_verbosity_threshold": f"{_RULES}test_a_member_who_writes_too_much_is_moderated_from_then_on",
        "member_verbosity_interval": f"{_RULES}test_a_member_who_writes_too_much_is_moderated_from_then_on",
        "emergency": f"{_RULES}test_emergency_holds_everything_but_approved_postings",
        "moderator_password": "lists/test_approved.py::test_the_password_in_the_header_lets_a_stranger_post",
        "administrivia": f"{_RULES}test_a_command_sent_to_everybody_is_held_where_owners_want_it",
        "require_explicit_destination": _ALIASES,
        "acceptable_aliases": _ALIASES,
        "max_num_recipients": f"{_RULES}test_a_posting_to_many_people_is_held",
        "hold_digest": f"{_RULES}test_an_answer_to_a_whole_digest_is_held_where_owners_want_it",
        "bounce_matching_headers": f"{_RULES}test_a_suspicious_header_is_held",
        "max_days_to_hold": "lists/test_deciding.py::test_held_postings_expire_after_the_days_the_list_says",
        "respond_to_post_requests": "lists/test_deciding.py::test_who_is_told_what_follows_the_settings",
        "admin_immed_notify": "lists/test_deciding.py::test_who_is_told_what_follows_the_settings",
    },
}


# What Mailman 3.3.10 lets an owner set: its 76 writable attributes, and the values of those that have a choice.
_ACTIONS = "hold reject discard accept defer"
_RESPOND = "none respond_and_discard respond_and_continue"
_POLICY = "open confirm moderate confirm_then_moderate"
MAILMAN: Mapping[str, str] = {
    **dict.fromkeys(("display_name", "description", "info", "subject_prefix", "preferred_language", "advertised"), ""),
    **dict.fromkeys(("allow_list_posts", "anonymous_list", "emergency", "accept_these_nonmembers"), ""),
    **dict.fromkeys(("hold_these_nonmembers", "reject_these_nonmembers", "discard_these_nonmembers"), ""),
    **dict.fromkeys(("default_member_action", "default_nonmember_action"), _ACTIONS),
    **dict.fromkeys(("acceptable_aliases", "require_explicit_destination", "max_message_size"), ""),
    **dict.fromkeys(("max_num_recipients", "administrivia", "moderator_password", "max_days_to_hold"), ""),
    "posting_pipeline": "default-posting-pipeline default-owner-pipeline virgin",
    **dict.fromkeys(("filter_content", "filter_types", "pass_types", "filter_extensions", "pass_extensions"), ""),
    "filter_action": f"{_ACTIONS} forward preserve",
    **dict.fromkeys(("collapse_alternatives", "convert_html_to_plaintext", "include_rfc2369_headers"), ""),
    "reply_goes_to_list": "no_munging point_to_list explicit_header explicit_header_only",
    **dict.fromkeys(("reply_to_address", "first_strip_reply_to"), ""),
    "personalize": "none individual full",
    "dmarc_mitigate_action": "no_mitigation munge_from wrap_message reject discard",
    **dict.fromkeys(("dmarc_mitigate_unconditionally", "dmarc_addresses", "dmarc_moderation_notice"), ""),
    "dmarc_wrapped_message_text": "",
    **dict.fromkeys(("subscription_policy", "unsubscription_policy"), _POLICY),
    "member_roster_visibility": "public members moderators",
    **dict.fromkeys(("send_welcome_message", "send_goodbye_message", "admin_immed_notify"), ""),
    **dict.fromkeys(("admin_notify_mchanges", "respond_to_post_requests"), ""),
    **dict.fromkeys(("process_bounces", "bounce_score_threshold", "bounce_info_stale_after"), ""),
    **dict.fromkeys(("bounce_you_are_disabled_warnings", "bounce_you_are_disabled_warnings_interval"), ""),
    **dict.fromkeys(("bounce_notify_owner_on_disable", "bounce_notify_owner_on_removal"), ""),
    "bounce_notify_owner_on_bounce_increment": "",
    "forward_unrecognized_bounces_to": "discard administrators site_owner",
    **dict.fromkeys(("autorespond_owner", "autorespond_postings", "autorespond_requests"), _RESPOND),
    **dict.fromkeys(("autoresponse_owner_text", "autoresponse_postings_text", "autoresponse_request_text"), ""),
    **dict.fromkeys(("autoresponse_grace_period", "digests_enabled", "digest_size_threshold"), ""),
    "digest_send_periodic": "",
    "digest_volume_frequency": "yearly monthly quarterly weekly daily",
    "archive_policy": "never private public",
    "archive_rendering_mode": "text markdown",
    **dict.fromkeys(("gateway_to_news", "gateway_to_mail", "linked_newsgroup", "nntp_prefix_subject_too"), ""),
    "newsgroup_moderation": "none open_moderated moderated",
}
# What its database has beside these, and what Mailman 2 had: alive here.
REVIVED = (
    "bounce_matching_headers",
    "digest_is_default",
    "encode_ascii_prefixes",
    "forward_auto_discards",
    "member_moderation_notice",
    "nonmember_rejection_notice",
    "obscure_addresses",
    "scrub_nondigest",
    "topics",
    "topics_enabled",
    "topics_bodylines_limit",
    "subscribe_auto_approval",
    "new_member_options",
    "mime_is_default_digest",
    "regular_include_lists",
    "regular_exclude_lists",
    "member_verbosity_threshold",
    "member_verbosity_interval",
)
AREAS = sorted(one.name for one in pkgutil.iter_modules(settings.__path__) if one.name not in ("kinds", "titles"))
WHERE = sorted({where for area in PROVED.values() for where in area.values()})


def test_every_setting_of_mailman_is_here_with_all_its_values() -> None:
    assert len(MAILMAN) == 76
    assert set(MAILMAN) | set(REVIVED) <= set(settings.BY_NAME)
    for name, values in MAILMAN.items():
        assert set(values.split()) <= set(settings.BY_NAME[name].values), name


def test_every_area_is_looked_at() -> None:
    assert set(AREAS) == set(PROVED)
    assert {name for area in PROVED.values() for name in area} == set(settings.BY_NAME)


@pytest.mark.parametrize("area", AREAS)
def test_every_setting_of_an_area_has_its_test(area: str) -> None:
    module = importlib.import_module(f"posthouse.lists.settings.{area}")
    assert {setting.name for setting in module.SETTINGS} == set(PROVED[area])


@pytest.mark.parametrize("where", WHERE)
def test_the_test_exists_and_asserts_something(where: str) -> None:
    """What it proves is seen by `python -m tests.lists.ignoring`: without the setting, its test must fail."""
    file, _, function = where.partition("::")
    text = (TESTS / file).read_text(encoding="utf-8")
    [found] = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.FunctionDef) and one.name == function]
    first = min((one.lineno for one in found.decorator_list), default=found.lineno)
    source = "\n".join(text.splitlines()[first - 1 : found.end_lineno])
    assert "assert" in source or "with pytest.raises" in source, where
    assert not re.search(r"mark\.(?:skip|xfail)|pytest\.skip", source), where
