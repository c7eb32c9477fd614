"""What was measured, as a person reads it, beside its targets.

Belongs here: the words and the verdicts. The arithmetic over time is :mod:`benchmarks.live_trading.samples`.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

from aegis.monitoring.order_timing import MEDIAN, TAIL
from benchmarks.live_trading.events import STAGES, STATES, Events
from benchmarks.live_trading.group_commit import JOURNAL, PLAIN, RAW, GroupCommit
from benchmarks.live_trading.latency import Latency
from benchmarks.live_trading.samples import growth, quantiles_ms, quarter_medians, slope_per_hour
from benchmarks.live_trading.soak import Soaked

MOST_MS_ABOVE_RAW = {MEDIAN: 1.0, TAIL: 5.0}
"""From the decision to the socket, above the same quantile of a raw write with fsync in the same run."""
LEAST_EVENTS_PER_SECOND = 20_000
MOST_GROWTH = 0.05
"""Of resident memory from the second quarter's median to the last's. Half an hour lies between them, in which the desk
asks for 7,200 orders: three kilobytes kept of each would be more than it."""
_MS = 1e-6


def print_latency(found: Latency) -> bool:
    """Print the latencies and return whether the targets are met."""
    raw = quantiles_ms(found.raw_ns)
    _say(
        f"\nfrom the decision to the wire: {len(found.wire_ns)} orders, in turns; {found.row_bytes:,} bytes of rows "
        f"each, {found.file_bytes:,} as SQLite writes them"
    )
    _say(f"  {'':44}{'p50':>9}{'p99':>9}  above raw: p50      p99")
    for label, values in (
        ("raw write and fsync of the rows' bytes", found.raw_ns),
        ("raw write and fsync of SQLite's bytes", found.pages_ns),
        ("the same rows in a journal by itself", found.durable_ns),
        ("decision to the first byte at the socket", found.wire_ns),
        ("decision to the venue's answer", found.answer_ns),
    ):
        own = quantiles_ms(values)
        above = "".join(f"{own[quantile] - raw[quantile]:+9.2f}" for quantile in MOST_MS_ABOVE_RAW)
        _say(f"  {label:44}" + "".join(f"{own[quantile]:9.2f}" for quantile in MOST_MS_ABOVE_RAW) + f"      {above} ms")
    pairs = [(wire - fsync) * _MS for wire, fsync in zip(found.wire_ns, found.raw_ns, strict=True)]
    _say(f"  median of the pairs' differences: {statistics.median(pairs):+.2f} ms")
    wire, met = quantiles_ms(found.wire_ns), True
    for quantile, most in MOST_MS_ABOVE_RAW.items():
        above_ms = wire[quantile] - raw[quantile]
        met &= _target(
            f"p{quantile * 100:g} to the socket above raw fsync",
            f"{above_ms:+.2f} ms",
            f"at most {most:+g} ms",
            above_ms <= most,
        )
    return met


def print_events(found: Events, groups: Sequence[GroupCommit]) -> bool:
    """Print events a second and return whether the target is met and nothing was lost."""
    _say(f"\n{found.orders:,} orders, {found.events:,} order events, {found.rows:,} rows in the journal")
    written = found.events / found.written_seconds
    _say(f"  written through state machine and journal, 500 events a commit: {written:,.0f} events/s")
    rates = {}
    for stage, seconds in found.replay_seconds.items():
        rates[stage] = found.events / statistics.median(seconds)
        worked = found.events / statistics.median(found.replay_processor_seconds[stage])
        _say(f"  {stage:22} {rates[stage]:10,.0f} events/s, {worked:10,.0f} of processor  ({STAGES[stage]})")
    if found.peer_seconds:
        rate, worked = (
            found.peer_events / statistics.median(taken) for taken in (found.peer_seconds, found.peer_processor_seconds)
        )
        _say(f"  {'NautilusTrader':22} {rate:10,.0f} events/s, {worked:10,.0f} of processor  (its state machine alone)")
    _say(
        f"\n  {'events a commit':16}"
        + "".join(f"{peer:>22}" for peer in (RAW, PLAIN, JOURNAL))
        + "   events/s, medians in turns"
    )
    for group in groups:
        medians = {peer: group.events / statistics.median(group.seconds[peer]) for peer in (RAW, PLAIN, JOURNAL)}
        _say(f"  {group.events:<16,}" + "".join(f"{medians[peer]:22,.0f}" for peer in (RAW, PLAIN, JOURNAL)))
    rate, least = rates[STATES], LEAST_EVENTS_PER_SECOND
    is_fast = _target("events read and replayed", f"{rate:,.0f} a second", f"at least {least:,}", rate >= least)
    return _target("orders, events, fills, states and shares as generated", *_lost(found.lost)) and is_fast


_SAMPLED = {
    "resident_mb": "resident MB",
    "anonymous_mb": "not of files",
    "files": "open files",
    "threads": "threads",
}


def print_soak(found: Soaked) -> bool:
    """Print what was seen and return whether memory was flat and nothing was lost."""
    last, journal = found.samples[-1], found.journal
    trader, venue = found.trader, found.venue
    _say(
        f"{found.seconds:.0f} s of trading: {journal.get('orders', 0):,} orders, {journal.get('events', 0):,} events "
        f"in the journal, {journal.get('fills', 0):,} fills\n"
        f"  states at the end: {journal.get('states')}\n"
        f"  asked by the desk: {trader['asked']}; refused or failed: {trader['refused_or_failed']}\n"
        f"  stream cut {venue['cuts_of_the_stream']} times, requests or answers lost "
        f"{venue['lost_requests_and_answers']} times; looks at the monitor by status: {found.looks}\n"
        f"  failures of {trader['steps']} steps: {trader['failures_of_steps']}\n"
        f"  breaks on the way: {trader['breaks_on_the_way']}; at the end: {trader['breaks_at_the_end']}\n"
        f"  processor: {last.processor_seconds:.0f} s, {last.processor_seconds / found.seconds:.0%} of one core\n"
        "  quantity        quarter 1       2       3       4   slope an hour (after the first quarter)"
    )
    for name, label in _SAMPLED.items():
        medians = quarter_medians(found.samples, name)
        slope = slope_per_hour(found.samples, name, after_seconds=found.seconds / 4)
        _say(f"  {label:14}" + "".join(f"{value:11.1f}" for value in medians) + f"{slope:+11.1f}")
    grown = growth(quarter_medians(found.samples, "resident_mb"))
    is_flat = _target(
        "resident memory from the second quarter to the last",
        f"{grown:+.1%}",
        f"at most {MOST_GROWTH:+.0%}",
        grown <= MOST_GROWTH,
    )
    return _target("orders, executions and positions as the venue has them", *_lost(found.lost)) and is_flat


def _lost(lost: Sequence[str]) -> tuple[str, str, bool]:
    return ("; ".join(lost) or "nothing lost"), "nothing may be", not lost


def _target(what: str, found: str, allowed: str, is_met: bool) -> bool:  # noqa: FBT001 - a verdict, not a switch
    _say(f"{'met   ' if is_met else 'MISSED'}  {what}: {found}, {allowed}")
    return is_met


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
