"""The chapters of the performance report about trading, the book, risk and controls.

Belongs here: as in :mod:`aegis.reporting.sections`, which puts these chapters in their place.
"""

from __future__ import annotations

from aegis.reporting import charts
from aegis.reporting.implementation_shortfall import ShortfallFigures
from aegis.reporting.printing import (
    Figure,
    PrintedTable,
    Section,
    count,
    day,
    number,
    percent,
    signed_usd,
    usd,
)
from aegis.reporting.report import PerformanceReport

ORDER_DIGITS = 8
"""Digits of an order's id that are printed: enough to find it with ``make trace ORDER=<digits>``."""


def trading(report: PerformanceReport) -> Section:
    """Return what was traded and what it cost."""
    traded = report.trading
    figures = (
        Figure("Fills", count(traded.fill_count), "executions"),
        Figure("Traded", f"${usd(traded.traded_usd)}", "bought plus sold"),
        Figure("Turnover", percent(traded.turnover_annualised, 0), "of equity a year, one-way"),
        Figure("Slippage", f"${usd(traded.slippage_usd)}", "against the reference price"),
        Figure("Commission", f"${usd(traded.commission_usd)}", "and fees"),
        Figure("Cost", f"{number(traded.cost_bps, 2)} bps", "of traded value"),
        Figure("Approved", count(traded.orders_approved), "orders passed the pre-trade gate"),
        Figure("Refused", count(traded.orders_refused), "orders stopped by the pre-trade gate"),
        *_shortfall(report.shortfall),
    )
    orders = PrintedTable(
        "Last orders",
        ("Order", "Decided", "Executes", "Symbol", "Shares", "Arrival, USD", "Algorithm", "Gate", "Reason"),
        tuple(
            (
                r["client_order_id"][:ORDER_DIGITS],
                day(r["session"]),
                day(r["execution_session"]),
                r["symbol"],
                number(r["quantity_shares"], 0),
                number(r["arrival_price_usd"]),
                r["algorithm"],
                r["gate_outcome"],
                r["reason"],
            )
            for r in report.last_orders.to_dict("records")
        ),
        text_columns=(0, 1, 2, 3, 6, 7, 8),
        widths=(1.0, 1.1, 1.1, 0.8, 0.8, 1.1, 1, 1, 2.3),
        when_empty="No order was decided.",
    )
    return Section("trading", "Trading and costs", "", figures, (), (orders,))


def _shortfall(found: ShortfallFigures | None) -> tuple[Figure, ...]:
    if found is None:
        return ()
    return (
        Figure(
            "Implementation shortfall",
            f"${usd(found.shortfall_usd)}",
            f"{number(found.shortfall_bps, 2)} bps of {count(found.order_count)} orders as decided",
        ),
        Figure("Delay", f"${usd(found.delay_usd)}", "from the decision to the release"),
        Figure("Impact", f"${usd(found.impact_usd)}", "from the release to the fills"),
        Figure("Fees", f"${usd(found.fees_usd)}", "of these orders"),
        Figure("Opportunity", f"${usd(found.opportunity_usd)}", "of what did not fill"),
    )


def book(report: PerformanceReport) -> Section:
    """Return what is held at the last close."""
    forecast = report.risk
    figures = (
        Figure("Positions", count(report.position_count), f"at the close of {day(report.last_session)}"),
        Figure("Gross exposure", percent(forecast.gross_exposure, 1), f"net {percent(forecast.net_exposure, 1)}"),
        Figure("Cash", f"${usd(report.cash_usd)}", percent(report.cash_usd / report.last_equity_usd, 1) + " of equity"),
        Figure(
            "Largest position",
            percent(forecast.largest_weight),
            f"Herfindahl index {number(forecast.concentration_hhi, 3)}",
        ),
    )
    shown = len(report.positions)
    title = "Positions" if shown == report.position_count else f"Largest {shown} of {report.position_count} positions"
    positions = PrintedTable(
        title,
        ("Symbol", "Name", "Sector", "Shares", "Mark, USD", "Value, USD", "Weight", "Unrealised, USD"),
        tuple(
            (
                r["symbol"],
                r["name"],
                r["sector"],
                number(r["quantity_shares"], 0),
                number(r["mark_price_usd"]),
                usd(r["market_value_usd"]),
                percent(r["weight"]),
                signed_usd(r["unrealised_pnl_usd"]),
            )
            for r in report.positions.to_dict("records")
        ),
        text_columns=(0, 1, 2),
        widths=(0.8, 2.0, 1.5, 0.9, 0.9, 1.1, 0.9, 1.3),
        when_empty="The account holds no position.",
    )
    return Section("book", "The book now", "", figures, ((charts.SECTORS, charts.EXPOSURE),), (positions,))


