from __future__ import annotations

import dataclasses
import io
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aegis.backtesting.results import BacktestResults
from aegis.errors import ReportingError
from aegis.reporting.backtest_charts import draw_equity_and_drawdown
from aegis.reporting.backtest_report import html_page, pdf_bytes, write_backtest_report
from aegis.reporting.backtest_review import backtest_report
from aegis.reporting.backtest_sections import sections
from aegis.reporting.report import SIMULATED_LABEL
from aegis.reporting.theme import new_axes
from tests.unit.backtesting.five_sessions import SESSIONS, backtest
from tests.unit.reporting.test_pdf_report import page_texts

BENCHMARK = pd.Series([0.0, 0.5, -0.5, 1.0, 0.25], index=pd.DatetimeIndex(SESSIONS), name="SIMX")
NO_BREAK = "\u00a0"


@pytest.fixture(scope="module")
def results() -> BacktestResults:
    return backtest(risk_free_rate_annual=0.02)


@pytest.fixture(scope="module")
def printed(results: BacktestResults) -> dict[str, str]:
    """Every label of the page's figures and two-column tables with what stands beside it."""
    found: dict[str, str] = {}
    for section in sections(backtest_report(results, benchmark_returns=BENCHMARK)):
        found[section.anchor] = section.text
        for figure in section.figures:
            found[figure.label] = figure.value
            found[f"{figure.label}, context"] = figure.context
        for table in section.tables:
            for row in table.rows:
                for column in range(0, len(row) - 1, 2 if len(row) == 4 else len(row)):
                    found.setdefault(f"{table.title}: {row[column]}", row[column + 1])
                if len(row) == 3:
                    found[f"{table.title}, third: {row[0]}"] = row[2]
    return found


def as_number(text: str) -> float:
    return float(re.sub(rf"[,$%{NO_BREAK}]|bps", "", text).strip())


def test_every_printed_number_is_recomputed_from_fills_and_equity(results, printed) -> None:
    """Recompute with pandas from the fills and equity frames alone, sharing no code with the metrics."""
    fills, equity = results.fills, results.daily_equity
    levels = pd.concat([pd.Series([1000.0]), equity.reset_index(drop=True)])
    returns = levels.pct_change().dropna()
    excess = returns - (1.02 ** (1 / 252) - 1)
    drawdown = (levels / levels.cummax() - 1).min()
    growth = equity.iloc[-1] / 1000.0
    annual = growth ** (252 / 5) - 1
    value = fills["quantity_shares"] * fills["price_usd"]
    slippage = (fills["quantity_shares"] * (fills["price_usd"] - fills["reference_price_usd"])).sum()
    cost = slippage + fills["commission_usd"].sum() + fills["fees_usd"].sum()
    # Trades by hand: AAA 8 at 25 -> 26 with 0.95 of costs, BBB 5 short at 40 -> 41 with 2.50.
    won, lost = 8.0 - 0.95, -5.0 - 2.5
    expected = {
        "Total return": (growth - 1) * 100,
        "Annualised return": annual * 100,
        "Sharpe ratio": excess.mean() / returns.std() * math.sqrt(252),
        "Maximum drawdown": drawdown * 100,
        "Net profit": equity.iloc[-1] - 1000.0,
        "Trades": 2,
        "Profit factor": won / -lost,
        "Trading cost": cost / value.abs().sum() * 10_000,
        "Returns and risk: Volatility, annualised": returns.std() * math.sqrt(252) * 100,
        "Returns and risk: Sortino ratio": excess.mean()
        / math.sqrt((excess.clip(upper=0) ** 2).mean())
        * math.sqrt(252),
        "Returns and risk: Calmar ratio": annual / -drawdown,
        "Returns and risk: Sessions that gained": (returns > 0).sum() / (returns != 0).sum() * 100,
        "All trades: Won, of those decided": 50,
        "All trades: Average win, USD": won,
        "All trades: Average loss, USD": lost,
        "All trades: Average bars held": 2,
        "All trades: Lots still open": 2,
        "All trades: Traded, USD": value.abs().sum(),
        "All trades: Turnover, one-way, a year": value.abs().sum() / 2 / equity.mean() * 252 / 5,
        "Where the profit came from: Closed trades: prices, with slippage and impact": 8.0 - 5.0,
        "Where the profit came from: Open lots: prices, with slippage and impact": 12 * 2.0 + 4 * 1.5,
        "Where the profit came from: Dividends": 10 * 0.3,
        "Where the profit came from: Interest": 0.25,
        "Where the profit came from: Borrow fees": -0.1,
        "Where the profit came from: Commission": -fills["commission_usd"].sum(),
        "Where the profit came from: Regulatory fees": -fills["fees_usd"].sum(),
        "Where the profit came from: Not explained": 0.0,
        "Where the profit came from: Net profit": equity.iloc[-1] - 1000.0,
        "Exposure at the close, share of equity: Gross, largest": 685 / 975.65 * 100,
        "Exposure at the close, share of equity: Gross, mean": (
            (710 / 1027.5 + 685 / 975.65 + 300 / 1002.1 + 432 / 1031.1) / 5 * 100
        ),
        "Exposure at the close, share of equity: Net, mean": (
            (330 / 1027.5 + 275 / 975.65 + 300 / 1002.1 + 432 / 1031.1) / 5 * 100
        ),
        "Exposure at the close, share of equity: Sessions with a position": 80,
    }
    for label, number in expected.items():
        text = printed[label]
        decimals = len(text.partition(".")[2].rstrip(f"{NO_BREAK}% bps"))
        assert as_number(text) == pytest.approx(number, abs=0.5 * 10**-decimals + 1e-9), label
    assert printed["All trades: Orders / fills"] == "6 / 5"
    assert printed["Returns and risk: Value at risk, 95 %"] == "n/a"
    assert printed["Returns and risk: Expected shortfall, 95 %"] == "n/a"
    best, worst = returns.max() * 100, returns.min() * 100
    best_and_worst = f"{best:+.2f}{NO_BREAK}% / {worst:+.2f}{NO_BREAK}%"
    assert printed["Returns and risk: Best / worst session"] == best_and_worst
    assert f"${cost:.2f}" in printed["costs"]
    assert f"${slippage:.2f}" in printed["costs"]
    assert printed["Returns and risk: Its peak, trough and recovery"] == "2024-01-31 · 2024-02-01 · 2024-02-05"


