"""The controls of the report: risk forecasts against outcomes, breakers, the pre-trade gate and the data checks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aegis.reporting.report import CheckFigures, ReportInputs, RiskFigures
from aegis.reporting.stopped_sessions import stopped_sessions

CONFIDENCE = 0.95
_ARMED = "armed"
_CHECK_OUTCOMES = ("pass", "warn", "repair", "quarantine", "block")
_GATE_OUTCOMES = ("pass", "reduce only", "refuse order", "refuse")


@dataclass(frozen=True)
class ControlReview:
    """What the controls forecast, saw and stopped; columns as in the report."""

    risk: RiskFigures
    data_checks: CheckFigures
    value_at_risk: pd.DataFrame
    breaker_trips: pd.DataFrame
    blocked_sessions: pd.DataFrame
    stopped_stretches: pd.DataFrame
    checks: pd.DataFrame
    gate_rules: pd.DataFrame


def control_review(inputs: ReportInputs, sessions: pd.DataFrame) -> ControlReview:
    """Return the review of the controls.

    Parameters
    ----------
    inputs : ReportInputs
    sessions : DataFrame
        ``session, return_daily, gross_exposure, net_exposure`` of the report.
    """
    compared = _value_at_risk(inputs.risk_report, sessions)
    stopped = stopped_sessions(inputs)
    return ControlReview(
        risk=_risk(inputs, sessions, compared),
        data_checks=_check_figures(inputs),
        value_at_risk=compared,
        breaker_trips=_breaker_trips(inputs.risk_report),
        blocked_sessions=stopped.blocked_sessions,
        stopped_stretches=stopped.stopped_stretches,
        checks=_outcome_counts(inputs.check_results, ["table", "check"], _CHECK_OUTCOMES),
        gate_rules=_gate_rules(inputs.pre_trade_gate),
    )


def _value_at_risk(risk_report: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Set each session's return beside the forecast of the close before; forecasts of 0 (a flat book) are left out."""
    forecast = risk_report.set_index("session")["value_at_risk_95"].reindex(sessions["session"]).shift(1).to_numpy()
    frame = sessions[["session", "return_daily"]].assign(forecast=forecast)
    frame = frame[frame["forecast"] > 0.0].reset_index(drop=True)
    return frame.assign(exceeded=frame["return_daily"] < -frame["forecast"])


def _risk(inputs: ReportInputs, sessions: pd.DataFrame, compared: pd.DataFrame) -> RiskFigures:
    last = inputs.risk_report.iloc[-1] if len(inputs.risk_report) else None
    positions = inputs.positions
    weights = positions.loc[positions["session"] == sessions["session"].iloc[-1], "weight"].abs()

    def forecast(column: str) -> float | None:
        return None if last is None else float(last[column])

    return RiskFigures(
        value_at_risk_95=forecast("value_at_risk_95"),
        expected_shortfall_95=forecast("expected_shortfall_95"),
        forecast_volatility_annualised=forecast("volatility_annualised"),
        gross_exposure=float(sessions["gross_exposure"].iloc[-1]),
        net_exposure=float(sessions["net_exposure"].iloc[-1]),
        largest_weight=float(weights.max()) if len(weights) else 0.0,
        concentration_hhi=forecast("concentration_hhi"),
        forecasts_compared=len(compared),
        exceedances=int(compared["exceeded"].sum()),
        exceedances_expected=(1.0 - CONFIDENCE) * len(compared),
        breaker_state=None if last is None else str(last["breaker_state"]),
        sessions_tripped=int((inputs.risk_report["breaker_state"] != _ARMED).sum()),
    )


def _breaker_trips(risk_report: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each trip, newest first: the sessions until it is armed again, and the state they led to."""
    is_armed = risk_report["breaker_state"] == _ARMED
    tripped = risk_report.assign(run=is_armed.cumsum())[~is_armed]
    trips = tripped.groupby("run").agg(
        first_session=("session", "first"),
        last_session=("session", "last"),
        sessions=("session", "count"),
        breaker_state=("breaker_state", "last"),
        drawdown=("drawdown", "min"),
        exposure_scale=("exposure_scale", "min"),
    )
    return trips.iloc[::-1].reset_index(drop=True)


def _outcome_counts(frame: pd.DataFrame, keys: list[str], outcomes: tuple[str, ...]) -> pd.DataFrame:
    counts = {
        outcome: (frame["outcome"] == outcome).groupby([frame[key] for key in keys]).sum() for outcome in outcomes
    }
    return pd.DataFrame(counts).astype(np.int64).reset_index()


def _gate_rules(gate: pd.DataFrame) -> pd.DataFrame:
    rules = _outcome_counts(gate, ["rule"], _GATE_OUTCOMES)
    refused = gate.groupby("rule")["orders_refused"].sum()
    return rules.assign(orders_refused=rules["rule"].map(refused).astype(np.int64))


def _check_figures(inputs: ReportInputs) -> CheckFigures:
    checks, gate = inputs.check_results, inputs.pre_trade_gate
    counts = checks["outcome"].value_counts()
    blocked = set(checks.loc[checks["outcome"] == "block", "session"])
    refused = set(gate.loc[gate["outcome"] == "refuse", "session"])
    reduced = set(gate.loc[gate["outcome"] == "reduce only", "session"])
    return CheckFigures(
        evaluations=len(checks),
        passed=int(counts.get("pass", 0)),
        warned=int(counts.get("warn", 0)),
        repaired=int(counts.get("repair", 0)),
        quarantined=int(counts.get("quarantine", 0)),
        blocked=int(counts.get("block", 0)),
        sessions_blocked_by_data=len(blocked),
        sessions_refused_by_gate=len(refused),
        sessions_stopped=len(blocked | refused),
        sessions_reduce_only=len(reduced - refused),
    )