def risk(report: PerformanceReport) -> Section:
    """Return forecasts of risk, how they fared, and breaker trips."""
    forecast = report.risk
    figures = (
        Figure("Value at risk, 95 %", percent(forecast.value_at_risk_95), "one session, target book"),
        Figure("Expected shortfall, 95 %", percent(forecast.expected_shortfall_95), "one session, target book"),
        Figure("Forecast volatility", percent(forecast.forecast_volatility_annualised, 1), "annualised, target book"),
        Figure("Breaker", forecast.breaker_state or "n/a", f"{count(forecast.sessions_tripped)} sessions tripped"),
    )
    if forecast.forecasts_compared:
        text = (
            f"In {count(forecast.exceedances)} of {count(forecast.forecasts_compared)} sessions the account lost more "
            "than the 95 % value at risk forecast at the close before; "
            f"{number(forecast.exceedances_expected, 1)} would be expected. Sessions without a forecast above zero are "
            "left out."
        )
    else:
        text = "No forecast of risk has been followed by a session yet."
    trips = PrintedTable(
        "Breaker trips",
        ("First session", "Last session", "Sessions", "State", "Deepest drawdown", "Exposure allowed"),
        tuple(
            (
                day(r["first_session"]),
                day(r["last_session"]),
                count(r["sessions"]),
                r["breaker_state"],
                percent(r["drawdown"]),
                percent(r["exposure_scale"], 0),
            )
            for r in report.breaker_trips.to_dict("records")
        ),
        text_columns=(0, 1, 3),
        when_empty="No breaker tripped.",
    )
    return Section("risk", "Risk", text, figures, ((charts.VALUE_AT_RISK,),), (trips,))


def controls(report: PerformanceReport) -> Section:
    """Return what the data checks and the pre-trade gate saw and stopped."""
    found = report.data_checks
    figures = (
        Figure("Checks passed", count(found.passed), f"of {count(found.evaluations)}, one a check and session"),
        Figure("Warnings", count(found.warned), f"{count(found.repaired)} repaired"),
        Figure("Quarantined", count(found.quarantined), "rows set aside, session kept"),
        Figure("Sessions blocked", count(found.sessions_blocked_by_data), "by a data check"),
        Figure("Sessions refused", count(found.sessions_refused_by_gate), "by the pre-trade gate"),
        Figure("Reduce only", count(found.sessions_reduce_only), "sessions, reducing orders left"),
    )
    checks = PrintedTable(
        "Data checks",
        ("Table", "Check", "Pass", "Warn", "Repair", "Quarantine", "Block"),
        tuple(
            (r["table"], r["check"], *(count(r[name]) for name in ("pass", "warn", "repair", "quarantine", "block")))
            for r in report.checks.to_dict("records")
        ),
        text_columns=(0, 1),
        widths=(2.2, 2.9, 0.7, 0.7, 0.8, 1.1, 0.7),
        when_empty="No data check has been recorded.",
    )
    gate = PrintedTable(
        "Rules of the pre-trade gate",
        ("Rule", "Pass", "Reduce only", "Refuse order", "Refuse", "Orders refused"),
        tuple(
            (
                r["rule"],
                *(count(r[name]) for name in ("pass", "reduce only", "refuse order", "refuse", "orders_refused")),
            )
            for r in report.gate_rules.to_dict("records")
        ),
        widths=(3.4, 0.7, 1.1, 1.1, 0.7, 1.3),
        when_empty="The gate has not been asked.",
    )
    blocked = PrintedTable(
        "Sessions that were blocked or refused, newest first",
        ("Session", "By", "Rule or check", "Detail"),
        tuple(
            (day(r["session"]), r["by"], r["rule"], r["detail"] or "")
            for r in report.blocked_sessions.to_dict("records")
        ),
        text_columns=(0, 1, 2, 3),
        widths=(0.9, 1.0, 2.4, 3.7),
    )
    return Section("controls", "Data checks and gate", "", figures, (), (checks, gate, blocked))
