"""The rule table's checks of texts, listings, single bars and a bar's own past.

Belongs here: definitions as values, joined into one table by :mod:`aegis.market_data.expectations`. Their evidence is
made in :mod:`aegis.market_data.repairs`, :mod:`aegis.market_data.listing_evidence` and
:mod:`aegis.market_data.bar_history`.
"""

from __future__ import annotations

from collections.abc import Callable

from aegis.config_quality import QualitySettings
from aegis.market_data.check_definition import CheckDefinition, Expectation

Expectations = Callable[[QualitySettings], tuple[Expectation, ...]]


def _nothing_said(column: str) -> Expectations:
    return lambda _: (Expectation("ExpectColumnValuesToBeNull", {"column": column}),)


def _bodies(settings: QualitySettings) -> tuple[Expectation, ...]:
    terms = {"column": "body_log_length", "max_value": settings.implausible_body}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


def _robust_moves(settings: QualitySettings) -> tuple[Expectation, ...]:
    terms = {"column": "robust_move", "max_value": settings.outlier_robust_volatilities}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


def _usual_volume(settings: QualitySettings) -> tuple[Expectation, ...]:
    bound = settings.unusual_volume_multiple
    terms = {"column": "dollar_volume_multiple", "min_value": 1.0 / bound, "max_value": bound}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


def _unfrozen(settings: QualitySettings) -> tuple[Expectation, ...]:
    terms = {"column": "frozen_bars", "max_value": settings.stale_repeat_sessions - 1}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


def _kept_universe(settings: QualitySettings) -> tuple[Expectation, ...]:
    terms = {"column": "lost_share_of_universe", "max_value": settings.max_universe_loss}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


REPAIR_CHECKS: tuple[CheckDefinition, ...] = (
    CheckDefinition(
        name="texts_have_no_blanks_around_them",
        description="Ticker and source begin and end with a visible character. Blanks are cut off; the raw row stays, "
        "and quality/repaired_values holds both texts.",
        on_failure="repair",
        version="1",
        evidence="bars",
        expectations=_nothing_said("repaired_blanks"),
        says="{repaired_blanks}; nothing needs to be done, the source would do well to trim it",
        may_become=("block",),
    ),
    CheckDefinition(
        name="highs_and_lows_reach_the_body",
        description="High and low do not miss open and close by the rounding of floating point. If they do, they are "
        "set to them; the raw row stays, and quality/repaired_values holds both prices.",
        on_failure="repair",
        version="1",
        evidence="bars",
        expectations=_nothing_said("repaired_noise"),
        says="{repaired_noise}; nothing needs to be done, the source computes prices instead of passing them on",
        may_become=("block",),
    ),
)

ROW_CHECKS: tuple[CheckDefinition, ...] = (
    CheckDefinition(
        name="tickers_are_clean_text",
        description="The ticker is a plain instrument name, safe in files, SQL, pages and spreadsheets.",
        on_failure="quarantine",
        version="1",
        evidence="bars",
        expectations=_nothing_said("unclean_ticker"),
        says="{unclean_ticker} is not a ticker; rename it in the source",
        may_become=("block",),
    ),
    CheckDefinition(
        name="sources_are_named",
        description="Every row says which source delivered it, in visible ASCII characters.",
        on_failure="quarantine",
        version="1",
        evidence="bars",
        expectations=_nothing_said("unclean_source"),
        says="{unclean_source} is not the name of a source; have the source name itself",
        may_become=("warn", "block"),
    ),
    CheckDefinition(
        name="rows_belong_to_a_listing",
        description="A row's symbol is listed in its session: not before its first, nor after its last.",
        on_failure="quarantine",
        version="1",
        evidence="bars",
        expectations=_nothing_said("unlisted"),
        says="{unlisted}; correct the listing, or remove the row from the source",
        may_become=("block",),
    ),
    CheckDefinition(
        name="tickers_are_those_of_the_listing",
        description="A row's ticker is the one under which its symbol is listed in that session.",
        on_failure="quarantine",
        version="1",
        evidence="bars",
        expectations=_nothing_said("other_ticker"),
        says="{other_ticker}; record the rename in the listings, or correct the ticker in the source",
        may_become=("warn", "block"),
    ),
    CheckDefinition(
        name="opens_stay_near_closes",
        description="Open and close lie within the configured log distance: one slipped price leaves the bar in order "
        "and yet fills every order of the opening.",
        on_failure="quarantine",
        version="1",
        evidence="bars",
        expectations=_bodies,
        says="open {open_raw_usd:.6g} and close {close_raw_usd:.6g} USD lie a log distance of {body_log_length:.2f} "
        "apart, which looks like a slipped price; correct the row in the source, or quarantine it; if you looked both "
        "up and they are true: aegis data confirm {symbol} {session:%Y-%m-%d} --close {close_raw_usd:.10g} "
        "--open {open_raw_usd:.10g}",
        may_become=("warn", "block"),
        settled_by="confirmed_bar",
    ),
)

