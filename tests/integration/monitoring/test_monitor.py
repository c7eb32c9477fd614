"""The monitor of an account at a venue: profit that adds up, what is open, what is wrong, and its files."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from aegis.config_monitoring import AlertSettings
from aegis.live_trading.kill_switch import KillSwitch
from aegis.monitoring.causes import causes_of
from aegis.monitoring.status_file import STATUS_FILE, read_status
from tests.integration.live_trading.trading_process import IN_SESSION


def _keys(snapshot) -> list[str]:
    return [cause.key for cause in causes_of(snapshot, AlertSettings())]


def test_profit_by_fills_is_the_change_of_equity_and_the_rest_is_unexplained(watch, venue) -> None:
    account = watch()
    account.look()
    account.trade("one", "ABC", 100, "10.02")
    account.trade("two", "DEF", 10, "20.50")
    account.trade("three", "ABC", -40, "10.10")
    snapshot = account.look(61)  # another statement of the broker

    money = snapshot.money
    # 40 of 100 sold at 10.10 that cost 10.02; 60 at 10.00 now, and 10 at 20.00 that cost 20.50.
    assert money.profit.realised_usd == pytest.approx(40 * 0.08)
    assert money.profit.unrealised_usd == pytest.approx(60 * -0.02 + 10 * -0.50)
    assert {name: part.total_usd for name, part in money.by_strategy.items()} == {
        "desk/asked": pytest.approx(money.profit.total_usd)
    }
    assert money.unexplained_usd == pytest.approx(0.0, abs=1e-6)
    assert [(held.symbol, held.shares, held.mark_source) for held in snapshot.positions] == [
        ("ABC", 60.0, "quote"),
        ("DEF", 10.0, "quote"),
    ]
    assert (snapshot.exposure.gross_usd, snapshot.exposure.net_usd) == (pytest.approx(800.0), pytest.approx(800.0))
    # Bought 100 at 10.02 and 10 at 20.50, sold 40 at 10.10, against arrivals of 10 and 20.
    cost = 100 * 0.02 + 10 * 0.50 - 40 * 0.10
    assert snapshot.slippage_total.slippage_usd == pytest.approx(cost)
    assert snapshot.slippage_total.slippage_bps == pytest.approx(cost / (1000 + 200 + 400) * 1e4)
    assert len(snapshot.slippage_by_order) == 3
    assert [stage.orders for stage in snapshot.latencies] == [3, 3, 3, 3]
    assert _keys(snapshot) == []

    venue.book.charge("12.5", "a fee that the journal does not know")
    assert account.look(61).money.unexplained_usd == pytest.approx(-12.5, abs=1e-6)


def test_a_restart_counts_on_from_the_same_start(watch) -> None:
    account = watch()
    before = account.look()
    account.trade("one", "ABC", 100, "10.02")
    account.close()
    again = watch(IN_SESSION + timedelta(minutes=5))
    again.trade("two", "ABC", -100, "10.05")
    snapshot = again.look(61)

    assert snapshot.money.since_utc == before.money.since_utc
    assert snapshot.money.profit.realised_usd == pytest.approx(3.0)
    assert snapshot.money.unexplained_usd == pytest.approx(0.0, abs=1e-6)
    assert snapshot.positions == ()


def test_positions_of_before_count_from_their_marks_at_the_start(watch, venue) -> None:
    venue.book.book("ABC", Decimal(40), Decimal(8))
    account = watch()
    snapshot = account.look()
    # The statement values them at 8, the quote of now at 10.
    assert (snapshot.money.profit.total_usd, snapshot.money.unexplained_usd) == (80.0, 0.0)
    assert [held.shares for held in snapshot.positions] == [40.0]
    venue.book.trade_by_hand("ABC", "-15", "10")
    broken = account.look(61)
    assert [key.partition("/")[0] for key in _keys(broken)] == ["break"]
    account.system.take_over_positions(reason="sold by hand", actor="ada")
    healed = account.look(61)
    assert _keys(healed) == []
    assert [held.shares for held in healed.positions] == [25.0]


def test_the_status_file_says_what_stands_and_that_the_process_ended(watch, tmp_path) -> None:
    account = watch()
    account.look()
    path = tmp_path / "monitor" / STATUS_FILE
    status = read_status(path)
    assert status.problems(IN_SESSION, 30.0) == ()
    assert "31 s old" in status.problems(IN_SESSION + timedelta(seconds=31), 30.0)[0]
    KillSwitch(account.config.kill_switch).engage("enough", actor="ada", at_utc=IN_SESSION)
    account.look(1)
    (said,) = read_status(path).problems(IN_SESSION, 30.0)
    assert "The kill switch is engaged" in said
    account.close()
    assert read_status(path).problems(IN_SESSION, 30.0)[0].startswith("the trading process ended")
    assert json.loads(path.read_text(encoding="utf-8"))["snapshot"]["account"] == "paper"


def test_events_are_numbered_and_tell_what_changed(watch) -> None:
    account = watch()
    account.look()
    account.trade("one", "ABC", 100, "10.02")
    account.look(1)
    KillSwitch(account.config.kill_switch).engage("enough", actor="ada", at_utc=IN_SESSION)
    account.look(1)
    events = account.monitor.events.since(0)

    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    happened = [event["what"] for event in events if event["kind"] == "journal"]
    assert happened.index("submitted") < happened.index("filled")
    assert [(e["key"], e["stands"]) for e in events if e["kind"] == "cause"] == [("kill_switch", True)]


def test_what_the_monitor_cannot_write_is_said_and_does_not_stop_the_step(watch, tmp_path) -> None:
    account = watch()
    account.look()
    path = tmp_path / "monitor" / STATUS_FILE
    path.unlink()
    path.mkdir()
    account.look(1)
    snapshot = account.look(1)
    assert any("status.json" in said for said in snapshot.failures)
    path.rmdir()
    account.look(1)
    assert account.look(1).failures == ()
