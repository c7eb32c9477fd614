"""What stops a live account: breakers that a person releases, feeds that went silent, and what a monitor is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.errors import RiskError
from aegis.execution.orders import OrderEventKind
from aegis.live_trading.standing_breakers import BreakerRecord
from tests.unit.live_trading.doors import Door, named
from tests.unit.risk.exit_cases import NOW

_E = OrderEventKind


def _refusing(door: Door, name: str, shares: float = 100.0, **terms: object) -> tuple[str, ...]:
    return door.manager.review(named(name, shares, **terms)).refusing_rules


def test_losses_trip_breakers_that_a_person_releases() -> None:
    door = Door(max_daily_loss=0.02, max_drawdown=0.5)
    door.positions = {"ABC": 100.0}
    door.tell(equity=979_999.0)
    # The equity recovers, the breaker stands, and what only reduces may leave.
    door.tell(equity=999_000.0)
    assert [item.name for item in door.manager.breakers()] == ["daily loss"]
    assert _refusing(door, "o-1") == ("no_loss_breaker_is_tripped",)
    assert _refusing(door, "o-2", -100) == ()
    with pytest.raises(RiskError, match="a release needs who releases and why"):
        door.manager.release("daily loss", actor=" ", reason="seen")
    told = door.manager.release("daily loss", actor="maria", reason="a bad print")
    assert told.endswith("released by maria: a bad print")
    assert _refusing(door, "o-3") == ()
    # From now on the loss is measured from 999,000 USD: 979,020 are exactly 2 % below.
    door.tell(equity=979_020.0)
    assert door.manager.breakers() == ()
    door.tell(equity=979_019.99)
    assert [item.name for item in door.manager.breakers()] == ["daily loss"]


def test_rejections_in_a_row_stop_everything_until_a_person_looked() -> None:
    door = Door(positions={"ABC": 500.0}, max_rejects_in_a_row=2)
    for number in range(3):
        order = named(f"o-{number}", 100 + number)
        assert door.manager.review(order).is_allowed
        door.settle(order, [_E.SUBMITTED, _E.REJECTED])
    assert _refusing(door, "o-9", -100) == ("no_runaway_is_stopped",)
    door.manager.release("runaway", actor="maria", reason="the symbol was renamed")
    assert _refusing(door, "o-9", -100) == ()
    # It counts anew: two more are within the limit, a third is not.
    for number, refusing in ((10, ()), (11, ()), (12, ("no_runaway_is_stopped",))):
        door.settle(named(f"o-{number - 1}"), [_E.SUBMITTED, _E.REJECTED])
        assert _refusing(door, f"o-{number}", number) == refusing


def test_a_breaker_that_does_not_stand_cannot_be_released() -> None:
    with pytest.raises(RiskError, match="does not stand"):
        Door().manager.release("drawdown", actor="maria", reason="none")


def test_breakers_survive_a_restart_in_their_record() -> None:
    door = Door(max_drawdown=0.1)
    door.tell(equity=800_000.0)
    record = BreakerRecord.from_record(door.manager.record().to_record())
    assert record == door.manager.record()
    again = Door()
    again.manager.restore([], [], touches_usd={}, record=record)
    assert "no_loss_breaker_is_tripped" in _refusing(again, "o-1")
    again.tell(equity=850_000.0)
    assert again.manager.view(named("o-2")).peak_equity_usd == 1e6


def test_a_malformed_record_is_refused() -> None:
    with pytest.raises(RiskError, match="malformed"):
        BreakerRecord.from_record({"marks": None, "tripped": [{"name": "boredom", "since_utc": "x", "told": ""}]})


def test_all_that_stops_orders_is_told_with_what_it_stops() -> None:
    door = Door(positions={"ABC": 100.0}, max_daily_loss=0.02, max_rejects_in_a_row=1)
    assert door.manager.breakers() == ()
    door.tell(equity=900_000.0)
    for number in range(2):
        order = named(f"o-{number}", -1 - number)
        assert door.manager.review(order).is_allowed
        door.settle(order, [_E.SUBMITTED, _E.REJECTED])
    door.manager.halt("XYZ")
    door.manager.observe_reconciliation(is_clean=False)
    door.go_to(NOW + timedelta(hours=2))
    found = {item.name: item.stops for item in door.manager.breakers()}
    assert found == {
        "daily loss": "every order that does not only reduce",
        "runaway": "every order",
        "stale account": "every order",
        "silent order stream": "every order",
        "wrong clock": "every order",
        "books not reconciled": "every order",
        "halted XYZ": "orders of XYZ",
        "stale quote ABC": "orders of ABC",
    }
    assert all(item.told for item in door.manager.breakers())
    # Heard again, what was stale stops nothing; what a person has to release stands.
    door.tell()
    door.manager.resume("XYZ")
    assert [item.name for item in door.manager.breakers()] == ["daily loss", "runaway"]


@pytest.mark.parametrize(
    ("limit", "name"),
    [("max_account_age_seconds", "stale account"), ("max_stream_silence_seconds", "silent order stream"),
     ("max_quote_age_seconds", "stale quote ABC")],
)  # fmt: skip
def test_what_is_stale_for_a_person_is_what_is_stale_for_an_order(limit: str, name: str) -> None:
    rule = {"stale account": "account_is_fresh", "silent order stream": "order_stream_is_alive"}.get(
        name, "quote_is_fresh"
    )
    for seconds in (9.9, 10.1):
        door = Door(positions={"ABC": 100.0}, **{limit: 10.0})
        door.manager.observe_quote("XYZ", bid_usd=20.0, ask_usd=20.0, at_utc=NOW)
        door.go_to(NOW + timedelta(seconds=seconds))
        refused = rule in _refusing(door, "o-1")
        assert refused is (seconds > 10)
        assert (name in {item.name for item in door.manager.breakers()}) is refused


def test_limits_in_use_are_told_for_a_monitor() -> None:
    door = Door(positions={"XYZ": -50.0}, max_gross_exposure=1.0, max_day_orders=100, max_day_notional_usd=10_000.0)
    door.manager.review(named("o-1"))
    door.tell(equity=990_000.0, buying_power=8_000.0)
    used = {item.name: (item.used, item.limit) for item in door.manager.limits_used()}
    assert used == {
        "day notional, USD": (2_000.0, 10_000.0),
        "day orders": (1.0, 100.0),
        "gross exposure, USD": (3_000.0, 990_000.0),
        "buying power, USD": (2_000.0, 8_000.0),
        "daily loss": (pytest.approx(0.01), 0.02),
        "drawdown": (pytest.approx(0.01), 0.1),
    }
