from __future__ import annotations

import math
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aegis.backtesting.kernel.records import ACTION
from aegis.backtesting.results import BacktestResults
from aegis.errors import BacktestError, RiskError
from tests.unit.backtesting.five_sessions import EQUITY, SESSIONS, backtest
from tests.unit.backtesting.hand_written import NAN, fill, fills

RETURNS = np.array([0.0, 27.5 / 1000, -51.85 / 1027.5, 26.45 / 975.65, 29.0 / 1002.1])


def test_nothing_is_computed_until_it_is_asked_for() -> None:
    results = backtest(closes_usd=lambda: pytest.fail("closes were read"))
    assert not {"orders", "trades", "metrics", "equity", "closes"} & results.__dict__.keys()
    assert len(results.fills) == 5
    assert "fills" in results.__dict__


def test_equity_is_by_time_and_by_session() -> None:
    results = backtest()
    assert results.equity.index[0] == datetime(2024, 1, 30, 21, tzinfo=UTC)
    assert results.equity.tolist() == list(EQUITY)
    assert [day.date() for day in results.daily_equity.index] == list(SESSIONS)
    assert results.returns.to_numpy() == pytest.approx(RETURNS, rel=1e-12)


def test_the_equity_of_a_session_is_that_of_its_last_step() -> None:
    results = backtest()
    sessions = results.sessions[[0, 3, 5]].copy()  # steps 0-2 and 3-4
    sessions["first_step"] = 0, 3, 5
    grouped = backtest(sessions=sessions)
    assert grouped.daily_equity.tolist() == [975.65, 1031.1]
    assert grouped.session_of_fill.tolist() == [0, 0, 1, 1, 1]


def test_positions_follow_fills_and_splits() -> None:
    positions = backtest().positions
    assert positions.columns.tolist() == ["AAA", "BBB"]
    assert positions["AAA"].tolist() == [0.0, 10.0, 10.0, 12.0, 16.0]
    assert positions["BBB"].tolist() == [0.0, -5.0, -5.0, 0.0, 0.0]


def test_trades_and_open_lots_by_hand() -> None:
    results = backtest()
    by_symbol = results.trades.set_index("symbol")
    # AAA: 8 of 20 shares that cost 25 after the split; two fifths of 1 USD and 0.50 commission, 0.05 fees.
    assert by_symbol.loc["AAA", "gross_profit_usd"] == 8.0
    assert by_symbol.loc["AAA", "net_profit_usd"] == pytest.approx(8.0 - 0.4 - 0.5 - 0.05, rel=1e-12)
    assert by_symbol.loc["BBB", "net_profit_usd"] == pytest.approx(-5.0 - 2.0 - 0.5, rel=1e-12)
    assert results.open_lots["quantity_shares"].tolist() == [12.0, 4.0]
    assert results.open_lots["unrealised_usd"].tolist() == [24.0, 6.0]


def test_profit_is_explained_to_the_cent() -> None:
    metrics = backtest().metrics
    assert metrics.net_profit_usd == pytest.approx(31.1)
    assert metrics.realised_usd == 3.0
    assert metrics.unrealised_usd == 30.0
    assert (metrics.dividends_usd, metrics.interest_usd, metrics.borrow_fees_usd) == (3.0, 0.25, 0.1)
    assert metrics.commission_usd == 4.5
    assert metrics.fees_usd == pytest.approx(0.55)
    assert metrics.unexplained_usd == pytest.approx(0.0, abs=1e-9)


def test_what_is_not_booked_shows_as_unexplained() -> None:
    account = backtest().account_record.copy()
    account["dividends"] = 0.0
    assert backtest(account_record=account).metrics.unexplained_usd == pytest.approx(3.0)


