"""Rules of the exit door about the moment: switches, clocks, quotes, sessions, and what was sent just before.

Belongs here: whether this order may be sent now, whatever its size. Sizes are :mod:`aegis.risk.exit_sizes`.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter

from aegis.execution.orders import Order
from aegis.risk.exact_amounts import UNMEASURED, at_most, exact
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_prices import Quote, collar_usd
from aegis.risk.exit_view import ExitView, TradingDay
from aegis.risk.live_breakers import RUNAWAY
from aegis.risk.rule_finding import HOLDS, RuleFinding, finding, violated

_MICROSECOND = timedelta(microseconds=1)
_SENT_AT = attrgetter("sent_at_utc")
_ONE_SESSION = ("DAY", "IOC", "FOK", "OPG", "CLS")


def kill_switch_is_off(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when the account's kill switch is off."""
    if view.kill_switch_engaged is False:
        return HOLDS
    return violated(
        f"{view.label}: the kill switch of {view.account} is engaged, or not known to be off; find the cause, then "
        "let a person release it"
    )


def reconciliation_is_clean(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when the account's books were compared with the broker's and agree."""
    if view.reconciliation_clean is True:
        return HOLDS
    return violated(
        f"{view.label}: the books of {view.account} and the broker's differ, or were not compared; reconcile first"
    )


def order_is_for_this_account(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when the order is for the door's account."""
    if view.order.account == view.account:
        return HOLDS
    return violated(
        f"{view.label}: for account {view.order.account!r}, this door sends for {view.account!r}; send it there"
    )


def order_is_asked_once(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when no order of this id was let through before that the door remembers; the journal knows every one."""
    if view.asked_before_utc is None:
        return HOLDS
    return violated(
        f"{view.label}: let through already at {view.asked_before_utc}; ask the broker where it stands, or "
        "withdraw it if it was never sent"
    )


def no_runaway_is_stopped(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when the runaway guard does not stand."""
    if RUNAWAY not in view.tripped:
        return HOLDS
    return violated(f"{view.label}: {view.tripped[RUNAWAY]}")


def no_loss_breaker_is_tripped(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when no breaker for losses stands; a person releases them."""
    return finding([f"{view.label}: {told}" for name, told in view.tripped.items() if name != RUNAWAY])


def clock_agrees_with_the_broker(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the machine's clock was compared with the broker's lately and is near it."""
    skew = abs(exact(view.clock_skew_seconds))
    found = at_most(skew, exact(limits.max_clock_skew_seconds))
    if found.holds:
        return found
    return found.because(
        f"{view.label}: our clock is {skew} s from the broker's (infinite: not measured lately), "
        f"{limits.max_clock_skew_seconds:g} s are allowed; set the clock by a time server"
    )


def account_is_fresh(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the broker stated the account lately."""
    return _age(
        view, view.account_age_seconds, limits.max_account_age_seconds, "the broker's statement of account is", "ask it"
    )


def order_stream_is_alive(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the broker's order stream was heard lately."""
    return _age(
        view,
        view.stream_silence_seconds,
        limits.max_stream_silence_seconds,
        "the broker's last word on orders is",
        "connect again and reconcile",
    )


def quote_is_fresh(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when there is a usable quote that is not old, nor of the future by more than clocks may differ."""
    quote, age = view.quote, quote_age_seconds(view.quote, view.now_utc, limits)
    found = at_most(age, exact(limits.max_quote_age_seconds))
    if found.holds:
        return found
    seen = "none" if quote is None else f"bid {quote.bid_usd}, ask {quote.ask_usd} USD of {quote.quoted_at_utc}"
    return found.because(
        f"{view.label}: the quote is {age} s old, {limits.max_quote_age_seconds:g} s are allowed; found {seen}; "
        "wait for a quote of this symbol, or subscribe again"
    )


def quote_age_seconds(quote: Quote | None, now_utc: datetime, limits: ExitLimits) -> Decimal:
    """Return how old a quote is; unmeasured where it cannot be used, or is of the future by more than clocks differ."""
    if quote is None or not quote.is_usable:
        return UNMEASURED
    age = Decimal((now_utc - quote.quoted_at_utc) // _MICROSECOND) / 1_000_000
    return UNMEASURED if age < -exact(limits.max_clock_skew_seconds) else max(Decimal(0), age)


def price_is_within_the_collar(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the order's price is not beyond the quote, nor the quote beyond the arrival price, by the collar."""
    distance, allowed = collar_usd(view.order, view.touch_usd, fraction=limits.price_collar_fraction)
    order = view.order
    found = at_most(distance, allowed)
    if found.holds:
        return found
    return found.because(
        f"{view.label}: limit {order.limit_price_usd}, stop {order.stop_price_usd}, arrival price "
        f"{order.arrival_price_usd} USD against {view.touch_usd} USD quoted is {distance} USD on the dear side, "
        f"{allowed} USD are allowed ({limits.price_collar_fraction:g}); check price, quote and corporate actions"
    )


def day_orders_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when no more orders leave today than may."""
    count = view.day_orders + 1
    found = at_most(Decimal(count), exact(limits.max_day_orders))
    if found.holds:
        return found
    told = _too_many(view, count, limits.max_day_orders, f"on {view.day.session}")
    return found.because(f"{told}; find out what sends them")


def orders_per_second_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when no more orders leave within a second than may; one sent exactly a second ago is outside."""
    return _rate(view, view.second_orders + 1, limits.max_orders_per_second, "within a second")


def orders_per_minute_within_limit(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when no more orders leave within a minute than may; one sent exactly a minute ago is outside."""
    return _rate(view, view.minute_orders + 1, limits.max_orders_per_minute, "within a minute")


def order_is_not_a_duplicate(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when no equal order left under another id within the window, its last instant included."""
    window = timedelta(seconds=limits.duplicate_window_seconds)
    what = _asked_for(view.order)
    return finding(
        f"{view.label}: {view.order.quantity_shares:g} shares were ordered on the same terms as "
        f"{sent.order.client_order_id} at {sent.sent_at_utc}, less than {limits.duplicate_window_seconds:g} s ago; if "
        "both are meant, send this one later"
        for sent in view.recent[bisect_left(view.recent, view.now_utc - window, key=_SENT_AT) :]
        if sent.order.client_order_id != view.order.client_order_id and _asked_for(sent.order) == what
    )


def symbol_is_not_restricted(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when the symbol is known and may be traded; an order that only reduces needs no leave to open."""
    facts = view.facts
    if facts is None:
        return violated(f"{view.label}: nothing is known of the symbol; load it before it is traded")
    if not facts.restriction and (not facts.opening_restriction or view.is_reducing):
        return HOLDS
    keeps = facts.restriction or facts.opening_restriction
    return violated(f"{view.label}: restricted: {keeps}; do not trade it")


def symbol_is_not_halted(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when the symbol's trading is not halted."""
    if view.is_halted is False:
        return HOLDS
    return violated(f"{view.label}: trading is halted; wait until it resumes")


def short_sale_is_located(view: ExitView, _: ExitLimits) -> RuleFinding:
    """Hold when the order sells what is held, or shares to borrow were located."""
    book = view.book
    after = book.position_shares - book.open_sold_shares + min(view.shares, Decimal(0))
    is_short_sale = view.shares < 0 and (after < 0 or after.is_infinite())
    if not is_short_sale or (view.facts is not None and view.facts.is_shortable is True):
        return HOLDS
    return violated(
        f"{view.label}: {book.position_shares} shares held, {book.open_sold_shares} being sold, this order leaves "
        f"{after}, and no shares to borrow are located; sell what is held, or locate them"
    )


def market_takes_the_order_now(view: ExitView, limits: ExitLimits) -> RuleFinding:
    """Hold when the session and the order's time in force go together at this instant."""
    problem = _wrong_session(view) or _wrong_instant(view, limits)
    return HOLDS if problem is None else violated(f"{view.label}: {problem}")


def _wrong_session(view: ExitView) -> str | None:
    order, session = view.order, view.day.session
    if order.execution_session > session:
        return f"may not execute before {order.execution_session}, the session is {session}; send it then"
    if order.execution_session < session and order.time_in_force in _ONE_SESSION:
        return f"{order.time_in_force} of {order.execution_session}, the session is {session}; too late, decide again"
    if order.expires_at_utc is not None and order.expires_at_utc <= view.now_utc:
        return f"its life ended at {order.expires_at_utc}; decide again"
    return None


def _wrong_instant(view: ExitView, limits: ExitLimits) -> str | None:
    day, now, order = view.day, view.now_utc, view.order
    if order.time_in_force == "OPG" or order.order_type in ("market_on_open", "limit_on_open"):
        last = day.opens_at_utc - timedelta(seconds=limits.open_auction_cutoff_seconds)
        return (
            None if now <= last else f"the opening auction takes orders until {last}, {_hours(day)}; wait for the next"
        )
    if order.time_in_force == "CLS" or order.order_type in ("market_on_close", "limit_on_close"):
        last = day.closes_at_utc - timedelta(seconds=limits.close_auction_cutoff_seconds)
        return (
            None if now <= last else f"the closing auction takes orders until {last}, {_hours(day)}; wait for the next"
        )
    if order.time_in_force in ("GTC", "GTD") or day.opens_at_utc <= now < day.closes_at_utc:
        return None
    return f"{order.time_in_force} while the market is closed, {_hours(day)}; send it then"


def _hours(day: TradingDay) -> str:
    return f"the market is open from {day.opens_at_utc} to {day.closes_at_utc}"


def _asked_for(order: Order) -> tuple[object, ...]:
    return (
        order.quantity_shares,
        order.order_type,
        order.limit_price_usd,
        order.stop_price_usd,
        order.trail_usd,
        order.trail_fraction,
    )


def are_within_rates(second_orders: int, minute_orders: int, limits: ExitLimits) -> bool:
    """Return whether so many orders may leave within a second and a minute."""
    return second_orders <= limits.max_orders_per_second and minute_orders <= limits.max_orders_per_minute


def _rate(view: ExitView, count: int, limit: float, when: str) -> RuleFinding:
    found = at_most(Decimal(count), exact(limit))
    if found.holds:
        return found
    return found.because(f"{_too_many(view, count, limit, when)}; send it later")


def _too_many(view: ExitView, count: int, limit: float, when: str) -> str:
    return f"{view.label}: it would be order {count} {when}, {limit:g} are allowed"


def _age(view: ExitView, seconds: float | None, limit: float, what: str, remedy: str) -> RuleFinding:
    age = exact(seconds)
    found = at_most(age, exact(limit))
    if found.holds:
        return found
    return found.because(f"{view.label}: {what} {age} s old (infinite: none yet), {limit:g} s are allowed; {remedy}")
