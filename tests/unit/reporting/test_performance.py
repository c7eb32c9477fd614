from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.errors import ReportingError, SchemaMismatch
from aegis.reporting.performance import ROLLING_WINDOW_SESSIONS, performance_report
from aegis.reporting.report import PerformanceReport, ReportInputs
from aegis.reporting.sections import sections as report_sections


def days(column: pd.Series) -> list[str]:
    return [f"{value:%Y-%m-%d}" for value in column]


def test_account_figures_are_those_of_the_daily_returns(report: PerformanceReport) -> None:
    account = report.account
    assert (report.first_session, report.last_session, report.session_count) == (
        date(2024, 1, 30),
        date(2024, 2, 5),
        5,
    )
    assert account.total_return == -0.0625
    assert account.max_drawdown == -0.5
    assert (account.best_session, account.worst_session, account.hit_rate) == (1.0, -0.5, 0.5)
    # From the close of the first session 1/4, -1/2, 1, -1/4, mean 1/8; squared deviations
    # (1/8)^2 + (5/8)^2 + (7/8)^2 + (3/8)^2 = (1 + 25 + 49 + 9) / 64 = 1.3125, over 3, root, times root of 252
    assert account.volatility_annualised == pytest.approx((1.3125 / 3 * 252) ** 0.5)
    assert account.sharpe_ratio == pytest.approx(0.125 / (1.3125 / 3) ** 0.5 * 252**0.5)
    assert account.annualised_return == pytest.approx(0.9375 ** (252 / 4) - 1)


def test_what_was_earned_before_the_first_decision_is_left_out(inputs: ReportInputs) -> None:
    pnl = inputs.daily_pnl.copy()
    pnl.loc[0, ["equity_change_usd", "price_pnl_usd", "return_daily"]] = [200.0, 200.0, 0.25]
    report = performance_report(dataclasses.replace(inputs, daily_pnl=pnl))
    assert report.first_equity_usd == 1000.0
    assert report.account.total_return == -0.0625
    assert report.pnl.equity_change_usd == -62.5 == report.last_equity_usd - report.first_equity_usd


def test_benchmark_is_measured_from_its_first_return(report: PerformanceReport) -> None:
    assert report.benchmark is not None
    assert report.benchmark.total_return == 0.5
    assert report.benchmark.max_drawdown == -0.5
    assert report.sessions["benchmark_growth"].tolist() == [1.0, 1.5, 0.75, 1.5, 1.5]
    assert report.sessions["benchmark_drawdown"].tolist() == [0.0, 0.0, -0.5, 0.0, 0.0]


def test_the_benchmark_is_given_no_session_that_the_account_could_not_trade(inputs: ReportInputs) -> None:
    """The account decides at the close of the first session: what the benchmark returned in it lies before."""
    pnl = inputs.daily_pnl.copy()
    pnl.loc[0, "benchmark_return_daily"] = -0.5
    report = performance_report(dataclasses.replace(inputs, daily_pnl=pnl))
    assert report.benchmark is not None
    # 1, 1.5, 0.75, 1.5, 1.5 from the first close on: four returns, as the account
    assert report.benchmark.total_return == 0.5
    assert report.benchmark.annualised_return == pytest.approx(1.5 ** (252 / 4) - 1)
    assert report.benchmark.max_drawdown == -0.5
    assert report.sessions["benchmark_growth"].tolist() == [1.0, 1.5, 0.75, 1.5, 1.5]
    assert report.sessions["benchmark_drawdown"].tolist() == [0.0, 0.0, -0.5, 0.0, 0.0]
    assert report.sessions["growth"].tolist() == [1.0, 1.25, 0.625, 1.25, 0.9375]


def test_a_first_session_in_the_year_before_makes_no_year_of_its_own(inputs: ReportInputs) -> None:
    frames = {}
    for name in ("account_values", "daily_pnl"):
        frame = getattr(inputs, name).copy()
        frame.loc[0, "session"] = pd.Timestamp("2023-12-29")
        frames[name] = frame
    frames["daily_pnl"].loc[0, "benchmark_return_daily"] = -0.5
    report = performance_report(dataclasses.replace(inputs, **frames))
    assert report.months[["year", "year_return", "benchmark_return"]].to_numpy().tolist() == [[2024, -0.0625, 0.5]]
    assert report.pnl_by_year["year"].tolist() == [2024]


def test_a_later_session_without_a_benchmark_return_returned_nothing(inputs: ReportInputs) -> None:
    pnl = inputs.daily_pnl.copy()
    pnl.loc[2, "benchmark_return_daily"] = np.nan
    pnl.loc[3, "benchmark_return_daily"] = 0.0
    report = performance_report(dataclasses.replace(inputs, daily_pnl=pnl))
    assert report.benchmark is not None
    assert report.benchmark.total_return == 0.5
    assert report.sessions["benchmark_growth"].tolist() == [1.0, 1.5, 1.5, 1.5, 1.5]


