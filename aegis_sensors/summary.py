"""What a person reads after a run: what was decided, how it went, what was refused, where to look.

Belongs here: the words. Every number is a field of the performance report or a count of the run.
"""

from __future__ import annotations

import pandas as pd
from rich.console import Console
from rich.table import Table

from aegis.reporting.printing import count, number, percent, signed_percent, usd
from aegis.reporting.report import PerformanceReport
from aegis.workspace import Workspace
from aegis_sensors.whole_chain import ChainRun

_SHOWN_EVENTS = 5


def print_summary(console: Console, report: PerformanceReport, workspace: Workspace, run: ChainRun | None) -> None:
    """Print the summary of `report`, and of the run that led to it, if one was asked for."""
    identity = report.identity
    console.print()
    console.rule(f"[bold]Aegis[/bold] · {identity.workspace} · {identity.data_label}")
    if run is not None:
        console.print(_run_line(run))
    console.print(
        f"Traded from {report.first_session} to {report.last_session}: {count(report.session_count)} sessions, account "
        f"{identity.account}, {usd(report.first_equity_usd)} became {usd(report.last_equity_usd)}."
    )
    console.print(_performance(report))
    trading, checks, risk = report.trading, report.data_checks, report.risk
    console.print(
        f"Decided: {count(trading.orders_approved)} orders approved, {count(trading.orders_refused)} refused by the "
        f"gate, "
        f"{count(trading.fill_count)} fills; turnover {number(trading.turnover_annualised, 1)} x equity a year."
    )
    console.print(
        f"Costs: {usd(trading.cost_usd)} (slippage {usd(trading.slippage_usd)}, "
        f"commission {usd(trading.commission_usd)}), "
        f"{number(trading.cost_bps, 1)} bps of what was traded."
    )
    console.print(
        f"Now: {report.position_count} positions, gross exposure {percent(risk.gross_exposure)}, one-session 95 % "
        f"value at "
        f"risk {percent(risk.value_at_risk_95)}, breakers {risk.breaker_state or 'unknown'}."
    )
    console.print(
        f"Data checks: {count(checks.passed)} of {count(checks.evaluations)} passed, {count(checks.warned)} warned, "
        f"{count(checks.blocked)} blocked; {count(checks.sessions_blocked_by_data)} sessions blocked by their data, "
        f"{count(checks.sessions_refused_by_gate)} refused by the gate, "
        f"breakers tripped in {count(risk.sessions_tripped)}."
    )
    _print_events(console, report)
    console.print(f"Report: {workspace.reports}")
    console.print("Dagster UI with all of this history: [bold]make ui[/bold], then http://localhost:3000")


def _run_line(run: ChainRun) -> str:
    if not run.sessions:
        return "Nothing to do: every session is materialised."
    return (
        f"Materialised {count(len(run.sessions))} sessions, {run.sessions[0]} to {run.sessions[-1]}, "
        f"in {run.seconds:.1f} s (Dagster run {run.run_id[:8]})."
    )


def _performance(report: PerformanceReport) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("", "return a year", "volatility", "Sharpe", "max drawdown", "total"):
        table.add_column(heading, justify="left" if not heading else "right")
    named = (
        (f"account {report.identity.account}", report.account),
        (report.identity.benchmark_symbol, report.benchmark),
    )
    for label, figures in named:
        if figures is not None:
            table.add_row(
                label,
                signed_percent(figures.annualised_return),
                percent(figures.volatility_annualised),
                number(figures.sharpe_ratio),
                percent(figures.max_drawdown),
                signed_percent(figures.total_return),
            )
    return table


def _print_events(console: Console, report: PerformanceReport) -> None:
    for title, frame in (("Breaker", report.breaker_trips), ("Blocked", report.blocked_sessions)):
        for row in frame.head(_SHOWN_EVENTS).to_dict("records"):
            words = ", ".join(f"{str(name).replace('_', ' ')} {_word(value)}" for name, value in row.items())
            console.print(f"  {title}: {words}", style="yellow", soft_wrap=True, highlight=False)
        if len(frame) > _SHOWN_EVENTS:
            console.print(f"  {title}: and {len(frame) - _SHOWN_EVENTS} more, see the report", style="yellow")


def _word(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return "open" if pd.isna(value) else f"{value:%Y-%m-%d}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
