"""Every setting of a list, and the test that shows what its values do: a table for each area of settings."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import pytest

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
_FILTERED = "lists/test_filtering.py::test_unwanted_parts_go_and_the_others_keep_their_bytes"
_PERSONAL = "scenarios/test_personal_copies.py::test_header_and_footer_name_their_reader"

_DIGESTS = "lists/test_digests.py::"
_AUTOMATIC = "lists/test_autoresponses.py::"

# The module of an area in posthouse/lists/settings -> its settings -> the test (file::function).
PROVED: Mapping[str, Mapping[str, str]] = {
    "digests": {
        "digests_enabled": f"{_DIGESTS}test_without_digests_their_readers_get_copies",
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
        "subscribe_auto_approval": f"{_POLICIES}test_who_is_approved_by_a_setting_needs_no_moderator",
        "member_roster_visibility": "lists/test_commands.py::test_the_roster_is_told_to_whom_the_setting_says",
        "send_welcome_message": "lists/test_joining.py::test_greetings_are_left_out_where_the_list_wants_it",
        "send_goodbye_message": "lists/test_joining.py::test_greetings_are_left_out_where_the_list_wants_it",
        "admin_notify_mchanges": f"{_POLICIES}test_owners_are_told_of_who_joins_and_leaves_where_they_want_it",
    },
    "alterations": {
        "subject_prefix": f"{_ALTERED}test_the_prefix_counts_postings",
        "header": _PERSONAL,
        "footer": _PERSONAL,
        "personalize": _PERSONAL,
        "reply_goes_to_list": _ANSWERS,
        "reply_to_address": _ANSWERS,
        "first_strip_reply_to": _ANSWERS,
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
        "collapse_alternatives": "lists/test_filtering.py::test_of_alternatives_the_first_that_says_something_stays",
        "convert_html_to_plaintext": "lists/test_filtering.py::test_html_is_told_as_plain_text",
    },
    "dmarc": {
        "dmarc_mitigate_action": _MITIGATED,
        "dmarc_mitigate_unconditionally": _MITIGATED,
        "dmarc_addresses": _MITIGATED,
        "dmarc_moderation_notice": "scenarios/test_dmarc.py::test_a_rejected_author_is_told_the_lists_own_words",
        "dmarc_wrapped_message_text": f"{_ALTERED}test_a_wrapped_posting_is_attached_as_it_came",
    },
    "archiving": {
        "archive_policy": "scenarios/test_private_archives.py::test_a_stranger_finds_nothing_anywhere",
        "obscure_addresses": "web/test_obscured.py::test_addresses_on_public_pages_are_for_people",
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


@pytest.mark.parametrize("area", PROVED)
def test_every_setting_of_an_area_has_its_test(area: str) -> None:
    module = importlib.import_module(f"posthouse.lists.settings.{area}")
    assert {setting.name for setting in module.SETTINGS} == set(PROVED[area])


@pytest.mark.parametrize("where", sorted({where for area in PROVED.values() for where in area.values()}))
def test_the_test_exists(where: str) -> None:
    file, _, function = where.partition("::")
    assert f"def {function}(" in (TESTS / file).read_text(encoding="utf-8")
