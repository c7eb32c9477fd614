"""A market of two names and four sessions, worked out by hand, as a backtest and as tables.

Cash 1000 USD. After Friday's close AAA has a positive signal, BBB a negative one; one name may be half of the book.

==========  ====================  ==============================================  =======
session     AAA open, close       cash                                            equity
==========  ====================  ==============================================  =======
2014-06-05  10, 10                1000                                            1000.00
2014-06-06  10, 10                decided: 0.5 x 1000 / 10 = 50 AAA               1000.00
2014-06-09  11, 12                1000 - 50 x 11 x 1.001 = 449.45                 1049.45
2014-06-10  11, 11                449.45 + 50 x 0.50 dividend = 474.45            1024.45
==========  ====================  ==============================================  =======
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import AegisConfig
from aegis.errors import BacktestError, ConfigurationError
from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.research.backtests import BacktestInputs, backtest_tables, run_backtests

XNYS = trading_calendar("XNYS")
SESSIONS = ("2014-06-05", "2014-06-06", "2014-06-09", "2014-06-10")
OPENS, CLOSES = (10.0, 10.0, 11.0, 11.0), (10.0, 10.0, 12.0, 11.0)
SETTINGS: dict[str, Any] = {
    "run": {"initial_cash_usd": 1000.0},
    "signals": {"strategies": ("momentum",)},
    "portfolio": {"max_position_weight": 0.5},
    "risk": {"max_position_weight": 0.5},
}
COSTS = {"slippage_basis_points": 10.0, "transaction_cost_bps": 0.0}


def known(session: pd.Series) -> pd.Series:
    return pd.to_datetime(session).dt.tz_localize("UTC") + pd.Timedelta(hours=20, minutes=15)


def bars() -> pd.DataFrame:
    rows = pd.DataFrame({"session": SESSIONS, "open_raw_usd": OPENS, "close_raw_usd": CLOSES})
    rows = pd.concat([rows.assign(symbol=symbol, ticker=symbol) for symbol in ("AAA", "BBB", "IDX")])
    prices = rows[["open_raw_usd", "close_raw_usd"]]
    return tables.DAILY_BARS.conform(
        rows.assign(
            high_raw_usd=prices.max(axis=1),
            low_raw_usd=prices.min(axis=1),
            volume_shares=1e6,
            source="hand",
            known_at_utc=known(rows["session"]),
        )
    )


def dividend(session: str = "2014-06-10", symbol: str = "AAA") -> pd.DataFrame:
    row = {"session": session, "symbol": symbol, "action": "dividend", "split_ratio": 1.0, "dividend_usd": 0.5}
    known_at = pd.Timestamp(f"{session} 13:30", tz="UTC")
    return tables.CORPORATE_ACTIONS.conform(
        pd.DataFrame([{**row, "pay_session": pd.NaT, "new_ticker": None, "source": "hand", "known_at_utc": known_at}])
    )


def signals(table: TableSchema, *rows: tuple[str, str, float], **more: Any) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["session", "symbol", "score"])
    return table.conform(frame.assign(confidence=1.0, known_at_utc=known(frame["session"]), **more))


SCORES = [(session, symbol, score) for session in SESSIONS[:2] for symbol, score in (("AAA", 2.0), ("BBB", -1.0))]


def inputs(**changes: Any) -> BacktestInputs:
    given: dict[str, Any] = {
        "bars": bars(),
        "actions": dividend(),
        "strategy_signals": signals(tables.STRATEGY_SIGNALS, *SCORES, strategy="momentum"),
        "ensemble_signals": tables.ENSEMBLE_SIGNALS.empty(),
        "snapshot_id": 7,
    }
    return BacktestInputs(**(given | changes))


def config(engine: str = "event_driven", **sections: Any) -> AegisConfig:
    evaluation = {"backtesting": {"engine": engine, **COSTS}, "execution": {"default_algorithm": "market"}}
    return AegisConfig(**{**SETTINGS, "eval": evaluation, **sections})


def rows_of(given: BacktestInputs, settings: AegisConfig) -> dict[str, pd.DataFrame]:
    results = run_backtests(given, config=settings, calendar=XNYS)
    return {table.name: rows for table, rows in backtest_tables(results, snapshot_id=given.snapshot_id).items()}


def test_a_backtest_is_the_one_worked_out_by_hand() -> None:
    found = rows_of(inputs(), config())
    (row,) = found["backtests"].to_dict("records")
    assert (row["strategy"], row["engine"], row["price_mode"]) == ("momentum", "event_driven", "raw")
    assert (row["first_session"], row["last_session"]) == (pd.Timestamp("2014-06-05"), pd.Timestamp("2014-06-10"))
    assert (row["session_count"], row["order_count"], row["fill_count"], row["trade_count"]) == (4, 1, 1, 0)
    assert row["final_equity_usd"] == pytest.approx(1024.45, abs=1e-9)
    assert row["total_return"] == pytest.approx(0.02445, abs=1e-12)
    assert row["max_drawdown"] == pytest.approx(1024.45 / 1049.45 - 1, abs=1e-12)
    assert row["dividends_usd"] == pytest.approx(25.0)
    assert row["traded_usd"] == pytest.approx(550.55)
    assert row["slippage_usd"] == pytest.approx(0.55)
    assert row["unexplained_usd"] == pytest.approx(0.0, abs=1e-9)
    assert (row["source"], row["is_simulated"], row["input_snapshot_id"]) == ("simulated", True, 7)
    equity = found["backtest_equity"]
    assert equity["equity_usd"].tolist() == pytest.approx([1000.0, 1000.0, 1049.45, 1024.45])
    assert equity["drawdown"].tolist() == pytest.approx([0.0, 0.0, 0.0, 1024.45 / 1049.45 - 1])
    assert found["backtest_trades"].empty


def test_the_vectorized_engine_gets_adjusted_prices_and_no_dividend_cash() -> None:
    """The dividend scales earlier prices by 1 - 0.5 / 12. Decided: 500 / (10 x 0.958333) = 52 shares."""
    (row,) = rows_of(inputs(), config("vectorized"))["backtests"].to_dict("records")
    spent = 52 * 11 * (1 - 0.5 / 12) * 1.001
    assert (row["engine"], row["price_mode"], row["dividends_usd"]) == ("vectorized", "adjusted", 0.0)
    assert row["final_equity_usd"] == pytest.approx(1000 - spent + 52 * 11, abs=1e-9)


def test_walking_forward_over_stored_signals_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match="set it to event_driven or vectorized"):
        run_backtests(inputs(), config=config("walk_forward"), calendar=XNYS)


def test_trades_are_numbered_and_in_the_tables_words() -> None:
    """After the first week AAA is held, after the second it is sold on Monday the 16th, at 11.5 x 0.999."""
    later = ("2014-06-11", "2014-06-12", "2014-06-13", "2014-06-16")
    more = bars()[lambda rows: rows["symbol"] == "AAA"].assign(session=pd.to_datetime(later))
    more = more.assign(**{f"{price}_raw_usd": 11.5 for price in ("open", "high", "low", "close")})
    more = more.assign(known_at_utc=known(more["session"]))
    sold = signals(tables.STRATEGY_SIGNALS, *SCORES, ("2014-06-13", "AAA", -1.0), strategy="momentum")
    history = inputs(bars=pd.concat([bars(), more]), strategy_signals=sold)
    (trade,) = rows_of(history, config())["backtest_trades"].to_dict("records")
    assert (trade["strategy"], trade["trade_number"], trade["symbol"]) == ("momentum", 1, "AAA")
    assert (trade["side"], trade["quantity_shares"], trade["exit_by"]) == ("long", 50.0, "fill")
    assert trade["entry_at_utc"] == pd.Timestamp("2014-06-09 20:00", tz="UTC")
    assert trade["exit_at_utc"] == pd.Timestamp("2014-06-16 20:00", tz="UTC")
    assert trade["bars_held"] == 5
    assert trade["net_profit_usd"] == pytest.approx(50 * (11.5 * 0.999 - 11 * 1.001))


def test_each_strategy_begins_with_its_own_first_signal_and_the_ensemble_comes_last() -> None:
    late = signals(tables.STRATEGY_SIGNALS, *SCORES[2:], strategy="short_term_reversal")
    ensemble = signals(tables.ENSEMBLE_SIGNALS, *SCORES, expected_return_daily=0.0)
    given = inputs(strategy_signals=pd.concat([inputs().strategy_signals, late]), ensemble_signals=ensemble)
    settings = config(signals={"strategies": ("short_term_reversal", "low_volatility_trend", "momentum")})
    found = run_backtests(given, config=settings, calendar=XNYS)
    assert list(found) == ["short_term_reversal", "momentum", "ensemble"]  # one has no signals yet
    assert [done.session_dates[0].strftime("%d") for done in found.values()] == ["06", "05", "05"]
    assert found["momentum"].equity_usd[-1] == found["ensemble"].equity_usd[-1]


def test_a_strategy_that_never_held_anything_has_no_ratios_beside_one_that_did() -> None:
    silent = signals(tables.STRATEGY_SIGNALS, *((s, n, -1.0) for s, n, _ in SCORES), strategy="short_term_reversal")
    given = inputs(strategy_signals=pd.concat([inputs().strategy_signals, silent]))
    settings = config(signals={"strategies": ("momentum", "short_term_reversal")})
    found = rows_of(given, settings)["backtests"].set_index("strategy")
    assert found["final_equity_usd"].tolist() == pytest.approx([1024.45, 1000.0])
    assert found["trading_cost_bps"].notna().tolist() == [True, False]


def test_signals_after_a_session_change_nothing_before_it() -> None:
    other = signals(tables.STRATEGY_SIGNALS, *SCORES, ("2014-06-09", "BBB", 3.0), strategy="momentum")
    before = rows_of(inputs(), config())["backtest_equity"]
    pd.testing.assert_frame_equal(rows_of(inputs(strategy_signals=other), config())["backtest_equity"], before)


def test_the_hash_of_the_settings_changes_with_what_decides_and_with_nothing_else() -> None:
    def found(**sections: Any) -> str:
        return str(rows_of(inputs(), config(**sections))["backtests"]["settings_hash"].iloc[0])

    as_it_is = found()
    assert found(run={"initial_cash_usd": 1000.0, "account": "other"}) == as_it_is
    assert found(portfolio={"max_position_weight": 0.4}) != as_it_is
    assert found(run={"initial_cash_usd": 2000.0}) != as_it_is


def test_without_any_signal_the_remedy_is_named() -> None:
    given = inputs(strategy_signals=tables.STRATEGY_SIGNALS.empty())
    with pytest.raises(BacktestError, match=r"no signals of momentum are stored.*materialize signals/strategy_signals"):
        run_backtests(given, config=config(), calendar=XNYS)


def test_signals_without_bars_are_refused() -> None:
    given = inputs(bars=tables.DAILY_BARS.empty())
    with pytest.raises(BacktestError, match="signals from 2014-06-05 on and no bars"):
        run_backtests(given, config=config(), calendar=XNYS)


def test_a_strategy_called_like_the_ensemble_is_refused() -> None:
    with pytest.raises(BacktestError, match="another `name`"):
        inputs().signals(["ensemble"])


def test_actions_of_what_has_no_signal_are_left_out() -> None:
    given = replace(inputs(), actions=pd.concat([dividend(), dividend(symbol="IDX")]))
    pd.testing.assert_frame_equal(
        rows_of(given, config())["backtest_equity"], rows_of(inputs(), config())["backtest_equity"]
    )
