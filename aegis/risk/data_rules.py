"""The pre-trade gate's rules about data: checked, unchanged since, fresh, and known at the decision.

Belongs here: rules over the frozen rows of ``quality/check_results``. The checks themselves belong to the market data.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from aegis.risk.gate_inputs import CheckVerdict, GateInputs
from aegis.risk.rule_finding import RuleFinding, finding

PASSING_OUTCOMES = frozenset({"pass", "warn", "repair", "quarantine"})
"""Outcomes after which the remaining rows may be traded on. A quarantine took its rows out before they were read."""


def required_checks_are_recorded(inputs: GateInputs) -> RuleFinding:
    """Hold when every required check has a row of today's version for the session, and at least one is required."""
    recorded = {verdict.check: verdict.check_version for verdict in inputs.check_results}
    if not inputs.required_checks:
        return finding(
            [f"{inputs.session}: no data check is required, so nothing vouches for the data; name the checks"]
        )
    return finding(
        f"{inputs.session}: required check {check} version {version} has "
        f"{f'a row of version {recorded[check]} only' if check in recorded else 'no row'} in quality/check_results; "
        "run the session's checks"
        for check, version in inputs.required_checks.items()
        if recorded.get(check) != version
    )


def data_checks_passed(inputs: GateInputs) -> RuleFinding:
    """Hold when no check of the session blocks or ended in an outcome that nobody defined."""
    return finding(
        f"{verdict.table} {inputs.session}: check {verdict.check} says '{verdict.outcome}'"
        f"{f' of {verdict.detail}' if verdict.detail else ''}; correct the rows at the source and check them again"
        for verdict in inputs.check_results
        if verdict.outcome not in PASSING_OUTCOMES
    )


def checks_hold_for_the_pinned_rows(inputs: GateInputs) -> RuleFinding:
    """Hold when every check that orders need was made on exactly the rows that the decision reads."""
    return finding(_changed(inputs))


def research_follows_the_bars(inputs: GateInputs) -> RuleFinding:
    """Hold when factors, universe, signals and covariances were computed after the bars they rest on were written."""
    return finding(
        f"{table} {inputs.session}: not computed since the bars were last written; materialize it for the session, or "
        "run the whole chain from there"
        for table in inputs.outdated_tables
    )


def inputs_are_fresh(inputs: GateInputs) -> RuleFinding:
    """Hold when the pinned inputs end with the decision session, and that is the clock's last complete session."""
    if inputs.input_session == inputs.session == inputs.clock_session:
        return finding([])
    return finding(
        [
            (
                f"{inputs.session}: the inputs end with session {inputs.input_session} and the decision clock stands "
                f"after {inputs.clock_session}; all three must agree: load what is missing or decide on the newest"
            )
        ]
    )


def inputs_were_known_at_the_decision(inputs: GateInputs) -> RuleFinding:
    """Hold when the latest pinned input was known at the decision time, both instants being aware."""
    known, decided = inputs.inputs_known_at_utc, inputs.decision_time_utc
    if known is not None and _is_aware(known) and _is_aware(decided) and known <= decided:
        return finding([])
    return finding(
        [
            (
                f"{inputs.session}: inputs known at {known}, decision at {decided}; the first must be known, both must "
                "carry a time zone, and no input may be later than the decision: wait for the vendor or mend the clock"
            )
        ]
    )


def _changed(inputs: GateInputs) -> Iterator[str]:
    for verdict in inputs.check_results:
        if not _is_needed(verdict, inputs):
            continue
        pinned = inputs.pinned_content_hashes.get(verdict.table)
        if not pinned or pinned != verdict.content_hash:
            yield (
                f"{verdict.table} {inputs.session}: check {verdict.check} was made on rows {verdict.content_hash[:12]} "
                f"of snapshot {verdict.snapshot_id}, the decision reads {(pinned or 'none')[:12]}; check the rows again"
            )


def _is_needed(verdict: CheckVerdict, inputs: GateInputs) -> bool:
    return verdict.is_blocking or verdict.check in inputs.required_checks


def _is_aware(instant: datetime) -> bool:
    return instant.tzinfo is not None and instant.utcoffset() is not None
