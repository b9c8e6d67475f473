"""The pages of owners: settings, members, requests, bans, templates, the name and the end of a list."""

from __future__ import annotations

import csv
import io
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from posthouse.lists import approval, bans, creation, looking, roster, sentences, subscription, texts, wording
from posthouse.lists.errors import JoiningClosed, NoSuchList
from posthouse.lists.moderation import header_matches
from posthouse.lists.settings import SETTINGS
from posthouse.lists.settings.titles import TITLES
from posthouse.web.purposes import PURPOSES
from posthouse.web.views import settings as settings_view
from tests.people import ANA, BEN, CLEO, DOMAIN, EVE, GARDEN, OWEN
from tests.web.neighbourhood import BOARD, Neighbourhood

DESK = f"/lists/{GARDEN}/"
PAGES = ("settings/", "settings/postings/", "members/", "members/?q=ana", "members/?role=owner", f"members/{ANA}/",
         "requests/", "bans/", "templates/", "templates/list:user:notice:welcome/", "manage/")  # fmt: skip


def now() -> int:
    return time.time_ns() // 1_000_000


def test_every_setting_is_on_a_page_with_its_help_and_default(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("owen")
    seen = set()
    for area, (_, chosen) in settings_view.areas().items():
        page = client.get(f"{DESK}settings/{area}/").content.decode()
        for one in chosen:
            assert f'name="{one.name}"' in page and f'id="{one.name}-help"' in page
            seen.add(one.name)
    assert seen == {one.name for one in SETTINGS}


def test_sending_a_page_of_settings_back_as_it_is_changes_nothing(site: Neighbourhood) -> None:
    client = site.as_("owen")
    before = creation.show(GARDEN).settings
    for area, (_, chosen) in settings_view.areas().items():
        row = quick_row()
        given = {one.name: settings_view.written(one, getattr(row, one.name)).replace("\n", "\r\n") for one in chosen}
        answer = client.post(f"{DESK}settings/{area}/", given)
        assert answer.status_code == 200 and "Nothing was different" in answer.content.decode(), area
    assert creation.show(GARDEN).settings == before


def quick_row() -> object:
    from posthouse.lists.facts import row_of

    return row_of(GARDEN)


def test_nobody_has_the_members_of_somebody_elses_list_included(site: Neighbourhood) -> None:
    creation.create(f"foreign@{DOMAIN}", [EVE])
    creation.create(f"own@{DOMAIN}", [OWEN])
    areas = settings_view.areas()
    area = next(name for name, (_, chosen) in areas.items() if "regular_include_lists" in [one.name for one in chosen])
    roster.add(GARDEN, ANA, role="owner")
    client, path = site.as_("ana"), f"{DESK}settings/{area}/"
    answer = client.post(path, {"regular_include_lists": f"foreign@{DOMAIN}"})
    assert answer.status_code == 422 and "is not yours" in answer.content.decode()
    assert not creation.show(GARDEN).settings["regular_include_lists"]
    area_of = {one.name: name for name, (_, chosen) in areas.items() for one in chosen}
    for setting in ("accept_these_nonmembers", "regular_exclude_lists", "subscribe_auto_approval"):
        entry = f"foreign@{DOMAIN}" if setting == "regular_exclude_lists" else f"@foreign@{DOMAIN}"
        answer = client.post(f"{DESK}settings/{area_of[setting]}/", {setting: entry})
        assert answer.status_code == 422 and "is not yours" in answer.content.decode(), setting
    roster.add(f"own@{DOMAIN}", ANA, role="owner")
    assert client.post(path, {"regular_include_lists": f"own@{DOMAIN}"}).status_code == 200
    assert creation.show(GARDEN).settings["regular_include_lists"]


def test_a_setting_is_changed_and_a_wrong_one_is_said_at_its_field_and_nothing_changes(site: Neighbourhood) -> None:
    client = site.as_("owen")
    answer = client.post(f"{DESK}settings/postings/", {"max_message_size": "lots", "emergency": "yes"})
    page = answer.content.decode()
    assert answer.status_code == 422 and 'id="max_message_size-wrong"' in page and 'value="lots"' in page
    assert page.count("Largest posting (KB): max_message_size is a whole number") == 2  # above, and at its field
    assert creation.show(GARDEN).settings["emergency"] is False
    answer = client.post(f"{DESK}settings/postings/", {"max_message_size": "77", "emergency": "yes"})
    assert "2 settings were changed" in answer.content.decode()
    facts = creation.show(GARDEN).settings
    assert (facts["max_message_size"], facts["emergency"]) == (77, True)


def test_a_password_is_kept_never_shown_and_taken_away(quick_site: Neighbourhood) -> None:
    client, path = quick_site.as_("owen"), f"{DESK}settings/postings/"
    client.post(path, {"moderator_password": "spade and rake"})
    assert creation.show(GARDEN).settings["moderator_password"] == "set"
    page = client.get(path).content.decode()
    assert "argon2" not in page and "spade" not in page
    client.post(path, {"moderator_password": "", "remove-secret": "moderator_password"})
    assert creation.show(GARDEN).settings["moderator_password"] == ""


def test_settings_are_found_by_a_word_of_their_help(quick_site: Neighbourhood) -> None:
    page = quick_site.as_("owen").get(f"{DESK}settings/?q=unsubscribe+link").content.decode()
    assert "settings/membership/#unsubscription_policy" in page


def test_every_setting_has_a_title_of_its_own_that_people_understand(quick_site: Neighbourhood) -> None:
    names = [one.name for one in SETTINGS]
    assert [name for name in names if name not in TITLES] == [] and set(TITLES) <= set(names)
    assert len(set(TITLES.values())) == len(TITLES)
    page = quick_site.as_("owen").get(f"{DESK}settings/postings/").content.decode()
    assert "Most recipients in To and Cc" in page and "Max num recipients" not in page
    assert 'id="admin_immed_notify"' in quick_site.as_("owen").get(f"{DESK}settings/postings/").content.decode()
    found = quick_site.as_("owen").get(f"{DESK}settings/?q=max+num+recipients").content.decode()
    assert "settings/postings/#max_num_recipients" in found  # who knows Mailman's words finds it by them


def test_a_search_beside_the_search_of_archives_has_a_name_of_its_own(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("root")
    for path in (f"{DESK}settings/", f"{DESK}members/", "/site/people/"):
        page = client.get(path).content.decode()
        assert page.count('role="search"') == 2 and page.count('role="search" aria-label="Find ') == 1, path


def test_members_are_searched_and_paged(site: Neighbourhood) -> None:
    roster.add_many(GARDEN, [(f"Person {n}", f"p{n:04}@far.example") for n in range(250)])
    client, seen = site.as_("owen"), 0
    path = "members/"
    for _ in range(5):
        page = client.get(DESK + path).content.decode()
        seen += page.count('name="chosen"')
        if 'rel="next"' not in page:
            break
        path = "members/" + page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    assert seen == 253
    found = client.get(f"{DESK}members/?q=PERSON+17").content.decode()
    assert found.count('name="chosen"') == 11 and "p0017@far.example" in found
    assert client.get(f"{DESK}members/?q=100%25").content.decode().count('name="chosen"') == 0


def test_people_are_added_by_the_line_with_a_report_and_can_only_be_checked(site: Neighbourhood) -> None:
    client, lines = site.as_("owen"), f"Dora <dora@far.example>\nnonsense\n{ANA}\n"
    checked = client.post(f"{DESK}members/", {"act": "check", "people": lines}).content.decode()
    assert "1 person would be added" in checked and not roster.find("dora@far.example")
    added = client.post(f"{DESK}members/", {"act": "add", "people": lines}).content.decode()
    assert "1 person was added" in added and "1 was there already" in added and "nonsense" in added
    assert roster.find("dora@far.example")


def test_what_was_pasted_stays_in_the_form_until_it_is_done(quick_site: Neighbourhood) -> None:
    client, lines = quick_site.as_("owen"), "Dora <dora@far.example>\nnonsense"
    for act in ("check", "add"):  # the second one refuses a line
        page = client.post(f"{DESK}members/", {"act": act, "people": lines}).content.decode()
        assert "Dora &lt;dora@far.example&gt;\nnonsense</textarea>" in page
    page = client.post(f"{DESK}members/", {"act": "add", "people": "eric@far.example"}).content.decode()
    assert "eric@far.example</textarea>" not in page and roster.find("eric@far.example")
    assert client.post(f"{DESK}members/", {"act": "add", "people": " \n"}).status_code == 422


def test_people_are_removed_by_the_line_and_members_made_the_same_as_a_text(site: Neighbourhood) -> None:
    client, path = site.as_("owen"), f"{DESK}members/"
    gone = client.post(path, {"act": "drop", "people": f"{BEN}\n{EVE}\n"}).content.decode()
    assert "1 person was removed" in gone and "1 was no member" in gone
    lines = f"{ANA}\nDora <dora@far.example>\n"
    page = client.post(path, {"act": "compare", "people": lines}).content.decode()
    assert "1 would be added, 1 removed, 1 would stay" in page and f"− {CLEO}" in page and "+ dora@far.example" in page
    assert [one.address for one in roster.members(GARDEN)] == [ANA, CLEO]
    assert 'value="sync"' in page and 'value="sync"' not in client.get(path).content.decode()
    assert "1 were added, 1 removed" in client.post(path, {"act": "sync", "people": lines}).content.decode()
    assert [one.address for one in roster.members(GARDEN)] == [ANA, "dora@far.example"]
    for wrong in ("nonsense\n", f"{ANA}\nnonsense\n", "# nobody\n"):
        assert client.post(path, {"act": "sync", "people": wrong}).status_code == 422, wrong
    assert len(roster.members(GARDEN)) == 2


def test_owners_choose_for_members_what_they_get(site: Neighbourhood) -> None:
    client, path = site.as_("owen"), f"{DESK}members/"
    client.post(path, {"act": "choose", "choice": "mime_digests", "chosen": [ANA, BEN]})
    assert [one.delivery_mode for one in roster.members(GARDEN)] == ["mime_digests", "mime_digests", "regular"]
    client.post(path, {"act": "choose", "choice": "stop", "chosen": [ANA]})
    assert roster.members(GARDEN)[0].delivery_status == "by_moderator"
    roster.set_preferences(GARDEN, BEN, delivery_status="by_bounces")
    client.post(path, {"act": "choose", "choice": "begin", "chosen": [ANA, BEN]})
    assert {one.delivery_status for one in roster.members(GARDEN)} == {"enabled"}
    assert client.post(path, {"act": "choose", "choice": "sing", "chosen": [ANA]}).status_code == 422


def test_members_are_downloaded_as_a_table_and_a_table_is_read(site: Neighbourhood) -> None:
    client, path = site.as_("owen"), f"{DESK}members/"
    roster.set_preferences(GARDEN, BEN, delivery_mode="mime_digests")
    answer = client.get(f"{path}table.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert [(row["address"], row["delivery_mode"]) for row in rows] == [
        (ANA, ""), (BEN, "mime_digests"), (CLEO, "")]  # fmt: skip
    assert "garden-members.csv" in answer.headers["Content-Disposition"]
    for who, status in (("stranger", 302), ("ana", 404), ("mona", 404), ("root", 200)):
        assert site.as_(who).get(f"{path}table.csv").status_code == status

    def sends(text: str | bytes, act: str = "import", **more: str) -> tuple[int, str]:
        octets = text.encode() if isinstance(text, str) else text
        sent = client.post(path, {"act": act, "table": SimpleUploadedFile("t.csv", octets), **more})
        return sent.status_code, sent.content.decode()

    table = "address,display_name,acknowledge_posts,shoes\n"
    table += "dora@far.example,Dora,yes,38\nnonsense,,,\nana@far.example,,yes,\n"
    assert "1 person would be added" in sends(table, "import-check")[1] and not roster.find("dora@far.example")
    page = sends(table)[1]
    assert "1 person was added" in page and "1 was there already" in page and "nonsense" in page and "shoes" in page
    assert roster.find("dora@far.example")[0].acknowledge_posts and not roster.find(ANA)[1].acknowledge_posts
    assert "2 people changed" in sends(table, update="1")[1]
    for wrong in ("name\nAna\n", b"address\n\xff\n", ""):
        assert sends(wrong)[0] == 422, wrong
    assert client.post(path, {"act": "import"}).status_code == 422
    assert site.as_("mona").post(path, {"act": "import"}).status_code in (403, 404)


def test_chosen_people_are_moderated_and_removed(site: Neighbourhood) -> None:
    client = site.as_("owen")
    client.post(f"{DESK}members/", {"act": "moderate", "action": "hold", "chosen": [ANA, BEN]})
    assert [one.moderation_action for one in roster.members(GARDEN)] == ["hold", "hold", ""]
    client.post(f"{DESK}members/", {"act": "remove", "chosen": [ANA]})
    assert ANA not in [one.address for one in roster.members(GARDEN)]


def test_owners_are_named_and_the_last_one_stays(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("owen")
    answer = client.post(f"{DESK}members/", {"act": "remove", "role": "owner", "chosen": [OWEN]})
    assert answer.status_code == 422 and OWEN in creation.show(GARDEN).owners
    client.post(f"{DESK}members/", {"act": "role", "address": BEN, "as": "owner"})
    assert creation.show(GARDEN).owners == (OWEN, BEN)


def test_a_roster_is_shown_to_whom_the_list_says_without_those_who_hide(quick_site: Neighbourhood) -> None:
    path = f"{DESK}members/"
    roster.set_preferences(GARDEN, CLEO, hide_address=True)
    for visible, statuses in (("moderators", (302, 404)), ("members", (302, 200)), ("public", (200, 200))):
        creation.set_settings(GARDEN, {"member_roster_visibility": visible})
        for who, status in zip(("stranger", "ana"), statuses, strict=True):
            answer = quick_site.as_(who).get(path)
            assert answer.status_code == status, (visible, who)
            if status == 200:
                page = answer.content.decode()
                assert BEN in page and CLEO not in page and "<textarea" not in page
    assert quick_site.as_("ana").post(path, {"act": "remove", "chosen": [BEN]}).status_code == 403


def test_a_moderator_decides_about_requests(site: Neighbourhood) -> None:
    creation.set_settings(BOARD, {"subscription_policy": "moderate"})
    for address in (EVE, "dora@far.example"):
        subscription.request_join(BOARD, address, "", now(), verified=True)
    client, path = site.as_("mona"), f"/lists/{BOARD}/requests/"
    first, second = (one.id for one in approval.waiting(BOARD))
    assert EVE in client.get(path).content.decode()
    client.post(path, {"act": "approve", "chosen": [first]})
    client.post(path, {"act": "reject", "chosen": [second], "reason": "No room"})
    assert [one.address for one in roster.members(BOARD)] == [ANA, EVE]
    assert not approval.waiting(BOARD)


def test_a_request_of_another_list_is_not_decided_here(quick_site: Neighbourhood) -> None:
    creation.set_settings(GARDEN, {"subscription_policy": "moderate"})
    subscription.request_join(GARDEN, EVE, "", now(), verified=True)
    [one] = approval.waiting(GARDEN)
    quick_site.as_("mona").post(f"/lists/{BOARD}/requests/", {"act": "approve", "chosen": [one.id]})
    assert approval.waiting(GARDEN) == [one]


def test_bans_and_header_rules_are_made_and_taken_back(site: Neighbourhood) -> None:
    client, path = site.as_("owen"), f"{DESK}bans/"
    client.post(path, {"act": "ban", "pattern": EVE, "why": "spam"})
    assert [(one.pattern, one.why, one.by) for one in bans.bans(GARDEN)] == [(EVE, "spam", OWEN)]
    wrong = client.post(path, {"act": "ban", "pattern": "^(a+"})
    assert wrong.status_code == 422 and "^(a+" in wrong.content.decode()
    client.post(path, {"act": "lift", "pattern": EVE})
    assert not bans.bans(GARDEN)
    for name in ("x-one", "x-two"):
        client.post(path, {"act": "add-rule", "header": name, "expression": "yes", "action": "hold"})
    client.post(path, {"act": "up", "position": "1"})
    assert [one.header for one in header_matches.matches(GARDEN)] == ["x-two", "x-one"]
    client.post(path, {"act": "remove-rule", "position": "0"})
    assert [one.header for one in header_matches.matches(GARDEN)] == ["x-one"]


def test_every_template_says_what_it_is_for(quick_site: Neighbourhood) -> None:
    assert set(PURPOSES) == set(texts.KINDS.values())
    client = quick_site.as_("owen")
    said = "To moderators: a posting waits, with the links to decide."
    assert said in client.get(f"{DESK}templates/").content.decode()
    assert said in client.get(f"{DESK}templates/list:admin:action:post/").content.decode()


def test_a_template_is_previewed_kept_and_taken_back(site: Neighbourhood) -> None:
    name = "list:user:notice:welcome"
    client, path = site.as_("owen"), f"{DESK}templates/{name}/"
    words = {"language": "fr", "subject": "Salut", "text": "Bonjour $address <b>"}
    assert "The built-in wording" in client.get(path).content.decode()
    shown = client.post(path, {**words, "act": "preview"}).content.decode()
    assert "Bonjour ana@far.example &lt;b&gt;" in shown and not wording.listing(GARDEN)
    wrong = client.post(path, {**words, "text": "$nobody", "act": "keep"})
    assert wrong.status_code == 422 and "Nothing fills $nobody" in wrong.content.decode()
    client.post(path, {**words, "act": "keep"})
    assert [(one.language, one.subject, one.by) for one in wording.listing(GARDEN)] == [("fr", "Salut", OWEN)]
    assert "It is worded here" in client.get(f"{path}?language=fr").content.decode()
    assert 'value="reset"' not in client.get(f"{path}?language=en").content.decode()
    client.post(path, {**words, "act": "reset"})
    assert not wording.listing(GARDEN)


def test_nobody_is_asked_to_write_to_a_list_that_takes_nothing(quick_site: Neighbourhood) -> None:
    client, post = quick_site.as_("stranger"), f'"mailto:{GARDEN}"'
    assert post in client.get(DESK).content.decode()
    for state, words in (("paused", "Not while the list is paused"), ("closed", "takes no messages any more")):
        creation.set_state(GARDEN, state, "Winter.")
        page = client.get(DESK).content.decode()
        assert post not in page and words in page and "Winter." in page


def test_a_list_is_created_paused_renamed_and_removed_after_asking_twice(site: Neighbourhood) -> None:
    client = site.as_("root")
    made = client.post(
        "/lists/new/", {"name": "seeds", "host": DOMAIN, "display_name": "Seeds", "style": "announce", "owners": OWEN}
    )
    seeds = f"seeds@{DOMAIN}"
    assert made.status_code == 302 and creation.show(seeds).owners == (OWEN,)
    client.post(f"/lists/{seeds}/manage/", {"act": "state", "state": "paused", "reason": "Winter"})
    assert creation.show(seeds).state == "paused"
    for page in ("", "join/"):
        assert "Not while the list is paused" in client.get(f"/lists/{seeds}/{page}").content.decode()
    with pytest.raises(JoiningClosed, match=r"is paused: it takes no new members \(Winter\)"):
        subscription.request_join(seeds, BEN, "", now())
    assert sentences.in_language(f"{seeds} is paused: it takes no new members (Winter)", "fr").endswith(
        "elle n'accepte pas de nouveaux membres (Winter)"
    )
    assert "elle n'accepte pas" in sentences.in_language(f"{seeds} is paused: it takes no new members", "fr")
    client.post(f"/lists/{seeds}/manage/", {"act": "rename", "new": "plants"})
    plants = f"plants@{DOMAIN}"
    assert client.get(f"/lists/{seeds}/manage/").headers["Location"] == f"/lists/{plants}/manage/"
    asked = client.post(f"/lists/{plants}/manage/", {"act": "remove"}).content.decode()
    assert 'name="typed"' in asked
    assert client.post(f"/lists/{plants}/manage/", {"act": "remove-now", "typed": "garden"}).status_code == 422
    client.post(f"/lists/{plants}/manage/", {"act": "remove-now", "typed": plants})
    with pytest.raises(NoSuchList):
        creation.show(plants)
    page = client.get("/lists/new/").content.decode()
    number = page.partition('name="list" value="')[2].partition('"')[0]
    client.post("/lists/new/", {"act": "restore", "list": number})
    assert creation.show(plants).state == "paused"


def test_an_owner_of_a_list_does_not_remove_it(quick_site: Neighbourhood) -> None:
    answer = quick_site.as_("owen").post(f"{DESK}manage/", {"act": "remove-now", "typed": GARDEN})
    assert answer.status_code == 403 and creation.show(GARDEN)


def test_no_page_of_the_desk_asks_more_than_ten_questions(quick_site: Neighbourhood) -> None:
    roster.add_many(GARDEN, [("", f"p{n:04}@far.example") for n in range(150)])
    for number in range(30):
        bans.ban(f"b{number}@far.example", GARDEN, by="x", now=now())
        subscription.request_leave(GARDEN, f"p{number:04}@far.example", now())
    client = quick_site.as_("owen")
    for tail in PAGES:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert client.get(DESK + tail).status_code == 200, tail
        assert len(asked) <= 10, (tail, [one["sql"][:100] for one in asked.captured_queries])
    for number in range(20):
        creation.create(f"l{number}@{DOMAIN}", [OWEN])
        roster.add(f"l{number}@{DOMAIN}", OWEN)
    with CaptureQueriesContext(connection) as asked:
        assert client.get("/options/").status_code == 200
    assert len(asked) <= 10, len(asked)


def test_among_ten_thousand_members_only_a_page_is_read(site: Neighbourhood) -> None:
    roster.add_many(GARDEN, [("", f"p{n:05}@far.example") for n in range(10_000)])
    pk = creation.show(GARDEN).pk
    with CaptureQueriesContext(connection) as asked:
        assert looking.page(pk, words="p0999").total == 10
        assert looking.page(pk, after="p05000@far.example").rows[0].address == "p05001@far.example"
    assert len(asked) == 4
    assert all("COUNT(*)" in one["sql"] or " LIMIT 101" in one["sql"] for one in asked), "only a page is read"
