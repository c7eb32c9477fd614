"""Rules of the exit door about size: of the order, of the day, of the book that it leads to, and of losses.

Belongs here: what is compared with a number of USD, shares or a share of equity. Rules about the order's moment are
:mod:`aegis.risk.exit_moments`.
"""

from __future__ import annotations

from decimal import Decimal

from aegis.risk.exact_amounts import UNMEASURED, at_most, exact, notional_usd, share_at_most
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_view import ExitView
from aegis.risk.live_breakers import loss_at_most
from aegis.risk.rule_finding import RuleFinding

_ZERO = Decimal(0)


def order_shares_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the order is of no more shares than any order may be."""
    shares = abs(view.shares)
    found = at_most(shares, exact(limits.max_order_shares))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: {shares} shares, an order may have {limits.max_order_shares:g}; send it in parts"
    )


def order_notional_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the order is worth no more than any order may be."""
    found = at_most(view.notional_usd, exact(limits.max_order_notional_usd))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: worth {view.notional_usd} USD at {view.price_usd} USD, an order may be worth "
        f"{limits.max_order_notional_usd:,.2f} USD; send it in parts, or get a quote where it is infinite"
    )


def order_share_of_equity_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the order is a share of equity that nobody mistypes."""
    found = share_at_most(view.notional_usd, exact(view.equity_usd), exact(limits.max_order_equity_fraction))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: worth {view.notional_usd} USD at an equity of {view.equity_usd} USD, an order may be "
        f"{limits.max_order_equity_fraction:g} of it; check the quantity, or send it in parts"
    )


def order_share_of_volume_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the order is a share of the symbol's median daily volume that nobody mistypes."""
    volume = None if view.facts is None else view.facts.median_daily_volume_shares
    found = share_at_most(abs(view.shares), exact(volume), exact(limits.max_order_volume_fraction))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: {abs(view.shares)} shares at a median daily volume "
        f"{'that is not known' if volume is None else f'of {volume} shares'}, an order may be "
        f"{limits.max_order_volume_fraction:g} of it; check the quantity, send it in parts, or load the volume"
    )


def day_notional_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when what was traded today, what is open and the order are worth no more than a day may be."""
    total = view.day_notional_usd + view.notional_usd
    found = at_most(total, exact(limits.max_day_notional_usd))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: {total} USD traded or open on {view.day.session} with {view.notional_usd} USD of this "
        f"order, a day may have {limits.max_day_notional_usd:,.2f} USD; only reduce until the next session"
    )


def day_shares_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the shares traded today, those open and the order's are no more than a day may have."""
    total = view.day_shares + abs(view.shares)
    found = at_most(total, exact(limits.max_day_shares))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: {total} shares traded or open on {view.day.session} with {abs(view.shares)} of this order, "
        f"a day may have {limits.max_day_shares:g}; only reduce until the next session"
    )


def position_weight_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when position, open orders on the order's side and the order are no more of equity than a name may be."""
    book, shares = view.book, view.shares
    at_work = book.open_bought_shares if shares > 0 else -book.open_sold_shares
    after = notional_usd(book.position_shares + at_work + shares, view.price_usd)
    found = share_at_most(after, exact(view.equity_usd), exact(limits.max_position_weight))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: {book.position_shares} shares held, {at_work} at work and {shares} of this order are worth "
        f"{after} USD at an equity of {view.equity_usd} USD, a name may be {limits.max_position_weight:g} of it; "
        "only reduce, or order less"
    )


def gross_exposure_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the book, each symbol with the open orders on its worse side, is within the limit with the order."""
    own = notional_usd(view.book.worst_shares(view.shares), view.price_usd)
    gross = view.other_exposure_usd + own
    found = share_at_most(gross, exact(view.equity_usd), exact(limits.max_gross_exposure))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: positions, open orders and this order are worth {gross} USD ({own} USD in this symbol) at "
        f"an equity of {view.equity_usd} USD, the limit is {limits.max_gross_exposure:g} times that; only reduce, "
        "and find a price for what is infinite"
    )


def buying_power_covers_the_order(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when the broker's buying power covers the order after all that was committed since it was stated."""
    needed = view.committed_usd + needed_usd(view)
    found = at_most(needed, exact(view.buying_power_usd))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: {needed} USD needed, {view.committed_usd} USD of it by open orders and fills since the "
        f"broker stated a buying power of {view.buying_power_usd} USD; order less, or wait for the next statement"
    )


def daily_loss_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the equity is not further below the day's first than a day may lose."""
    first = view.first_equity_usd
    found = loss_at_most(view.equity_usd, first, limits.max_daily_loss)
    if found.holds:
        return found
    return found.because(_fallen(view, f"the first of {view.day.session} was {first}", limits.max_daily_loss))


def drawdown_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the equity is not further below its highest than it may fall."""
    highest = view.peak_equity_usd
    found = loss_at_most(view.equity_usd, highest, limits.max_drawdown)
    if found.holds:
        return found
    return found.because(_fallen(view, f"its highest was {highest}", limits.max_drawdown))


def needed_usd(view: ExitView) -> Decimal:
    """Return the buying power that the order needs: a purchase all it costs, a sale what it sells short.

    Notes
    -----
    Sales at work sell what is held before this one does.
    """
    shares, book = view.shares, view.book
    if shares > 0:
        return view.notional_usd
    if book.position_shares.is_infinite():
        return UNMEASURED
    held = max(_ZERO, book.position_shares - book.open_sold_shares)
    return notional_usd(max(_ZERO, -shares - held), view.price_usd)


def _fallen(view: ExitView, since: str, limit: float) -> str:
    return (
        f"{view.label}: equity {view.equity_usd} USD, {since} USD, it may fall by {limit:g} of that; only reduce "
        "until a person has looked into it"
    )