def test_trading_numbers_by_hand() -> None:
    metrics = backtest().metrics
    assert (metrics.order_count, metrics.fill_count, metrics.trade_count, metrics.open_lot_count) == (6, 5, 2, 2)
    assert metrics.traded_usd == 500 + 200 + 208 + 205 + 102
    assert metrics.slippage_usd == pytest.approx(1.0 + 1.0 + 0.8 + 0.5)
    assert metrics.trading_cost_usd == pytest.approx(4.5 + 0.55 + 3.3)
    assert metrics.trading_cost_bps == pytest.approx(8.35 / 1215 * 10_000)
    assert metrics.turnover_annualised == pytest.approx(1215 / 2 / (sum(EQUITY) / 5) * 252 / 5)
    assert metrics.winning_trades_share == 0.5
    assert metrics.profit_factor == pytest.approx(7.05 / 7.5)
    assert (metrics.average_win_usd, metrics.average_loss_usd) == pytest.approx((7.05, -7.5))
    assert metrics.average_bars_held == 2.0


def test_exposures_by_hand() -> None:
    metrics = backtest().metrics
    gross = [0.0, 710 / 1027.5, 685 / 975.65, 300 / 1002.1, 432 / 1031.1]
    net = [0.0, 330 / 1027.5, 275 / 975.65, 300 / 1002.1, 432 / 1031.1]
    assert metrics.gross_exposure_mean == pytest.approx(sum(gross) / 5)
    assert metrics.gross_exposure_max == pytest.approx(max(gross))
    assert metrics.net_exposure_mean == pytest.approx(sum(net) / 5)
    assert metrics.sessions_invested_share == 0.8


def test_return_numbers_by_hand() -> None:
    metrics = backtest(risk_free_rate_annual=0.02).metrics
    excess = RETURNS - (1.02 ** (1 / 252) - 1)
    assert metrics.total_return == pytest.approx(0.0311)
    assert metrics.annualised_return == pytest.approx(1.0311 ** (252 / 5) - 1)
    assert metrics.volatility_annualised == pytest.approx(np.std(RETURNS, ddof=1) * math.sqrt(252))
    assert metrics.sharpe_ratio == pytest.approx(excess.mean() / np.std(RETURNS, ddof=1) * math.sqrt(252))
    assert metrics.max_drawdown == pytest.approx(975.65 / 1027.5 - 1)
    assert (metrics.drawdown_peak, metrics.drawdown_trough) == (date(2024, 1, 31), date(2024, 2, 1))
    assert metrics.drawdown_recovery == date(2024, 2, 5)
    assert metrics.calmar_ratio == pytest.approx((1.0311 ** (252 / 5) - 1) / (1 - 975.65 / 1027.5))
    assert metrics.best_session_return == pytest.approx(29.0 / 1002.1)
    assert metrics.winning_sessions_share == 0.75
    assert metrics.value_at_risk_95 is None  # five sessions have no worst twentieth


def test_a_market_that_never_closes_is_annualised_by_its_own_year() -> None:
    assert backtest(sessions_per_year=365).metrics.annualised_return == pytest.approx(1.0311 ** (365 / 5) - 1)


def test_a_ruined_account_keeps_its_results_and_has_no_returns() -> None:
    results = backtest(equity_usd=np.array([1000.0, 400.0, -20.0, -10.0, 5.0]))
    assert results.metrics.ruined_on == date(2024, 2, 1)
    assert results.metrics.sharpe_ratio is None
    assert results.metrics.total_return is None
    assert results.metrics.net_profit_usd == -995.0
    with pytest.raises(RiskError, match="-20"):
        _ = results.returns


def test_without_closes_there_are_no_exposures_but_trades() -> None:
    results = backtest(closes_usd=None)
    assert results.metrics.gross_exposure_mean is None
    assert len(results.trades) == 2


def test_closes_may_come_from_a_function_that_is_called_once() -> None:
    calls = []

    def closes() -> np.ndarray:
        calls.append(1)
        return backtest().closes_usd

    results = backtest(closes_usd=closes)
    assert results.metrics == backtest().metrics
    assert results.session_marks_usd[4].tolist() == [27.0, 41.0]
    assert len(calls) == 1


