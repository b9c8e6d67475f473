"""Vacations: delivery stops until a day and begins again on it, once."""

from __future__ import annotations

import pytest

from posthouse.directory.moments import moment
from posthouse.lists import roster, vacation
from posthouse.lists.errors import ListError
from posthouse.lists.models import Membership
from tests.lists.scene import DAY, NOW, copies, has_list, posts
from tests.people import ANA, BEN, GARDEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


@both
def test_delivery_stops_until_the_day_and_then_begins_again() -> None:
    has_list(members=[ANA, BEN])
    assert vacation.begin(GARDEN, BEN, moment(NOW + 7 * DAY), "web", NOW)
    posts(ANA)
    assert copies() == [ANA]
    assert vacation.ends_at(GARDEN, BEN) == moment(NOW + 7 * DAY)

    assert vacation.resume_due(NOW + 7 * DAY - 1) == 0
    assert vacation.resume_due(NOW + 7 * DAY) == 1
    assert vacation.resume_due(NOW + 7 * DAY) == 0
    [ben] = roster.find(BEN)
    assert ben.delivery_status == "enabled"
    assert vacation.ends_at(GARDEN, BEN) is None


@sqlite
def test_a_vacation_ends_early_by_hand() -> None:
    has_list(members=[BEN])
    vacation.begin(GARDEN, BEN, moment(NOW + DAY), "web", NOW)
    assert vacation.end(GARDEN, BEN, "web", NOW + 1)
    assert not vacation.end(GARDEN, BEN, "web", NOW + 1)
    assert roster.find(BEN)[0].delivery_status == "enabled"


@sqlite
def test_whoever_stops_for_good_meanwhile_stays_stopped() -> None:
    has_list(members=[BEN])
    vacation.begin(GARDEN, BEN, moment(NOW + DAY), "web", NOW)
    roster.set_preferences(GARDEN, BEN, delivery_status="by_user")
    assert vacation.resume_due(NOW + DAY) == 0
    assert roster.find(BEN)[0].delivery_status == "by_user"


@sqlite
def test_what_bounces_stopped_meanwhile_the_day_does_not_begin() -> None:
    has_list(members=[BEN])
    vacation.begin(GARDEN, BEN, moment(NOW + DAY), "web", NOW)
    Membership.objects.update(delivery_status="by_bounces")
    assert vacation.resume_due(NOW + DAY) == 0
    assert roster.find(BEN)[0].delivery_status == "by_bounces"
    with pytest.raises(ListError, match="stopped by bounces"):
        vacation.begin(GARDEN, BEN, moment(NOW + 3 * DAY), "web", NOW + 2 * DAY)


@sqlite
@pytest.mark.parametrize("days", [0, -1, 5_000])
def test_a_day_that_is_over_or_far_away_is_refused(days: int) -> None:
    has_list(members=[BEN])
    with pytest.raises(ListError, match="a day to come"):
        vacation.begin(GARDEN, BEN, moment(NOW + days * DAY), "web", NOW)


@sqlite
def test_who_is_no_member_has_no_vacation() -> None:
    has_list()
    assert not vacation.begin(GARDEN, BEN, moment(NOW + DAY), "web", NOW)
