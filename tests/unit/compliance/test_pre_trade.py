"""Which orders are stopped: restrictions, and each limit at its edge."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from aegis.compliance.position_limits import Book, PositionLimits, position_limit_breaches
from aegis.compliance.pre_trade import OrderRules, order_rules
from aegis.compliance.restricted_list import Restriction
from aegis.config_compliance import ComplianceSettings
from aegis.errors import ComplianceError

SESSION = date(2014, 6, 6)
DECIDED = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)


def book(**replaced):
    return Book(
        **{
            "positions_shares": {"ABC": 100.0, "OLD": 400.0},
            "at_work_shares": (),
            "prices_usd": {"ABC": 10.0, "OLD": 10.0, "NEW": 10.0},
            "median_dollar_volume_usd": {"ABC": 10_000.0, "OLD": 10_000.0, "NEW": 10_000.0},
            **replaced,
        }
    )


@pytest.fixture
def orders(order_of):
    def make(*wanted):
        return [order_of(symbol=symbol, quantity_shares=shares) for symbol, shares in wanted]

    return make


def restricted(symbol, kind):
    return Restriction(
        symbol=symbol, first=SESSION, last=SESSION, known_at_utc=DECIDED, restriction=kind, reason="merger talks"
    )


@pytest.mark.parametrize(
    ("kind", "shares", "stopped"),
    [
        ("no trading", 10.0, True),
        ("no trading", -10.0, True),
        ("no opening", 10.0, True),
        ("no opening", -10.0, False),
        ("no opening", -101.0, True),  # through zero
    ],
)
def test_a_restricted_name_stops_its_own_orders_only(orders, kind, shares, stopped) -> None:
    rules = OrderRules(restrictions=(restricted("ABC", kind),))
    vetoes = rules.vetoes(
        orders(("ABC", shares), ("OLD", 10.0)), book(), execution_session=SESSION, decided_at_utc=DECIDED
    )

    assert set(vetoes) == ({"order-ABC"} if stopped else set())


def test_the_list_is_read_for_the_day_of_the_execution(orders) -> None:
    rules = OrderRules(restrictions=(restricted("ABC", "no trading"),))
    told = rules.vetoes(orders(("ABC", 10.0)), book(), execution_session=SESSION, decided_at_utc=DECIDED)

    assert "ABC 2014-06-06: restricted list, no trading since 2014-06-06: merger talks" in told["order-ABC"]
    assert rules.vetoes(orders(("ABC", 10.0)), book(), execution_session=date(2014, 6, 9), decided_at_utc=DECIDED) == {}


LIMITS = [
    # limit, largest order of ABC that fits on top of 100 shares at 10, one that does not
    (PositionLimits(max_position_usd=2_000.0), 100.0, 101.0),
    (PositionLimits(max_share_of_median_volume=0.2), 100.0, 101.0),
    (PositionLimits(max_share_of_outstanding=0.02), 100.0, 101.0),
]


@pytest.mark.parametrize(("limits", "fits", "breaks"), LIMITS)
def test_a_position_may_reach_its_limit_and_not_pass_it(orders, limits, fits, breaks) -> None:
    known = book(shares_outstanding={"ABC": 10_000.0})

    assert position_limit_breaches(orders(("ABC", fits)), known, limits=limits) == {}
    assert set(position_limit_breaches(orders(("ABC", breaks)), known, limits=limits)) == {"order-ABC"}


@pytest.mark.parametrize(("limit", "stopped"), [(3, set()), (2, {"order-NEW"})])
def test_a_new_name_counts_and_a_held_one_does_not(orders, limit, stopped) -> None:
    found = position_limit_breaches(
        orders(("ABC", 10.0), ("NEW", 10.0)), book(), limits=PositionLimits(max_positions=limit)
    )

    assert set(found) == stopped


def test_open_orders_that_enlarge_count_as_filled(orders) -> None:
    limits = PositionLimits(max_position_usd=2_000.0)

    for at_work, stopped in (([("ABC", 50.0)], True), ([("ABC", -50.0)], False)):
        found = position_limit_breaches(orders(("ABC", 60.0)), book(at_work_shares=at_work), limits=limits)
        assert bool(found) is stopped


def test_a_reducing_order_passes_every_limit(orders) -> None:
    limits = PositionLimits(max_positions=1, max_position_usd=1.0, max_share_of_median_volume=1e-6)

    assert position_limit_breaches(orders(("OLD", -100.0)), book(), limits=limits) == {}


@pytest.mark.parametrize("missing", ["prices_usd", "median_dollar_volume_usd"])
def test_what_cannot_be_measured_is_beyond_its_limit(orders, missing) -> None:
    limits = PositionLimits(max_share_of_median_volume=1e9)

    assert position_limit_breaches(orders(("ABC", 1.0)), book(**{missing: {}}), limits=limits)


def test_shares_outstanding_limit_only_where_they_are_known(orders) -> None:
    assert (
        position_limit_breaches(orders(("ABC", 1.0)), book(), limits=PositionLimits(max_share_of_outstanding=1e-9))
        == {}
    )


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(value) -> None:
    with pytest.raises(ComplianceError, match="max_position_usd"):
        PositionLimits(max_position_usd=value)


def test_settings_become_rules_and_a_missing_list_stops_everything(tmp_path) -> None:
    assert order_rules(ComplianceSettings()) == OrderRules()
    assert order_rules(ComplianceSettings(max_positions=3)).limits == PositionLimits(max_positions=3)
    with pytest.raises(ComplianceError, match="cannot be read"):
        order_rules(ComplianceSettings(restricted_list=tmp_path / "gone.csv"))