def test_a_simulation_that_stopped_early_is_read_to_where_it_came() -> None:
    early = backtest(
        equity_usd=np.array(EQUITY[:3]),
        cash_usd=np.array([1000.0, 697.5, 700.65]),
        fill_records=backtest().fill_records[:2],
        order_records=backtest().order_records[:2],
    )
    assert early.daily_equity.tolist() == list(EQUITY[:3])
    assert early.positions["AAA"].tolist() == [0.0, 10.0, 10.0]
    assert early.metrics.session_count == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"equity_usd": np.zeros(0)}, "0 values of equity"),
        ({"cash_usd": np.zeros(4)}, "5 values of equity, 4 of cash"),
        ({"fill_records": np.zeros(1, ACTION)}, "fill_records has dtype"),
        ({"symbols": ("AAA",)}, "2 positions for 1 symbols"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message) -> None:
    with pytest.raises(BacktestError, match=message):
        backtest(**changes)


def test_closes_of_another_shape_are_refused() -> None:
    with pytest.raises(BacktestError, match=r"closes have shape \(4, 2\); pass one row for each of 5 steps"):
        _ = backtest(closes_usd=np.zeros((4, 2))).metrics


def test_orders_are_shown_in_words() -> None:
    orders = backtest().orders
    last = orders.loc[5]
    assert (last["symbol"], last["order_type"], last["state"], last["reason"]) == (
        "BBB",
        "market",
        "expired",
        "end of session",
    )
    assert last["closed_at_utc"] == pd.Timestamp("2024-02-05 21:00", tz="UTC")
    assert pd.isna(last["expires_at_utc"])


def test_results_are_restored_from_parquet(tmp_path: Path) -> None:
    results = backtest()
    results.write_parquet(tmp_path / "made" / "run")
    restored = BacktestResults.read_parquet(tmp_path / "made" / "run")
    assert restored.equals(results)
    assert restored.metrics == results.metrics
    pd.testing.assert_frame_equal(restored.trades, results.trades)
    pd.testing.assert_frame_equal(restored.order_events, results.order_events)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["run"]


def test_folders_are_paths_or_texts(tmp_path: Path) -> None:
    backtest().write_parquet(str(tmp_path / "run"))
    assert BacktestResults.read_parquet(str(tmp_path / "run")).equals(backtest())
    with pytest.raises(BacktestError, match="the folder is int, expected a path"):
        backtest().write_parquet(7)


def test_the_frames_beside_the_records_can_be_read_by_others(tmp_path: Path) -> None:
    results = backtest()
    results.write_parquet(tmp_path / "run")
    for name, frame in results.to_frames().items():
        assert len(pd.read_parquet(tmp_path / "run" / f"{name}.parquet")) == len(frame), name
    trades = pd.read_parquet(tmp_path / "run" / "trades.parquet")
    assert trades["net_profit_usd"].sum() == pytest.approx(7.05 - 7.5)


def test_metrics_are_numbers_and_dates_in_their_frame(tmp_path: Path) -> None:
    backtest().write_parquet(tmp_path / "run")
    for metrics in (backtest().to_frames()["metrics"], pd.read_parquet(tmp_path / "run" / "metrics.parquet")):
        assert metrics["value"].dtype == np.float64
        assert metrics.loc["net_profit_usd", "value"] == pytest.approx(31.1)
        assert metrics.loc["trade_count", "value"] == 2
        assert metrics.loc["drawdown_trough", "date"] == pd.Timestamp("2024-02-01")
        assert metrics.loc[["drawdown_trough", "value_at_risk_95"], "value"].isna().all()
        assert metrics.loc[["net_profit_usd", "ruined_on"], "date"].isna().all()


def test_one_bit_of_difference_is_a_difference() -> None:
    other = backtest()
    changed = other.fill_records.copy()
    changed["price"][2] = np.nextafter(changed["price"][2], 100.0)
    assert backtest().equals(other)
    assert not backtest(fill_records=changed).equals(other)
    assert not backtest(settings={}).equals(other)


