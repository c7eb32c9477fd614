"""What the rules at the exit door are told of markets: quotes, halts, and what is known of symbols before a session.

Belongs here: the joint between live market data and the live risk manager.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date

from aegis.clock import Clock
from aegis.compliance.pre_trade import OrderRules
from aegis.compliance.restricted_list import Restriction, RestrictionKind, restrictions_in_force
from aegis.execution.algorithms.planning import PastMarket
from aegis.live_data.messages import LiveMinute, LiveQuote, TradingHalt
from aegis.live_trading.risk_manager import LiveRiskManager
from aegis.risk.exit_view import SymbolFacts


class ToldRules:
    """Hands what a source of live data believes to the rules: a :class:`~aegis.live_data.port.MarketListener`."""

    def __init__(self, rules: LiveRiskManager) -> None:
        self._rules = rules

    def on_quote(self, quote: LiveQuote) -> None:
        """Tell the rules of a quote, with the vendor's time."""
        self._rules.observe_quote(
            quote.symbol, bid_usd=quote.bid_usd, ask_usd=quote.ask_usd, at_utc=quote.quoted_at_utc
        )

    def on_halt(self, halt: TradingHalt) -> None:
        """Tell the rules that a symbol is halted, or trades again."""
        if halt.is_halted:
            self._rules.halt(halt.symbol)
        else:
            self._rules.resume(halt.symbol)

    def on_minute(self, minute: LiveMinute) -> None:
        """Do nothing: no rule looks at a minute."""


def symbol_facts(
    symbols: Iterable[str],
    session: date,
    *,
    past: Callable[[str, date], PastMarket],
    order_rules: OrderRules,
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
    order_rules : OrderRules
        With the restricted list.
    clock : Clock
        A restriction that became known later does not count yet.

    Notes
    -----
    Nothing is lent here: a sale beyond what is held is refused whatever the instrument's shortability says, until
    shares are located by a broker.
    """
    restricted = restrictions_in_force(order_rules.restrictions, session, known_by=clock.now_utc())
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
