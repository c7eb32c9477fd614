"""What a runner did against what the decision table of fills expects.

Belongs here: one sentence for each difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.golden.fill_scenarios.scenario import (
    MONEY_TOLERANCE,
    PRICE_TOLERANCE,
    Expected,
    FillRow,
    Outcome,
)


def differences(expected: Expected, seen: Outcome) -> list[str]:
    """Return one sentence for each thing that came out otherwise; empty if nothing did."""
    found = [
        f"fill {number}:\n      expected {_fill_text(wanted)}\n      seen     {_fill_text(got)}"
        for number, (wanted, got) in enumerate(_pairs(expected.fills, seen.fills), start=1)
        if wanted is None or got is None or not _same_fill(wanted, got)
    ]
    for name in sorted(expected.states.keys() | seen.states.keys()):
        wanted_state, got_state = expected.states.get(name), seen.states.get(name)
        if wanted_state != got_state:
            found.append(f"order {name}: expected {_state_text(wanted_state)}, seen {_state_text(got_state)}")
    for label in ("positions", "average_costs", "realised"):
        found += _mapping_differences(label, getattr(expected, label), getattr(seen, label))
    for label in ("cash", "receivable", "equity"):
        wanted_amount, got_amount = getattr(expected, label), getattr(seen, label)
        if wanted_amount is not None and not abs(wanted_amount - got_amount) <= MONEY_TOLERANCE:
            found.append(f"{label}: expected {wanted_amount!r}, seen {got_amount!r}")
    return found


def _pairs(wanted: Sequence[FillRow], got: Sequence[FillRow]) -> Iterable[tuple[FillRow | None, FillRow | None]]:
    longest = max(len(wanted), len(got))
    return ((wanted[i] if i < len(wanted) else None, got[i] if i < len(got) else None) for i in range(longest))


def _same_fill(wanted: FillRow, got: FillRow) -> bool:
    return (
        (wanted.order, wanted.bar, wanted.phase) == (got.order, got.bar, got.phase)
        and abs(wanted.quantity - got.quantity) <= PRICE_TOLERANCE
        and abs(wanted.price - got.price) <= PRICE_TOLERANCE
        and abs(wanted.commission - got.commission) <= PRICE_TOLERANCE
    )


def _fill_text(fill: FillRow | None) -> str:
    if fill is None:
        return "nothing"
    return (
        f"{fill.order} {fill.quantity:+g} @ {fill.price!r} at the {fill.phase} of {fill.bar:%Y-%m-%d %H:%M:%S}, "
        f"commission {fill.commission!r}"
    )


def _state_text(state: tuple[str, str] | None) -> str:
    return "no such order" if state is None else ", ".join(filter(None, state))


def _mapping_differences(label: str, wanted: Mapping[str, float] | None, got: Mapping[str, float]) -> list[str]:
    if wanted is None:
        return []
    return [
        f"{label} of {name}: expected {wanted.get(name, 0.0)!r}, seen {got.get(name, 0.0)!r}"
        for name in sorted(wanted.keys() | got.keys())
        if (name in wanted or label == "positions")
        and not abs(wanted.get(name, 0.0) - got.get(name, 0.0)) <= MONEY_TOLERANCE
    ]
