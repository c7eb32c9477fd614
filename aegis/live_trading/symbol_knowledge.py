"""What is known of symbols before a session, for the rules at the exit door.

Belongs here: putting it together. Quotes and halts of the session are :mod:`aegis.live_trading.quotes_at_the_door`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date

from aegis.clock import Clock
from aegis.compliance.restricted_list import Restriction, RestrictionKind, restrictions_in_force
from aegis.execution.algorithms.planning import PastMarket
from aegis.risk.exit_view import SymbolFacts


def symbol_facts(
    symbols: Iterable[str],
    session: date,
    *,
    past: Callable[[str, date], PastMarket],
    restrictions: Iterable[Restriction],
    clock: Clock,
) -> Mapping[str, SymbolFacts]:
    """Return what is known of symbols before a session.

    Parameters
    ----------
    symbols : iterable of str
        Permanent symbols.
    session : date
        To be traded.
    past : callable
        What the sessions before it tell of a symbol.
    restrictions : iterable of Restriction
        The whole restricted list.
    clock : Clock
        A restriction that became known later does not count yet.

    Notes
    -----
    Nothing is lent here: a sale beyond what is held is refused whatever the instrument's shortability says, until
    shares are located by a broker.
    """
    restricted = restrictions_in_force(restrictions, session, known_by=clock.now_utc())
    return {
        symbol: SymbolFacts(
            median_daily_volume_shares=past(symbol, session).daily_volume_shares,
            is_shortable=False,
            restriction=_told(restricted.get(symbol), "no trading"),
            opening_restriction=_told(restricted.get(symbol), "no opening"),
        )
        for symbol in symbols
    }


def _told(restriction: Restriction | None, kind: RestrictionKind) -> str:
    if restriction is None or restriction.restriction != kind:
        return ""
    return f"{restriction.restriction} since {restriction.first}: {restriction.reason}"