def test_a_folder_that_holds_something_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(BacktestError, match="holds something already"):
        backtest().write_parquet(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_results_that_cannot_be_worked_out_leave_nothing_behind(tmp_path: Path) -> None:
    odd = backtest(fill_records=fills(fill(0, 1, 3, 50.0)), closes_usd=None, lot_shares=4.0)
    with pytest.raises(RiskError, match="split"):
        odd.write_parquet(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_results_or_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BacktestError, match="no readable results"):
        BacktestResults.read_parquet(tmp_path)
    (tmp_path / "results.json").write_text('{"format_version": 99}', encoding="utf-8")
    with pytest.raises(BacktestError, match="has format 99"):
        BacktestResults.read_parquet(tmp_path)


def _simple() -> BacktestResults:
    """Two symbols bought and one sold in three sessions, nothing else happening.

    Cash 1000 - 10 x 50 - 1 - 4 x 40 - 1 = 338 at session 2, + 6 x 55 - 2 = 666 at session 3.
    """
    example = backtest()
    account = np.zeros_like(example.account_record)
    positions = example.position_records.copy()
    positions["quantity"], positions["mark"] = (4.0, 4.0), (56.0, 39.0)
    return backtest(
        closes_at=example.closes_at[:3],
        sessions=example.sessions[:4],
        account_record=account,
        position_records=positions,
        action_records=example.action_records[:0],
        fill_records=fills(
            fill(1, 1, 4, 40.0, commission=1.0),
            fill(0, 1, 4, 50.0, commission=0.5, order=1),
            fill(0, 1, 6, 50.0, commission=0.5, order=2),
            fill(0, 2, -6, 55.0, commission=1.5, fees=0.5, order=3),
        ),
        closes_usd=np.array([[50.0, NAN], [52.0, 41.0], [56.0, 39.0]]),
        equity_usd=np.array([1000.0, 338.0 + 520.0 + 164.0, 666.0 + 224.0 + 156.0]),
        cash_usd=np.array([1000.0, 338.0, 666.0]),
    )


@pytest.mark.long
def test_vectorbt_carries_the_same_fills_to_the_same_equity() -> None:
    portfolio = _simple().to_vectorbt()
    assert np.asarray(portfolio.value()) == pytest.approx([1000.0, 1022.0, 1046.0], rel=1e-12)
    assert np.asarray(portfolio.cash()) == pytest.approx([1000.0, 338.0, 666.0], rel=1e-12)
    assert portfolio.orders.count() == 3  # two fills of AAA in one step are one order
    assert portfolio.orders.records_readable["Fees"].sum() == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "booked 3.00 USD of dividends"),
        ({"account_record": np.zeros_like(backtest().account_record)}, "AAA was held over a split on 2024-02-02"),
        (
            {
                "account_record": np.zeros_like(backtest().account_record),
                "action_records": np.zeros(0, ACTION),
                "closes_usd": None,
            },
            "a close of every step is needed",
        ),
    ],
)
def test_what_vectorbt_has_no_word_for_is_refused(changes, message) -> None:
    with pytest.raises(BacktestError, match=message):
        backtest(**changes).to_vectorbt()


def test_a_purchase_and_a_sale_in_one_step_are_refused_for_vectorbt() -> None:
    both = fills(fill(0, 1, 4, 50.0), fill(0, 1, -2, 51.0))
    account = np.zeros_like(backtest().account_record)
    with pytest.raises(BacktestError, match="AAA was bought and sold in the step of 2024-01-31"):
        backtest(fill_records=both, account_record=account, action_records=np.zeros(0, ACTION)).to_vectorbt()


def test_an_account_on_margin_is_refused_for_vectorbt() -> None:
    simple = _simple()
    borrowed = simple.fill_records.copy()
    borrowed["quantity"] *= 3.0
    with pytest.raises(BacktestError, match="does not lend cash"):
        backtest(
            **{
                name: getattr(simple, name)
                for name in ("closes_at", "sessions", "equity_usd", "cash_usd", "closes_usd")
            },
            account_record=simple.account_record,
            action_records=simple.action_records,
            fill_records=borrowed,
        ).to_vectorbt()
