"""What a process took while it ran: samples from outside, and whether they grow.

Belongs here: reading ``/proc``, quantiles, and growth over time. What runs is :mod:`benchmarks.live_trading.soak`.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aegis.monitoring.order_timing import MEDIAN, TAIL, nearest_rank

_KIB_PER_MB = 1024.0
_MS_PER_NS = 1e-6
_SECONDS_PER_HOUR = 3600.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
QUARTERS = 4


@dataclass(frozen=True)
class Sample:
    """One look at a process (Linux).

    Parameters
    ----------
    at_seconds : float
        Since the beginning.
    resident_mb : float
        Resident memory.
    anonymous_mb : float
        Of that, what the process wrote; the rest are pages of files, such as libraries, which the kernel may drop and
        read again.
    files, threads : int
        Open file descriptors and threads.
    processor_seconds : float
        Of the process since it began, user and system.
    """

    at_seconds: float
    resident_mb: float
    anonymous_mb: float
    files: int
    threads: int
    processor_seconds: float


def sample(process: int, at_seconds: float) -> Sample:
    """Look at a process.

    Raises
    ------
    OSError
        It is not there any more.
    """
    folder = Path("/proc") / str(process)
    lines = (folder / "status").read_text(encoding="ascii", errors="replace").splitlines()
    words = {
        line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS:", "RssAnon:", "Threads:"))
    }
    # The second field is the program's name in brackets, which may hold spaces.
    times = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return Sample(
        at_seconds=at_seconds,
        resident_mb=int(words["VmRSS"]) / _KIB_PER_MB,
        anonymous_mb=int(words["RssAnon"]) / _KIB_PER_MB,
        files=len(os.listdir(folder / "fd")),  # noqa: PTH208 - names are enough
        threads=int(words["Threads"]),
        processor_seconds=(int(times[11]) + int(times[12])) / _TICKS_PER_SECOND,
    )


def quarter_medians(samples: Sequence[Sample], name: str) -> tuple[float, ...]:
    """Return the median of a quantity in each quarter of the time, the first quarter first.

    Raises
    ------
    ValueError
        A quarter has no sample.
    """
    begins, ends = samples[0].at_seconds, samples[-1].at_seconds
    length = (ends - begins) / QUARTERS
    quarters: list[list[float]] = [[] for _ in range(QUARTERS)]
    for each in samples:
        number = min(int((each.at_seconds - begins) / length), QUARTERS - 1) if length > 0 else 0
        quarters[number].append(float(getattr(each, name)))
    if not all(quarters):
        message = f"{len(samples)} samples over {ends - begins:.0f} s leave a quarter empty; sample more often"
        raise ValueError(message)
    return tuple(statistics.median(quarter) for quarter in quarters)


def slope_per_hour(samples: Sequence[Sample], name: str, *, after_seconds: float) -> float:
    """Return the slope of a quantity in its unit per hour, by least squares over the samples after an instant."""
    chosen = [each for each in samples if each.at_seconds >= after_seconds]
    found = statistics.linear_regression(
        [each.at_seconds for each in chosen], [float(getattr(each, name)) for each in chosen]
    )
    return float(found.slope) * _SECONDS_PER_HOUR


def growth(medians: Sequence[float]) -> float:
    """Return by how much the last quarter's median is above the second's, as a share of the second's.

    Notes
    -----
    The first quarter is warming up: modules are imported, caches and arenas fill.
    """
    return medians[-1] / medians[1] - 1.0


def quantiles_ms(nanoseconds: Sequence[int]) -> dict[float, float]:
    """Return the median and the 99th percentile in milliseconds, by nearest rank.

    Raises
    ------
    ValueError
        There is no value.
    """
    if not nanoseconds:
        message = "no order was measured; ask for more orders"
        raise ValueError(message)
    ordered = sorted(float(value) for value in nanoseconds)
    return {quantile: (nearest_rank(ordered, quantile) or 0.0) * _MS_PER_NS for quantile in (MEDIAN, TAIL)}