def test_the_benchmark_is_measured_over_the_same_sessions(printed) -> None:
    # 1, 1.5, 0.75, 1.5, 1.875: +87.5 %, deepest fall by half.
    assert printed["Returns and risk, third: Total return"] == f"+87.50{NO_BREAK}%"
    assert printed["Returns and risk, third: Maximum drawdown"] == f"-50.00{NO_BREAK}%"
    assert printed["Total return, context"] == f"SIMX +87.5{NO_BREAK}%"


def test_months_compound_their_sessions(results) -> None:
    months = backtest_report(results, benchmark_returns=BENCHMARK).months.iloc[0]
    assert months[1] == pytest.approx(0.0275)
    assert months[2] == pytest.approx(1031.1 / 1027.5 - 1)
    assert math.isnan(months[3])
    assert months["year_return"] == pytest.approx(0.0311)
    assert months["benchmark_return"] == pytest.approx(0.875)


def test_last_trades_are_shown_newest_first(results) -> None:
    report = backtest_report(results, trades_shown=1)
    assert report.last_trades["symbol"].tolist() == [results.trades["symbol"].iloc[-1]]
    both = backtest_report(results).last_trades
    assert both.index.tolist() == [1, 0]


def test_the_page_says_what_it_is_and_loads_nothing(results) -> None:
    page = html_page(backtest_report(results, benchmark_returns=BENCHMARK))
    assert "<h1>by hand</h1>" in page
    assert f'<p class="label" role="note">{SIMULATED_LABEL}</p>' in page
    assert "2024-01-30 to 2024-02-05 · 5 sessions · 2 symbols · benchmark SIMX" in page
    assert "participation rate" in page
    assert "code abc123" in page
    assert not re.search(r"<script|<link|<img|<iframe|url\(http|@import", page)
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize(("benchmark", "cells"), [(None, 14), (BENCHMARK, 15)])
def test_the_year_is_bold_whatever_stands_beside_it(results, benchmark, cells) -> None:
    page = html_page(backtest_report(results, benchmark_returns=benchmark))
    (table,) = re.findall(r'<table class="heat">(.*?)</table>', page, flags=re.DOTALL)
    found = re.findall(r"<td([^>]*)>([^<]*)</td>", table)
    assert len(found) == cells
    assert [text for attributes, text in found if "strong" in attributes] == ["2024", "3.1"]


def test_equity_and_drawdown_are_drawn_over_the_same_times(results) -> None:
    figure, axes = new_axes(8.0, 5.0)
    draw_equity_and_drawdown(axes, backtest_report(results))
    above, below = axes.child_axes
    assert above.get_xlim() == below.get_xlim()
    figure.draw_without_rendering()
    assert (above.bbox.x0, above.bbox.x1) == (below.bbox.x0, below.bbox.x1)
    assert [line.get_xdata()[-1] for line in (above.lines[0], below.lines[0])] == [
        np.datetime64("2024-02-05T21:00")
    ] * 2


