r"""What an account earned since a start, from its fills: realised, unrealised, by symbol and by strategy.

Belongs here: the bookkeeping of fills. Which fills there were is :mod:`aegis.monitoring.journal_projection`; an account
in backtests is :mod:`aegis.execution.accounting`.

Notes
-----
Of one position, with fills of :math:`q_i` shares (sold negative) at :math:`p_i`, the shares :math:`Q_0` of the start at
its mark :math:`m_0`, and the mark :math:`m` of now:

.. math:: \text{cash} = -Q_0 m_0 - \sum q_i p_i, \qquad Q = Q_0 + \sum q_i,
.. math:: \text{realised} = \text{cash} + C, \qquad \text{unrealised} = Q m - C,

where :math:`C` is what the open shares cost on average: a purchase adds to it, a sale takes the share that it closes, a
fill that crosses zero opens the rest at its price. The two add up to :math:`\text{cash} + Q m` whatever :math:`C` is
rounded to, so with the commissions taken off profit and loss is exactly what the account's equity changed by through
trading: amounts are kept as fractions, and rounded once when they are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from aegis.execution.order_splits import shares_after_split
from aegis.execution.orders import Fill

AT_THE_START = "held at the start"
TAKEN_OVER = "taken over"
IN_LIEU = "cash in lieu"
_NONE = Fraction()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profit:
    """Profit and loss in USD since the start; a loss is negative.

    Parameters
    ----------
    realised_usd : float
        Of shares that were closed, against their average cost.
    unrealised_usd : float
        Of shares that are open, at their marks.
    commission_usd : float
        Charged; positive is a cost.
    total_usd : float
        Realised + unrealised - commission, added up before anything is rounded.
    """

    realised_usd: float
    unrealised_usd: float
    commission_usd: float
    total_usd: float


class TradedPosition:
    """Shares of one symbol, as they were traded.

    Parameters
    ----------
    shares : float
        Held at the start, signed.
    price_usd : float
        Their mark then; profit and loss is counted from it.
    """

    def __init__(self, shares: float = 0.0, price_usd: float = 0.0) -> None:
        self._shares = Fraction(shares)
        self._cost = self._shares * Fraction(price_usd)
        self._cash = -self._cost
        self._commission = _NONE

    @property
    def shares(self) -> float:
        """Signed shares that are open."""
        return float(self._shares)

    @property
    def average_cost_usd(self) -> float:
        """What an open share cost on average, without commission; 0 while nothing is open."""
        return float(self._cost / self._shares) if self._shares else 0.0

    @property
    def exact_shares(self) -> Fraction:
        """The same without rounding: a strategy's part of a split may be a fraction of a share."""
        return self._shares

    def trade(self, shares: float | Fraction, price_usd: float, commission_usd: float = 0.0) -> None:
        """Book a fill: bought positive, sold negative."""
        quantity, price = Fraction(shares), Fraction(price_usd)
        after = self._shares + quantity
        if self._shares * quantity >= 0:
            self._cost += quantity * price
        elif self._shares * after > 0:
            # Rounded, or the denominator would grow with every fill; it moves nothing between cash and shares.
            self._cost = Fraction(float(self._cost * after / self._shares))
        else:
            self._cost = after * price
        self._cash -= quantity * price
        self._commission += Fraction(commission_usd)
        self._shares = after

    def split(self, ratio: float) -> None:
        """Turn each share into `ratio` shares; what they cost stays."""
        self._shares *= Fraction(ratio)

    def parts(self, mark_usd: float) -> tuple[Fraction, Fraction, Fraction]:
        """Return realised, unrealised and commission, exactly."""
        return self._cash + self._cost, self._shares * Fraction(mark_usd) - self._cost, self._commission


