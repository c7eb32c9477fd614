"""The printed table: one block for each task, a line for each engine, then what its numbers include."""

from __future__ import annotations

from benchmarks.backtesting import comparison, tasks
from benchmarks.backtesting.rounds import Measured
from benchmarks.backtesting.tasks import Outcome

DISAGREES = "NO, see below"
COLUMNS = (
    "engine",
    "version",
    "size",
    "units/s",
    "ns a unit",
    "times ours [range]",
    "run only",
    "cold start s",
    "extra MB",
    "fills",
    "final equity USD",
    "as the reference",
)


def block(
    task: str, measured: list[Measured], expected: dict[int, Outcome], *, ours: str, notes: dict[str, str]
) -> str:
    """Return the lines of one task.

    Parameters
    ----------
    task
        Its name.
    measured
        The engines, ours among them or not.
    expected
        What the reference says, by size.
    ours
        Module of the engine that the others are compared with.
    notes
        By module: why an engine is missing, or why it differs.
    """
    baseline = next((each for each in measured if each.peer == ours and each.rounds), None)
    lines = [list(COLUMNS)]
    remarks = []
    for each in measured:
        if not each.rounds:
            remarks.append(f"{each.peer}: failed: {each.failure}")
            continue
        differing = comparison.differences(each.outcome, expected[each.size])
        lines.append([*_line(each, baseline), verdict(each, expected[each.size], is_explained=each.peer in notes)])
        remarks.extend(f"{each.peer}: {difference}" for difference in differing)
        if each.peer in notes and differing:
            remarks.append(f"{each.peer}: because {notes[each.peer]}")
    remarks.extend(f"{peer}: n/a: {why}" for peer, why in notes.items() if peer not in {each.peer for each in measured})
    remarks.extend(f"{each.peer} includes {each.summary['includes']}" for each in measured if each.summary)
    title = tasks.SIZES[task].title
    return "\n".join([f"({task}) {title}", *_aligned(lines), *(f"  - {remark}" for remark in remarks), ""])


def verdict(each: Measured, expected: Outcome, *, is_explained: bool) -> str:
    """Return the last column: whether the engine did what the reference says."""
    if not comparison.differences(each.outcome, expected):
        return "yes"
    is_small = not comparison.differences(each.outcome, expected, tolerance=comparison.EXPLAINED)
    has_all_fills = each.outcome.fills == expected.fills
    return "explained below" if is_explained and is_small and has_all_fills else DISAGREES


def _line(each: Measured, baseline: Measured | None) -> list[str]:
    nanoseconds = each.median_seconds() / each.rounds[0]["units"] * 1e9
    compared, run_only = "-", "-"
    if baseline is not None and each is not baseline:
        ratio = comparison.ratio(each, baseline)
        compared = f"{ratio.median:,.3g} [{ratio.lowest:,.3g}-{ratio.highest:,.3g}]"
        run_only = f"{comparison.ratio(each, baseline, 'running_seconds').median:,.3g}"
    return [
        each.summary.get("peer", each.peer),
        each.summary.get("version", ""),
        f"{each.size:,}",
        f"{1e9 / nanoseconds:,.0f}",
        f"{nanoseconds:,.1f}",
        compared,
        run_only,
        f"{each.cold_start_seconds:.2f}",
        f"{each.extra_mb:,.0f}",
        f"{each.outcome.fills:,}",
        f"{each.outcome.final_equity_usd:,.2f}",
    ]


def _aligned(lines: list[list[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