HISTORY_CHECKS: tuple[CheckDefinition, ...] = (
    CheckDefinition(
        name="closes_do_not_spike_and_revert",
        description="No close is far from both of its neighbours, measured by robust volatility. Known only when the "
        "next session takes the move back, so it counts against that session.",
        on_failure="quarantine",
        version="2",
        evidence="bars",
        expectations=_nothing_said("reverted_spike"),
        says="{reverted_spike}; correct that session in the source and run again from it, or confirm its close if you "
        "looked it up and it is true (aegis data confirm)",
        may_become=("warn", "block"),
        settled_by="confirmed_close_before",
    ),
    CheckDefinition(
        name="bars_do_not_repeat_the_previous",
        description="A bar with a range does not repeat all four prices and the volume of the session before: that is "
        "yesterday's copy.",
        on_failure="quarantine",
        version="1",
        evidence="bars",
        expectations=_nothing_said("repeated_bar"),
        says="{repeated_bar}; fetch the session again",
        may_become=("warn", "block"),
    ),
    CheckDefinition(
        name="prices_are_not_frozen",
        description="All four prices of a bar with a range do not repeat for the configured number of bars while "
        "shares change hands.",
        on_failure="quarantine",
        version="1",
        evidence="bars",
        expectations=_unfrozen,
        says="open, high, low and close {close_raw_usd:.6g} USD are the same for {frozen_bars:.0f} bars or more, all "
        "with volume; fetch them again, or compare them with another source",
        may_become=("warn", "block"),
    ),
    CheckDefinition(
        name="moves_are_within_robust_volatility",
        description="No close moves further than the configured multiple of the symbol's robust volatility (1.4826 × "
        "median absolute return of the 28 sessions before). News does it, so this warns.",
        on_failure="warn",
        version="1",
        evidence="bars",
        expectations=_robust_moves,
        says="close {close_raw_usd:.6g} is {close_ratio:.3g} x the previous close {reference_close_usd:.6g}, "
        "{robust_move:.1f} robust volatilities; compare it with another source",
        may_become=("quarantine", "block"),
        settled_by="confirmed_close",
    ),
    CheckDefinition(
        name="volume_is_near_its_usual",
        description="Close × volume lies within the configured multiple of its median over the 28 sessions before.",
        on_failure="warn",
        version="1",
        evidence="bars",
        expectations=_usual_volume,
        says="volume {volume_shares:.6g} shares at {close_raw_usd:.6g} USD is {dollar_volume_multiple:.3g} x the usual "
        "dollar volume; compare it with another source, it may be in lots or in dollars",
        may_become=("quarantine", "block"),
    ),
    CheckDefinition(
        name="prices_move_only_with_volume",
        description="High and low differ only where shares changed hands, for symbols that report volume at all.",
        on_failure="warn",
        version="1",
        evidence="bars",
        expectations=_nothing_said("moved_without_volume"),
        says="{moved_without_volume}; compare the volume with another source",
        may_become=("quarantine", "block"),
    ),
    CheckDefinition(
        name="universe_keeps_its_size",
        description="No more than the configured share of the listed symbols ends from one session to the next: a list "
        "that was cut short promises no bars, so their absence would not be noticed.",
        on_failure="warn",
        version="1",
        evidence="sessions",
        expectations=_kept_universe,
        says="{listed_symbols} symbols are listed, {listed_before} were in the session before; compare the listings "
        "with another source",
        may_become=("block",),
    ),
)
