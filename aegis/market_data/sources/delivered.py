"""A source that asks its vendor once and answers every question from that delivery.

Belongs here: the source protocol over one :class:`~aegis.market_data.sources.delivery.Delivery`. Asking the vendor and
parsing its answer are each vendor's own module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date, timedelta
from functools import cached_property

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.market_data.sources.delivery import Delivery, ParsedFiles, assemble


class DeliveredSource(ABC):
    """Real prices of one vendor, asked for once, at the first question.

    Parameters
    ----------
    name : str
        Name stored with each row.
    calendar : TradingCalendar
        Decision calendar.
    benchmark_symbol : str
        Permanent symbol of the benchmark; it must be among the bars.
    vendor_delay : timedelta
        Time from a session's close until its bars count as known.

    Notes
    -----
    The first question raises what :meth:`_ask` and :func:`~aegis.market_data.sources.delivery.assemble` raise; a failed
    answer is not kept, so the next question asks again.
    """

    def __init__(self, name: str, calendar: TradingCalendar, *, benchmark_symbol: str, vendor_delay: timedelta) -> None:
        self._name = name
        self._calendar = calendar
        self._benchmark_symbol = benchmark_symbol
        self._vendor_delay = vendor_delay

    @abstractmethod
    def _ask(self) -> ParsedFiles:
        """Return what the vendor states, parsed."""

    @property
    def name(self) -> str:
        """Name stored with each row."""
        return self._name

    @property
    def is_simulated(self) -> bool:
        """Return False: these are market prices."""
        return False

    @property
    def benchmark_symbol(self) -> str:
        """Permanent symbol of the benchmark."""
        return self._benchmark_symbol

    def session_range(self) -> tuple[date, date]:
        """Return the first and last session with a bar."""
        return self._delivery.session_range

    def listings(self) -> pd.DataFrame:
        """Return all coverage intervals."""
        return self._delivery.listings.copy()

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return raw bars of the sessions in ``[first, last]``; `SourceUnavailable` when there is none."""
        return self._delivery.bars_between(first, last)

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        """Return actions with an ex-session in ``[first, last]``."""
        return self._delivery.actions_between(first, last)

    def instruments(self) -> pd.DataFrame | None:
        """Return what the vendor states of instruments; None where it states no more than names and sectors."""
        stated = self._delivery.instruments
        return None if stated is None else stated.copy()

    def coverage_notes(self) -> list[str]:
        """Return what was left out, ends or has gaps, one sentence each."""
        return list(self._delivery.notes)

    @cached_property
    def _delivery(self) -> Delivery:
        return assemble(
            self._ask(),
            self._calendar,
            source=self._name,
            benchmark_symbol=self._benchmark_symbol,
            vendor_delay=self._vendor_delay,
        )
