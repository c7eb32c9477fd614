"""What the live risk manager remembers between one order and the next."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.errors import ExecutionError, RiskError
from aegis.execution.brokers.broker import AccountBalance
from aegis.execution.orders import OrderEventKind
from aegis.live_trading.risk_manager import LiveRiskManager, trading_day
from tests.unit.live_trading.doors import Door, named
from tests.unit.risk.exit_cases import LIMITS, NOW, SESSION

_E = OrderEventKind


def _refusing(door: Door, name: str, shares: float = 100.0, **terms: object) -> tuple[str, ...]:
    return door.manager.review(named(name, shares, **terms)).refusing_rules


def test_a_manager_that_was_told_nothing_lets_nothing_through() -> None:
    manager = LiveRiskManager(
        LIMITS,
        account="paper",
        clock=SimulatedClock(NOW),
        calendar=trading_calendar("XNYS"),
        kill_switch_engaged=lambda: False,
    )
    assert set(manager.review(named("o-1")).refusing_rules) == {
        "reconciliation_is_clean",
        "clock_agrees_with_the_broker",
        "account_is_fresh",
        "order_stream_is_alive",
        "symbol_is_not_restricted",
        "quote_is_fresh",
        "price_is_within_the_collar",
        "order_notional_within_limit",
        "daily_loss_within_limit",
        "drawdown_within_limit",
        "order_share_of_equity_within_limit",
        "order_share_of_volume_within_limit",
        "day_notional_within_limit",
        "position_weight_within_limit",
        "gross_exposure_within_limit",
        "buying_power_covers_the_order",
    }


def test_the_kill_switch_is_asked_before_each_verdict() -> None:
    door = Door()
    assert _refusing(door, "o-1") == ()
    door.switch.engaged = True
    assert _refusing(door, "o-2") == ("kill_switch_is_off",)


def test_what_is_refused_takes_nothing() -> None:
    door = Door(max_order_shares=100)
    assert _refusing(door, "o-1", 101) == ("order_shares_within_limit",)
    view = door.manager.view(named("o-2"))
    assert (view.day_notional_usd, view.day_orders, view.committed_usd, view.recent) == (0, 0, 0, ())
    assert _refusing(door, "o-1", 100) == ()


def test_an_order_is_let_through_once_and_again_after_it_was_withdrawn() -> None:
    door = Door()
    assert _refusing(door, "o-1") == ()
    assert _refusing(door, "o-1") == ("order_is_asked_once",)
    door.manager.withdraw("o-1")
    assert door.manager.view(named("o-1")).day_orders == 0
    assert _refusing(door, "o-1") == ()


def test_what_the_venue_told_of_cannot_be_withdrawn() -> None:
    door = Door()
    door.manager.review(named("o-1"))
    door.settle(named("o-1"), [_E.SUBMITTED])
    with pytest.raises(ExecutionError, match=r"o-1 \(ABC\): it was sent"):
        door.manager.withdraw("o-1")


def test_the_value_of_a_day_is_reserved_filled_and_freed() -> None:
    # 100 shares at 20 USD are 2,000 USD; the day may have 5,000.
    door = Door(max_day_notional_usd=5_000)
    first, second = named("o-1"), named("o-2")
    assert door.manager.review(first).is_allowed
    assert door.manager.review(second).is_allowed
    assert _refusing(door, "o-3") == ("day_notional_within_limit",)
    # 40 of the first fill at 19: 760 USD traded and 60 × 20 = 1,200 open.
    door.settle(first, [_E.SUBMITTED, _E.ACCEPTED])
    door.manager.settle(door.fill(first, 40, price=19.0))
    assert door.manager.view(named("o-4")).day_notional_usd == Decimal(760 + 1_200 + 2_000)
    # The rest of the first ends, the second is rejected: only what was traded stays.
    door.settle(first, [_E.CANCELLED])
    door.settle(second, [_E.SUBMITTED, _E.REJECTED])
    after = door.manager.view(named("o-4"))
    assert (after.day_notional_usd, after.day_orders) == (Decimal(760), 2)
    assert after.book.position_shares == 40


def test_events_that_are_told_twice_or_out_of_turn_count_once() -> None:
    door = Door()
    order = named("o-1")
    door.manager.review(order)
    fill = door.fill(order, 100, ends=True)
    for event in (fill, fill, door.event(_E.ACCEPTED, order), door.event(_E.SUBMITTED, order), fill):
        door.manager.settle(event)
    view = door.manager.view(named("o-2"))
    assert (view.book.position_shares, view.book.open_bought_shares) == (100, 0)
    assert (view.day_notional_usd, view.committed_usd) == (2_000, 2_000)


def test_a_statement_of_account_takes_the_place_of_what_executed_before_it() -> None:
    door = Door()
    order = named("o-1")
    door.manager.review(order)
    early = door.fill(order, 30, number=1)
    door.go_to(NOW + timedelta(seconds=5))
    door.positions = {"ABC": 30.0}
    door.tell()
    door.manager.settle(early)  # told late: the statement has it
    door.go_to(NOW + timedelta(seconds=6))
    door.manager.settle(door.fill(order, 20, number=2))
    view = door.manager.view(named("o-2"))
    assert (view.book.position_shares, view.book.open_bought_shares) == (50, 50)
    # 20 executed since at 20 USD, 50 open at 20 USD.
    assert view.committed_usd == Decimal(1_400)
    assert view.day_notional_usd == Decimal(2_000)


def test_an_older_statement_changes_nothing() -> None:
    door = Door(positions={"ABC": 30.0})
    old = AccountBalance(account="paper", cash_usd=0.0, equity_usd=1.0, buying_power_usd=0.0)
    door.manager.observe_account(old, [], at_utc=NOW - timedelta(seconds=1))
    view = door.manager.view(named("o-1"))
    assert (view.book.position_shares, view.equity_usd) == (30, 1e6)


def test_a_statement_of_another_account_is_refused() -> None:
    other = AccountBalance(account="live", cash_usd=0.0, equity_usd=1.0, buying_power_usd=0.0)
    with pytest.raises(RiskError, match="expected a statement of 'paper'"):
        Door().manager.observe_account(other, [], at_utc=NOW)


def test_exposure_counts_positions_and_open_orders_of_other_symbols_at_their_quotes() -> None:
    door = Door(positions={"XYZ": -50.0, "OTHER": 10.0})
    door.manager.observe_quote("XYZ", bid_usd=29.0, ask_usd=31.0, at_utc=door.clock.now_utc())
    door.manager.review(named("o-1", -20, symbol="XYZ"))
    door.manager.review(named("o-2", 5, symbol="OTHER"))
    # 70 XYZ short at 30 USD and 15 OTHER at 20 USD.
    assert door.manager.view(named("o-3")).other_exposure_usd == Decimal(2_100 + 300)


def test_a_held_symbol_without_any_price_stops_what_does_not_reduce() -> None:
    door = Door()
    door.positions = {"ABC": 100.0, "GONE": float("nan")}
    door.tell()
    assert _refusing(door, "o-1") == ("gross_exposure_within_limit",)
    assert _refusing(door, "o-2", -100) == ()


def test_a_short_sale_commits_buying_power_at_the_dearest_price_sold() -> None:
    door = Door(positions={"ABC": 30.0})
    sale = named("o-1", -100, order_type="limit", limit_price_usd=21.0)
    door.manager.review(sale)
    # 70 sold short at 21 USD.
    assert door.manager.view(named("o-2")).committed_usd == Decimal(1_470)
    door.manager.settle(door.fill(sale, -100, price=22.0, ends=True))
    assert door.manager.view(named("o-2")).committed_usd == Decimal(1_540)
    door.go_to(NOW + timedelta(seconds=1))
    door.positions = {"ABC": -70.0}
    door.tell()
    assert door.manager.view(named("o-2")).committed_usd == 0


def test_a_replacement_takes_the_larger_of_its_terms_until_it_is_answered() -> None:
    door = Door(max_position_weight=0.004)  # 4,000 USD: 200 shares at 20 USD
    order = named("o-1", 150, order_type="limit", limit_price_usd=20.0)
    door.manager.review(order)
    door.settle(order, [_E.SUBMITTED, _E.ACCEPTED])
    door.manager.settle(door.fill(order, 50))
    larger = replace(order, quantity_shares=200.0)
    assert door.manager.review(replace(order, quantity_shares=201.0), is_replacement=True).refusing_rules == (
        "position_weight_within_limit",
    )
    assert door.manager.review(larger, is_replacement=True).is_allowed
    assert door.manager.view(named("o-2")).book.open_bought_shares == 150
    door.manager.settle(door.event(_E.REPLACE_REQUESTED, order, order=larger, revision=1))
    view = door.manager.view(named("o-2"))
    assert (view.book.open_bought_shares, view.day_orders) == (150, 2)
    door.manager.settle(door.event(_E.REPLACE_REJECTED, order, revision=1))
    assert door.manager.view(named("o-2")).book.open_bought_shares == 100
    smaller = replace(order, quantity_shares=60.0)
    assert door.manager.review(smaller, is_replacement=True).is_allowed
    assert door.manager.view(named("o-2")).book.open_bought_shares == 100
    door.manager.settle(door.event(_E.REPLACE_REQUESTED, order, order=smaller, revision=2))
    door.manager.settle(door.event(_E.REPLACED, order, order=smaller, revision=2))
    assert door.manager.view(named("o-2")).book.open_bought_shares == 10


def test_a_replacement_counts_at_the_quote_that_it_was_judged_at() -> None:
    door = Door()
    order = named("o-1", 100)
    door.manager.review(order)
    door.tell_feeds(ask=20.5)
    assert door.manager.review(replace(order, quantity_shares=150.0), is_replacement=True).is_allowed
    assert door.manager.view(named("o-2")).day_notional_usd == 3_075


def test_a_split_leaves_an_open_order_worth_what_it_was() -> None:
    door = Door()
    order = named("o-1", 100, time_in_force="GTC")
    door.manager.review(order)
    door.settle(order, [_E.SUBMITTED, _E.ACCEPTED])
    terms = replace(order, quantity_shares=700.0, arrival_price_usd=20.0 / 7)
    door.manager.settle(door.event(_E.RESCALED, order, order=terms, split_ratio=7.0))
    view = door.manager.view(named("o-2"))
    assert view.book.open_bought_shares == 700
    assert float(view.day_notional_usd) == pytest.approx(2_000, abs=1e-7)


def test_fills_of_an_order_that_did_not_pass_here_are_counted() -> None:
    door = Door()
    foreign = named("by-hand", -40)
    door.manager.settle(door.event(_E.ACCEPTED, foreign))
    door.manager.settle(door.fill(foreign, -40, ends=True))
    view = door.manager.view(named("o-1"))
    assert (view.book.position_shares, view.day_notional_usd, view.day_orders) == (-40, 800, 0)


@pytest.mark.parametrize(("shares", "price"), [(math.nan, 20.0), (50.0, math.nan), (50.0, 0.0), (50.0, math.inf)])
def test_a_fill_that_is_no_number_is_refused_and_the_order_stays_reserved(shares: float, price: float) -> None:
    door = Door()
    order = named("o-1")
    door.manager.review(order)
    with pytest.raises(RiskError, match=r"ABC .*, order o-1: a fill of .* cannot be counted; ask the venue"):
        door.manager.settle(door.fill(order, shares, price=price))
    assert door.manager.view(named("o-2")).book.open_bought_shares == 100


def test_an_equity_that_is_no_number_stops_what_does_not_reduce() -> None:
    door = Door(positions={"ABC": 500.0})
    door.tell(equity=math.nan)
    assert "position_weight_within_limit" in _refusing(door, "o-1")
    assert _refusing(door, "o-2", -100) == ()


def test_halts_and_resumption() -> None:
    door = Door()
    door.manager.halt("ABC")
    assert _refusing(door, "o-1") == ("symbol_is_not_halted",)
    assert _refusing(door, "o-2", symbol="XYZ") == ()
    door.manager.resume("ABC")
    assert _refusing(door, "o-1") == ()


def test_a_symbol_without_a_fresh_quote_stops_only_its_own_orders() -> None:
    door = Door(max_quote_age_seconds=10.0)
    door.go_to(NOW + timedelta(seconds=11))
    door.manager.observe_quote("XYZ", bid_usd=20.0, ask_usd=20.0, at_utc=door.clock.now_utc())
    assert _refusing(door, "o-1") == ("quote_is_fresh",)
    assert _refusing(door, "o-2", symbol="XYZ") == ()


def test_an_older_quote_changes_nothing() -> None:
    door = Door()
    door.manager.observe_quote("ABC", bid_usd=1.0, ask_usd=1.0, at_utc=NOW - timedelta(seconds=1))
    assert door.manager.review(named("o-1")).touch_usd == 20.0


def test_a_measurement_of_the_clock_grows_old() -> None:
    door = Door(max_clock_check_age_seconds=60.0, max_account_age_seconds=3600.0, max_stream_silence_seconds=3600.0)
    for seconds, refusing in ((60, ()), (61, ("clock_agrees_with_the_broker",))):
        door.go_to(NOW + timedelta(seconds=seconds))
        door.manager.observe_quote("ABC", bid_usd=20.0, ask_usd=20.0, at_utc=door.clock.now_utc())
        assert _refusing(door, f"o-{seconds}") == refusing


def test_a_clock_that_goes_back_is_a_clock_that_is_wrong() -> None:
    door = Door(max_quote_age_seconds=900.0)
    assert _refusing(door, "o-1") == ()
    door.go_to(NOW - timedelta(seconds=0.9))
    assert _refusing(door, "o-2", 101) == ()
    door.go_to(NOW - timedelta(seconds=1.1))
    assert "clock_agrees_with_the_broker" in _refusing(door, "o-3")


def test_orders_of_a_minute_are_counted_by_the_clock() -> None:
    silent = {"max_quote_age_seconds": 900.0, "max_account_age_seconds": 900.0, "max_stream_silence_seconds": 900.0}
    door = Door(max_orders_per_minute=2, **silent)
    for seconds, refusing in ((0, ()), (30, ()), (59, ("orders_per_minute_within_limit",)), (61, ())):
        door.go_to(NOW + timedelta(seconds=seconds))
        assert _refusing(door, f"o-{seconds}", 100 + seconds) == refusing


def test_a_day_ends_with_its_session_and_open_orders_go_on() -> None:
    door = Door()
    done, rests = named("o-1"), named("o-2", 10, time_in_force="GTC", order_type="limit", limit_price_usd=19.0)
    door.manager.review(done)
    door.manager.review(rests)
    door.manager.settle(door.fill(done, 100, ends=True))
    door.settle(rests, [_E.SUBMITTED, _E.ACCEPTED])
    before = door.manager.view(named("o-3"))
    assert (before.day.session, before.day_notional_usd, before.day_orders) == (SESSION, 2_190, 2)
    door.go_to(datetime(2014, 6, 6, 20, 0, tzinfo=UTC))
    after = door.manager.view(named("o-3"))
    assert (str(after.day.session), after.day_notional_usd, after.day_orders) == ("2014-06-09", 190, 0)
    assert after.book.position_shares == 100


@pytest.mark.parametrize(
    ("instant", "session"),
    [
        ("2014-06-06T19:59:59+00:00", "2014-06-06"),
        ("2014-06-06T20:00:00+00:00", "2014-06-09"),
        ("2014-06-08T12:00:00+00:00", "2014-06-09"),
        ("2014-07-03T16:59:59+00:00", "2014-07-03"),
        ("2014-07-03T17:00:00+00:00", "2014-07-07"),
    ],
)
def test_a_day_is_from_one_close_to_the_next(instant: str, session: str) -> None:
    day, begins = trading_day(trading_calendar("XNYS"), datetime.fromisoformat(instant))
    assert str(day.session) == session
    assert begins <= datetime.fromisoformat(instant) < day.closes_at_utc


@pytest.mark.parametrize(("limit", "window"), [("max_orders_per_second", 1), ("max_orders_per_minute", 60)])
def test_there_is_room_exactly_while_the_rate_rule_lets_one_more_order_out(limit, window):
    door = Door(**{limit: 3, "duplicate_window_seconds": 0.001})
    for number in range(3):
        assert door.manager.has_room()
        assert door.manager.review(named(f"o-{number}", 100.0 + number)).is_allowed
    assert not door.manager.has_room()
    assert not door.manager.review(named("one too many", 50.0)).is_allowed
    door.go_to(door.clock.now_utc() + timedelta(seconds=window))
    door.tell()
    assert door.manager.has_room()
    assert door.manager.review(named("later", 60.0)).is_allowed


def test_an_order_that_is_over_counts_in_the_day_and_its_fills_count_once() -> None:
    door = Door(max_day_orders=3.0)
    order = named("o-1")
    assert door.manager.review(order).is_allowed
    filled = door.fill(order, 100.0, ends=True)
    for event in (door.event(_E.SUBMITTED, order), door.event(_E.ACCEPTED, order), filled):
        door.manager.settle(event)
    day_usd = door.manager.view(named("o-2")).day_notional_usd
    door.positions = {"ABC": 100.0}
    door.tell()  # a statement that knows of the fill: the order is over
    view = door.manager.view(named("o-2"))
    assert (day_usd, view.day_notional_usd, view.day_shares, view.day_orders) == (2000, 2000, 100, 1)
    door.manager.settle(filled)  # told again
    door.manager.settle(door.event(_E.CANCELLED, order))
    assert door.manager.view(named("o-2")).day_notional_usd == 2000
    door.manager.settle(door.fill(order, 5.0, number=2))  # told late: shares changed hands
    late = door.manager.view(named("o-2"))
    assert (late.day_notional_usd, late.book.position_shares, late.day_orders) == (2100, 105, 1)
    assert "order_is_asked_once" in _refusing(door, "o-1")


def test_a_clock_that_was_ahead_while_an_event_came_counts_as_wrong_by_that_much():
    """A day that began by mistake is not ended: its limits would begin anew with every such instant."""
    door = Door(max_day_orders=3.0, max_account_age_seconds=1e6, max_stream_silence_seconds=1e6)
    began = door.clock.instant_utc
    orders = [
        named(f"o-{n}", shares=10.0 + n, time_in_force="GTC", order_type="limit", limit_price_usd=20.0)
        for n in range(5)
    ]
    assert [door.manager.review(order).is_allowed for order in orders[:4]] == [True, True, True, False]
    door.go_to(began + timedelta(hours=9))
    door.settle(orders[0], [OrderEventKind.ACCEPTED])
    door.go_to(began + timedelta(seconds=30))
    door.tell()
    assert "clock_agrees_with_the_broker" in door.manager.review(orders[4]).refusing_rules
