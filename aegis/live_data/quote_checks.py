"""Which quotes are believed.

Belongs here: the rules, as pure functions of two quotes and the settings. What is refused is counted and goes no
further: neither to an algorithm nor to the exit door.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta

from aegis.config_live_data import LiveDataSettings
from aegis.live_data.feed_health import Counted
from aegis.live_data.messages import LiveQuote

FAULTS = (Counted.NO_NUMBER, Counted.CROSSED, Counted.STUB, Counted.JUMP, Counted.FUTURE)
"""Reasons for which a quote is refused."""


@dataclass(frozen=True, slots=True)
class QuoteVerdict:
    """What becomes of a quote.

    Parameters
    ----------
    believed : LiveQuote or None
        The quote that counts from now on; None where nothing changes.
    counted : Counted
        Under what the message counts.
    doubted : LiveQuote or None
        The first of the quotes that say the same jump; None where there is none.
    """

    believed: LiveQuote | None
    counted: Counted
    doubted: LiveQuote | None = None


def judge_quote(
    quote: LiveQuote, known: LiveQuote | None, doubted: LiveQuote | None, settings: LiveDataSettings
) -> QuoteVerdict:
    """Return whether a quote counts from now on.

    Parameters
    ----------
    quote : LiveQuote
        As it came.
    known : LiveQuote or None
        The one that counts until now.
    doubted : LiveQuote or None
        As the last verdict left it.

    Notes
    -----
    A quote a little ahead of our clock is of the instant at which it was heard: clocks differ. One that is far from the
    quote before is believed when others have said the same for ``jump_confirmation_seconds``: one wrong message would
    move a collar, and a market that moved for good must not stay unknown. The vendor's time decides which of two is
    newer; the same quote said again changes nothing, and makes nothing younger.
    """
    fault = _fault_of(quote, settings)
    if fault is not None:
        return QuoteVerdict(None, fault, doubted)
    if quote.quoted_at_utc > quote.heard_at_utc:
        quote = replace(quote, quoted_at_utc=quote.heard_at_utc)
    if known is None:
        return QuoteVerdict(quote, Counted.QUOTES)
    if quote.quoted_at_utc < known.quoted_at_utc:
        return QuoteVerdict(None, Counted.OUT_OF_ORDER, doubted)
    if replace(quote, heard_at_utc=known.heard_at_utc) == known:
        return QuoteVerdict(None, Counted.DUPLICATES, doubted)
    return _weighed(quote, known, doubted, settings)


def _weighed(quote: LiveQuote, known: LiveQuote, doubted: LiveQuote | None, settings: LiveDataSettings) -> QuoteVerdict:
    """Return whether a newer quote that is sound in itself is believed beside the one before."""
    if not _is_far(quote, known, settings):
        return QuoteVerdict(quote, Counted.QUOTES)
    if doubted is None or _is_far(quote, doubted, settings):
        return QuoteVerdict(None, Counted.JUMP, quote)
    if quote.heard_at_utc - doubted.heard_at_utc >= timedelta(seconds=settings.jump_confirmation_seconds):
        return QuoteVerdict(quote, Counted.QUOTES)
    return QuoteVerdict(None, Counted.JUMP, doubted)


def _fault_of(quote: LiveQuote, settings: LiveDataSettings) -> Counted | None:
    prices = (quote.bid_usd, quote.ask_usd)
    if not all(math.isfinite(price) and price > 0.0 for price in prices):
        return Counted.NO_NUMBER
    if quote.bid_usd > quote.ask_usd:
        return Counted.CROSSED
    if quote.ask_usd - quote.bid_usd > settings.max_spread_fraction * quote.middle_usd:
        return Counted.STUB
    ahead = quote.quoted_at_utc - quote.heard_at_utc
    return Counted.FUTURE if ahead > timedelta(seconds=settings.max_clock_ahead_seconds) else None


def _is_far(quote: LiveQuote, other: LiveQuote, settings: LiveDataSettings) -> bool:
    return abs(quote.middle_usd - other.middle_usd) > settings.max_jump_fraction * other.middle_usd