def test_relative_figures_use_the_sessions_that_both_have(report: PerformanceReport) -> None:
    # account 1/4, -1/2, 1, -1/4 against 1/2, -1/2, 1, 0; deviations from their means 1/8 and 1/4:
    # products 0.03125 + 0.46875 + 0.65625 + 0.09375 = 1.25, squares of the benchmark's 2 (0.0625 + 0.5625) = 1.25
    assert report.relative is not None
    assert report.relative.beta == pytest.approx(1.0)
    assert report.relative.alpha_annualised == pytest.approx((0.125 - 0.25) * 252)
    # active returns -1/4, 0, 0, -1/4: mean -1/8, deviations 1/8 each
    assert report.relative.information_ratio == pytest.approx(-0.125 / (4 * 0.125**2 / 3) ** 0.5 * 252**0.5)


def test_a_benchmark_without_returns_is_left_out(inputs: ReportInputs) -> None:
    pnl = inputs.daily_pnl.assign(benchmark_return_daily=np.nan)
    report = performance_report(dataclasses.replace(inputs, daily_pnl=pnl))
    assert report.benchmark is None
    assert report.relative is None
    assert report.months["benchmark_return"].isna().all()


def test_months_and_years_compound(report: PerformanceReport) -> None:
    (year,) = report.months.to_dict("records")
    assert (year["year"], year[1], year[2]) == (2024, 0.25, -0.25)
    assert np.isnan(year[3])
    assert (year["year_return"], year["benchmark_return"]) == (-0.0625, 0.5)


def test_drawdowns_are_told_apart_and_sorted_by_depth(report: PerformanceReport) -> None:
    assert report.drawdowns["depth"].tolist() == [-0.5, -0.25]
    assert days(report.drawdowns["peak_session"]) == ["2024-01-31", "2024-02-02"]
    assert days(report.drawdowns["trough_session"]) == ["2024-02-01", "2024-02-05"]
    assert report.drawdowns["sessions"].tolist() == [2, 1]
    assert days(report.drawdowns["recovery_session"][:1]) == ["2024-02-02"]
    assert report.drawdowns["recovery_session"].isna().tolist() == [False, True]


def test_parts_of_the_pnl_add_up_to_the_change(report: PerformanceReport) -> None:
    pnl = report.pnl
    assert pnl.equity_change_usd == -62.5
    assert (pnl.price_usd, pnl.trading_usd, pnl.dividends_usd, pnl.interest_usd) == (-310.0, 252.0, 5.0, 5.0)
    assert (pnl.slippage_usd, pnl.commission_usd, pnl.residual_usd) == (-12.0, -2.5, 0.0)
    (year,) = report.pnl_by_year.to_dict("records")
    assert (year["equity_change_usd"], year["traded_usd"]) == (-62.5, 1000.0)


def test_trading_costs_and_turnover(report: PerformanceReport) -> None:
    trading = report.trading
    assert (trading.fill_count, trading.traded_usd, trading.cost_usd) == (3, 1000.0, 14.5)
    assert trading.cost_bps == pytest.approx(145.0)
    # half of 1000 over the mean equity 1012.50, times 252 / 5
    assert trading.turnover_annualised == pytest.approx(500 / 1012.5 * 50.4)
    assert (trading.orders_approved, trading.orders_refused) == (3, 1)
    assert report.refused_orders[["client_order_id", "symbol"]].to_numpy().tolist() == [["o3", "AAA"]]


def test_book_at_the_last_close_leaves_out_empty_positions(report: PerformanceReport) -> None:
    assert report.position_count == 2
    assert report.positions["symbol"].tolist() == ["AAA", "BBB"]
    assert report.positions["sector"].tolist() == ["Software", "Unlisted"]
    assert report.risk.gross_exposure == pytest.approx(0.64)
    assert report.risk.net_exposure == pytest.approx(0.32)
    assert report.risk.largest_weight == pytest.approx(0.48)
    assert report.sectors["sector"].tolist() == ["Software", "Unlisted"]
    assert report.sessions["gross_exposure"].tolist() == pytest.approx([0.0, 0.48, 0.0, 0.0, 0.64])


def test_last_orders_come_newest_first(report: PerformanceReport) -> None:
    assert report.last_orders["client_order_id"].tolist() == ["o4", "o3", "o1", "o2"]


def test_each_return_is_held_against_the_forecast_of_the_close_before(report: PerformanceReport) -> None:
    assert days(report.value_at_risk["session"]) == ["2024-02-01", "2024-02-02", "2024-02-05"]
    assert report.value_at_risk["forecast"].tolist() == [0.3, 0.6, 0.2]
    assert report.value_at_risk["exceeded"].tolist() == [True, False, True]
    assert (report.risk.forecasts_compared, report.risk.exceedances) == (3, 2)
    assert report.risk.exceedances_expected == pytest.approx(0.15)