def test_the_paper_shortens_no_setting() -> None:
    financing = "Financing: " + ", ".join(f"a_rate_of_number_{k} 0.0{k}" for k in range(9))
    long = backtest(settings={"costs": {"financing": financing}, "rules": {"max_leverage": math.inf}})
    shown = " ".join(" ".join(page.split()) for page in page_texts(pdf_bytes(backtest_report(long))))
    assert all(f"a rate of number {k} 0.0{k}" in shown for k in range(9))
    assert "max leverage without bound" in shown


@pytest.mark.parametrize("years", range(2, 12))
def test_no_heading_stands_on_another_page_than_its_first_picture(years: int) -> None:
    """One more year is one more row above the chapter of trades."""
    report = backtest_report(backtest())
    longer = dataclasses.replace(report, months=pd.concat([report.months] * years))
    (page,) = [page for page in page_texts(pdf_bytes(longer)) if "Times are those at which" in page]
    assert "Trades by net return" in page


def test_trades_name_entry_and_exit_alike(results) -> None:
    columns = sections(backtest_report(results))[2].tables[1].columns
    assert columns[3:7] == ("Entry", "Entry, USD", "Exit", "Exit, USD")


def test_names_are_escaped() -> None:
    page = html_page(backtest_report(backtest(strategy="<b>cross</b> & co")))
    assert "&lt;b&gt;cross&lt;/b&gt; &amp; co" in page
    assert "<b>cross" not in page


def test_real_prices_carry_no_warning() -> None:
    page = html_page(backtest_report(backtest(is_simulated=False, source="files")))
    assert "SIMULATED" not in page
    assert "Prices: files" in page


def test_the_same_results_make_the_same_page(results) -> None:
    assert html_page(backtest_report(results)) == html_page(backtest_report(backtest(risk_free_rate_annual=0.02)))


def test_a_ruined_account_is_reported_as_one() -> None:
    report = backtest_report(backtest(equity_usd=np.array([1000.0, 400.0, -20.0, -10.0, 5.0])))
    page = html_page(report)
    assert "The account was ruined: its equity was zero or less at the close of 2024-02-01" in page
    assert report.months.empty


def test_a_backtest_without_trades_or_closes_has_a_report_too() -> None:
    still = backtest()
    quiet = backtest(
        fill_records=still.fill_records[:0], order_records=still.order_records[:0], closes_usd=None,
        action_records=still.action_records[:0], equity_usd=np.full(5, 1000.0), cash_usd=np.full(5, 1000.0),
    )  # fmt: skip
    page = html_page(backtest_report(quiet))
    assert "No trade was closed." in page
    assert "no trade was closed" in page


def test_each_format_writes_its_files(tmp_path: Path, results) -> None:
    paths = write_backtest_report(results, tmp_path / "report", ("html", "pdf", "csv"), benchmark_returns=BENCHMARK)
    assert set(paths) == {
        "backtest.html", "backtest.pdf", "metrics.csv", "equity.csv", "monthly_returns.csv", "trades.csv", "fills.csv",
        "orders.csv",
    }  # fmt: skip
    assert paths["backtest.pdf"].read_bytes().startswith(b"%PDF")
    trades = pd.read_csv(paths["trades.csv"])
    assert trades["net_profit_usd"].tolist() == results.trades["net_profit_usd"].tolist()
    assert set(trades["data_label"]) == {SIMULATED_LABEL}
    metrics = pd.read_csv(paths["metrics.csv"]).set_index("metric")
    assert float(metrics.loc["total_return", "value"]) == results.metrics.total_return
    assert float(metrics.loc["total_return", "benchmark"]) == pytest.approx(0.875)
    fills = pd.read_csv(io.StringIO(paths["fills.csv"].read_text(encoding="utf-8")))
    assert fills["slippage_usd"].sum() == pytest.approx(3.3)


def test_html_alone_is_the_default(tmp_path: Path, results) -> None:
    write_backtest_report(results, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["backtest.html"]


def test_an_unknown_format_writes_nothing(tmp_path: Path, results) -> None:
    with pytest.raises(ReportingError, match=r"formats \['docx'\] are unknown; choose from \['csv', 'html', 'pdf'\]"):
        write_backtest_report(results, tmp_path / "report", ("html", "docx"))
    assert not (tmp_path / "report").exists()


def test_a_benchmark_that_lacks_a_session_is_refused(results) -> None:
    with pytest.raises(ReportingError, match="benchmark SIMX: no return for 1 of 5 sessions, the first is 2024-02-01"):
        backtest_report(results, benchmark_returns=BENCHMARK.drop(pd.Timestamp("2024-02-01")))