class ProfitAndLossBook:
    """The positions of one account since a start, each as a whole and as each strategy traded it.

    Parameters
    ----------
    opening : mapping of str to (float, float)
        Shares and marks at the start, by permanent symbol.

    Notes
    -----
    Strategies may be long and short of each other: realised and unrealised of a strategy are of its own trades. The
    totals of the strategies add up to the account's; their parts need not.
    """

    def __init__(self, opening: Mapping[str, tuple[float, float]]) -> None:
        self._whole: dict[str, TradedPosition] = defaultdict(TradedPosition)
        self._parts: dict[tuple[str, str], TradedPosition] = defaultdict(TradedPosition)
        self._last_price: dict[str, float] = {}
        for symbol, (shares, mark) in opening.items():
            self._whole[symbol] = TradedPosition(shares, mark)
            self._parts[AT_THE_START, symbol] = TradedPosition(shares, mark)
            self._last_price[symbol] = mark

    def fill(self, fill: Fill, strategy: str) -> None:
        """Book a fill of a strategy."""
        self._trade(strategy, fill.symbol, fill.quantity_shares, fill.price_usd, fill.commission_usd)
        self._last_price[fill.symbol] = fill.price_usd

    def split(self, symbol: str, ratio: float) -> None:
        """Book a split: `ratio` new shares for one old. What whole shares leave over counts as sold at its price."""
        whole = self._whole[symbol]
        after = shares_after_split(whole.shares, ratio, is_fractional=not whole.shares.is_integer())
        for position in (whole, *(part for (_, name), part in self._parts.items() if name == symbol)):
            position.split(ratio)
        self._last_price[symbol] = self._last_price.get(symbol, 0.0) / ratio
        self._trade(IN_LIEU, symbol, Fraction(after) - whole.exact_shares, self._last_price[symbol], 0.0)

    def take_over(self, shares: Mapping[str, float], marks_usd: Mapping[str, float]) -> None:
        """Book positions that were taken over from the broker: what differs counts as traded at its mark."""
        for symbol in sorted({*self._whole, *shares}):
            differs = Fraction(shares.get(symbol, 0.0)) - self._whole[symbol].exact_shares
            self._trade(TAKEN_OVER, symbol, differs, self._mark(symbol, marks_usd), 0.0)

    def exchange(self, symbol: str, acquirer: str | None, received: float, marks_usd: Mapping[str, float]) -> None:
        """Book a merger or delisting: what leaves counts as sold at its mark, what comes as bought at its own."""
        self._trade(TAKEN_OVER, symbol, -self._whole[symbol].exact_shares, self._mark(symbol, marks_usd), 0.0)
        if acquirer is not None and received:
            self._trade(TAKEN_OVER, acquirer, Fraction(received), self._mark(acquirer, marks_usd), 0.0)

    def shares(self) -> dict[str, float]:
        """Return the signed shares held, by symbol, without zeros."""
        return {symbol: held.shares for symbol, held in sorted(self._whole.items()) if held.shares}

    def average_cost_usd(self, symbol: str) -> float:
        """Return what an open share of a symbol cost on average."""
        return self._whole[symbol].average_cost_usd

    def last_price_usd(self, symbol: str) -> float:
        """Return the price that a symbol was last filled at, or its mark at the start; 0 for a stranger."""
        return self._last_price.get(symbol, 0.0)

    def of_symbol(self, symbol: str, mark_usd: float) -> Profit:
        """Return profit and loss of a symbol at a mark."""
        return _profit([self._whole[symbol].parts(mark_usd)])

    def of_account(self, marks_usd: Mapping[str, float]) -> Profit:
        """Return profit and loss of the account; a symbol without a mark is valued at its last price."""
        return _profit(position.parts(self._mark(symbol, marks_usd)) for symbol, position in self._whole.items())

    def by_strategy(self, marks_usd: Mapping[str, float]) -> dict[str, Profit]:
        """Return profit and loss of each strategy, by name."""
        found: dict[str, list[tuple[Fraction, Fraction, Fraction]]] = defaultdict(list)
        for (strategy, symbol), position in self._parts.items():
            found[strategy].append(position.parts(self._mark(symbol, marks_usd)))
        return {strategy: _profit(parts) for strategy, parts in sorted(found.items())}

    def _mark(self, symbol: str, marks_usd: Mapping[str, float]) -> float:
        return marks_usd.get(symbol, self.last_price_usd(symbol))

    def _trade(
        self, strategy: str, symbol: str, shares: float | Fraction, price_usd: float, commission_usd: float
    ) -> None:
        if not shares:
            return
        self._whole[symbol].trade(shares, price_usd, commission_usd)
        self._parts[strategy, symbol].trade(shares, price_usd, commission_usd)


def strategy_of(decision_id: str) -> str:
    """Return who traded, the book and kind of a decision: ``main/rebalance`` of ``paper/main/2014-06-09/rebalance/1``.

    Notes
    -----
    A kind with a name in it, as of an order that a person asked for, counts without it: ``desk/asked``.
    """
    parts = decision_id.split("/")
    return decision_id if len(parts) != _PARTS else f"{parts[1]}/{parts[3].partition(':')[0]}"


_PARTS = 5


def _profit(parts: Iterable[tuple[Fraction, Fraction, Fraction]]) -> Profit:
    realised = unrealised = commission = _NONE
    for part in parts:
        realised, unrealised, commission = realised + part[0], unrealised + part[1], commission + part[2]
    return Profit(
        realised_usd=float(realised),
        unrealised_usd=float(unrealised),
        commission_usd=float(commission),
        total_usd=float(realised + unrealised - commission),
    )
