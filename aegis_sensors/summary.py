"""What a person reads after a run: what was decided, how it went, what was refused, where to look.

Belongs here: the words, laid out for a terminal of 80 columns. Every number is a field of the performance report or a
count of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aegis.live_trading.kill_switch import KillSwitchStatus
from aegis.reporting.printing import count, day, number, percent, signed_percent, usd
from aegis.reporting.report import PerformanceReport
from aegis.workspace import Workspace
from aegis_sensors.make_commands import make_command
from aegis_sensors.whole_chain import ChainRun

_SHOWN_EVENTS = 5
_SHOWN_NOTES = 5


def print_summary(
    console: Console,
    report: PerformanceReport,
    workspace: Workspace,
    *,
    kill_switch: KillSwitchStatus,
    run: ChainRun | None,
    notes: Sequence[str],
    remarks: Sequence[str] = (),
) -> None:
    """Print the summary of `report`, and of the run that led to it, if one was asked for.

    Parameters
    ----------
    console : Console
    report : PerformanceReport
    workspace : Workspace
    kill_switch : KillSwitchStatus
        Of the account, as it stands now.
    run : ChainRun or None
        None prints no claim about a run.
    notes : sequence of str
        What the source left out or does not have.
    remarks : sequence of str
        What a reader of the figures should know, such as why money is idle.
    """
    identity = report.identity
    console.print()
    console.rule(f"[bold]Aegis[/bold] · {identity.workspace} · {identity.data_label}")
    if run is not None:
        console.print(_run_line(run), highlight=False)
    console.print(
        f"Account {identity.account}, {_counted(report.session_count, 'session')} from {report.first_session} to "
        f"{report.last_session}.\n{usd(report.first_equity_usd)} USD became {usd(report.last_equity_usd)} USD.",
        highlight=False,
    )
    if kill_switch.is_engaged:
        release = make_command('release REASON="..."')
        console.print(
            Text(f"KILL SWITCH {_told(kill_switch)}. No new order leaves until `{release}`.", style="bold red")
        )
    console.print()
    console.print(_performance(report))
    console.print()
    console.print(_figures(report))
    events = [*_breaker_trips(report), *_stopped_sessions(report), *_refused_orders(report)]
    if events:
        console.print()
        console.print(_rows(events), style="yellow", highlight=False)
    for remark in remarks:
        console.print()
        console.print(Text(remark), highlight=False)
    _print_notes(console, notes)
    console.print()
    console.print(f"Report: {workspace.reports}", soft_wrap=True, highlight=False)
    console.print(
        Text.assemble(
            "All of this history in the Dagster UI: ", (make_command("ui"), "bold"), ", then http://localhost:3000"
        ),
        soft_wrap=True,
        highlight=False,
    )


def print_failures(console: Console, run: ChainRun) -> None:
    """Print the steps and checks that failed, if any did."""
    for failure in run.failures:
        console.print(Text(f"failed: {failure}", style="red"), soft_wrap=True)
    for check in run.failed_checks:
        word, style = ("check failed", "red") if check.is_error else ("warning", "yellow")
        console.print(Text(f"{word}: {check.name}: {check.detail}", style=style), soft_wrap=True)
    if not run.is_complete:
        console.print(
            Text(f"Everything that was materialised before stays as it was; `{make_command('ui')}` shows the run."),
            soft_wrap=True,
        )


def _told(kill_switch: KillSwitchStatus) -> str:
    word, _, rest = kill_switch.told.partition(" ")
    return f"{word.upper()} {rest}"


def _run_line(run: ChainRun) -> str:
    if not run.run_id:
        return (
            "Nothing to do: every session is materialised. What was decided stays when code or settings change; "
            f"`{make_command('run FROM=<date>')}` decides again, `make run WORKSPACE=<name>` starts a history beside "
            "this one."
        )
    made = f"in {run.seconds:.1f} s (Dagster run {run.run_id[:8]})."
    if not run.sessions:
        return f"No session was missing. Made the marts and the report again, which were behind, {made}"
    sessions = _counted(len(run.sessions), "session")
    return f"Materialised {sessions}, {run.sessions[0]} to {run.sessions[-1]}, {made}"


def _performance(report: PerformanceReport) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for heading in ("return a year", "volatility", "Sharpe", "max drawdown", "total"):
        table.add_column(heading, justify="right", no_wrap=True)
    named = (("account", report.account), (report.identity.benchmark_symbol, report.benchmark))
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


def _figures(report: PerformanceReport) -> Table:
    trading, checks, risk = report.trading, report.data_checks, report.risk
    orders = (
        f"{count(trading.orders_approved)} approved, {count(trading.orders_refused)} refused, "
        f"{count(trading.fill_count)} filled; turnover {number(trading.turnover_annualised, 1)} x equity a year"
    )
    costs = (
        f"{usd(trading.cost_usd)} USD ({usd(trading.slippage_usd)} slippage, {usd(trading.commission_usd)} "
        f"commission), {number(trading.cost_bps, 1)} bps of turnover"
    )
    now = (
        f"{_counted(report.position_count, 'position')}, gross exposure {percent(risk.gross_exposure)}, "
        f"95\u00a0% value at risk {percent(risk.value_at_risk_95)} a session, "
        f"breakers {risk.breaker_state or 'unknown'}"
    )
    data_checks = (
        f"{count(checks.passed)} of {count(checks.evaluations)} passed, {count(checks.warned)} warned, "
        f"{count(checks.blocked)} blocked"
    )
    sessions = (
        f"{count(checks.sessions_blocked_by_data)} blocked by data, "
        f"{count(checks.sessions_refused_by_gate)} refused by the gate, "
        f"{count(risk.sessions_tripped)} with breaker tripped"
    )
    return _rows(
        [
            ("Orders", orders),
            ("Costs", costs),
            ("Now", now),
            ("Data checks", data_checks),
            ("Sessions", sessions),
        ]
    )


def _breaker_trips(report: PerformanceReport) -> Iterator[tuple[str, str]]:
    trips = report.breaker_trips
    for trip in trips.head(_SHOWN_EVENTS).to_dict("records"):
        words = (
            f"{str(trip['breaker_state']).removeprefix('tripped: ')}, {_counted(trip['sessions'], 'session')} to "
            f"{day(trip['last_session'])}; at most {percent(trip['exposure_scale'], 0)} held"
        )
        yield f"Breaker {day(trip['first_session'])}", words
    if len(trips) > _SHOWN_EVENTS:
        yield "", f"{_counted(len(trips) - _SHOWN_EVENTS, 'earlier trip')} in the report"


def _stopped_sessions(report: PerformanceReport) -> Iterator[tuple[str, str]]:
    """Yield one line for each of the last stretches of stopped sessions."""
    stretches = report.stopped_stretches
    for stretch in stretches.head(_SHOWN_EVENTS).to_dict("records"):
        first, last, sessions = stretch["first_session"], stretch["last_session"], stretch["sessions"]
        until = f"to {day(last)}, {_counted(sessions, 'session')}; " if sessions > 1 else ""
        yield f"Blocked {day(first)}", f"{until}{stretch['reason']}"
    more = int(stretches["sessions"].iloc[_SHOWN_EVENTS:].sum())
    if more:
        yield "", f"{_counted(more, 'earlier session')} blocked or refused; the newest are in the report"


def _refused_orders(report: PerformanceReport) -> Iterator[tuple[str, str]]:
    """Yield one line for each of the last orders that the gate refused."""
    for order in report.refused_orders.to_dict("records"):
        side = "buy" if order["quantity_shares"] > 0 else "sell"
        yield (
            f"Refused {day(order['session'])}",
            f"{side} {abs(order['quantity_shares']):,.9g} {order['symbol']}: {order['reason']}",
        )
    more = report.trading.orders_refused - len(report.refused_orders)
    if more:
        yield "", f"{_counted(more, 'earlier order')} refused"


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    if not notes:
        return
    console.print(f"\nWhat the source leaves out ({_counted(len(notes), 'note')}; all are with market_data/listings):")
    for note in notes[:_SHOWN_NOTES]:
        console.print(Padding(Text(f"- {note}"), (0, 0, 0, 2)), highlight=False)
    if len(notes) > _SHOWN_NOTES:
        console.print(f"  - and {count(len(notes) - _SHOWN_NOTES)} more", highlight=False)


def _rows(rows: Sequence[tuple[str, str]]) -> Table:
    """Return labelled lines whose words stay beside their label when they wrap."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, words in rows:
        table.add_row(label, Text(words))
    return table


def _counted(value: int, noun: str) -> str:
    return f"{count(value)} {noun}" if int(value) == 1 else f"{count(value)} {noun}s"