def test_breaker_trips_are_runs_of_sessions(report: PerformanceReport) -> None:
    (trip,) = report.breaker_trips.to_dict("records")
    assert (f"{trip['first_session']:%m-%d}", f"{trip['last_session']:%m-%d}") == ("02-01", "02-02")
    assert (trip["sessions"], trip["drawdown"], trip["exposure_scale"]) == (2, -0.5, 0.5)
    assert report.risk.sessions_tripped == 2


def test_a_daily_loss_that_becomes_a_drawdown_is_one_trip(inputs: ReportInputs) -> None:
    states = ["tripped: daily loss", "armed", "tripped: daily loss", "tripped: drawdown", "armed"]
    risk = inputs.risk_report.assign(breaker_state=states)
    trips = performance_report(dataclasses.replace(inputs, risk_report=risk)).breaker_trips
    assert trips["sessions"].tolist() == [2, 1]
    assert trips["breaker_state"].tolist() == ["tripped: drawdown", "tripped: daily loss"]
    assert days(trips["first_session"]) == ["2024-02-01", "2024-01-30"]


def test_checks_and_gate_are_counted_by_session(report: PerformanceReport) -> None:
    checks = report.data_checks
    assert (checks.evaluations, checks.passed, checks.warned, checks.blocked) == (4, 2, 1, 1)
    assert (checks.sessions_blocked_by_data, checks.sessions_refused_by_gate) == (1, 1)
    assert checks.sessions_reduce_only == 1  # the session that was refused as well counts as refused
    assert report.blocked_sessions["by"].tolist() == ["data check", "pre-trade gate"]
    gate = report.gate_rules.set_index("rule")
    assert gate.loc["data_checks_passed"].tolist() == [1, 0, 0, 1, 1]
    assert gate.loc["no_breaker_is_tripped"].tolist() == [1, 2, 0, 0, 0]


def test_rolling_figures_wait_for_a_full_window(report: PerformanceReport) -> None:
    assert ROLLING_WINDOW_SESSIONS > 5
    assert report.rolling.empty


def test_one_session_makes_a_report_without_ratios(inputs: ReportInputs) -> None:
    names = [field.name for field in dataclasses.fields(inputs) if field.name not in ("identity", "listings")]
    first = {name: getattr(inputs, name) for name in names}
    first = {name: rows[rows["session"] == "2024-01-30"] for name, rows in first.items()}
    report = performance_report(dataclasses.replace(inputs, **first))
    assert report.account.total_return == 0.0
    assert report.account.volatility_annualised is None
    assert report.account.sharpe_ratio is None
    assert (report.account.annualised_return, report.account.best_session) == (None, None)
    assert report.sessions["growth"].tolist() == [1.0]
    assert report.months.empty
    assert report.pnl.equity_change_usd == 0.0
    assert report.benchmark is None
    assert report.trading.cost_bps is None
    assert report.risk.forecasts_compared == 0
    assert report.drawdowns.empty


def test_no_session_is_refused_with_the_remedy(inputs: ReportInputs) -> None:
    with pytest.raises(ReportingError, match="account paper has no session"):
        performance_report(dataclasses.replace(inputs, account_values=inputs.account_values.iloc[:0]))


def test_another_accounts_rows_are_refused(inputs: ReportInputs) -> None:
    fills = inputs.fills.assign(account="other")
    with pytest.raises(ReportingError, match=r"fills also holds \['other'\]"):
        performance_report(dataclasses.replace(inputs, fills=fills))


def test_pnl_of_other_sessions_is_refused(inputs: ReportInputs) -> None:
    with pytest.raises(ReportingError, match="account_values has 5 sessions and daily_pnl 4"):
        performance_report(dataclasses.replace(inputs, daily_pnl=inputs.daily_pnl.iloc[1:]))


def test_a_missing_return_is_refused(inputs: ReportInputs) -> None:
    pnl = inputs.daily_pnl.copy()
    pnl.loc[2, "return_daily"] = np.nan
    with pytest.raises(SchemaMismatch, match="return_daily"):
        performance_report(dataclasses.replace(inputs, daily_pnl=pnl))


def test_a_long_history_in_which_nobody_left_is_doubted_in_the_report(inputs: ReportInputs) -> None:
    """The first session lies ten years before the others; twelve instruments are listed all the time."""
    early = {
        name: getattr(inputs, name).replace({"session": {pd.Timestamp(2024, 1, 30): pd.Timestamp(2014, 1, 30)}})
        for name in ("account_values", "daily_pnl")
    }
    rows = [{**inputs.listings.iloc[0], "symbol": f"S{n}", "last_session": pd.NaT, "tradable": True} for n in range(12)]
    listed = pd.DataFrame(rows).assign(first_session=pd.Timestamp(2014, 1, 2))
    report = performance_report(dataclasses.replace(inputs, listings=listed, **early))
    assert len(report.data_warnings) == 1
    (about,) = [section for section in report_sections(report) if section.anchor == "about"]
    assert about.tables[1].rows == (report.data_warnings,)


def test_a_history_that_gives_no_reason_to_doubt_it_shows_none(report: PerformanceReport) -> None:
    assert report.data_warnings == ()
