"""The rule table of the quality gate: every data check, what judges it, and what follows when it fails.

Belongs here: definitions as values, importable in no time, because Dagster declares one asset check for each of them;
those about texts, listings and earlier bars are in :mod:`aegis.market_data.row_checks`. What a definition is, is
:mod:`aegis.market_data.check_definition`. Making the columns that are judged is
:mod:`aegis.market_data.bar_evidence` and :mod:`aegis.market_data.action_evidence`; running Great Expectations is
:mod:`aegis.market_data.validation`; what happens to the rows is :mod:`aegis.market_data.quality_gate`.
"""

from __future__ import annotations

from aegis.config_quality import QualitySettings
from aegis.market_data.action_evidence import LARGE_DIVIDEND_SHARE
from aegis.market_data.check_definition import CheckDefinition, Expectation
from aegis.market_data.row_checks import HISTORY_CHECKS, REPAIR_CHECKS, ROW_CHECKS

PRICES = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd")
NUMBERS = (*PRICES, "volume_shares")

LARGEST_VOLUME_SHARES = 1e12
"""More shares than any company has issued; a larger volume is dollars, or a number that overflowed."""

_LARGEST_FLOAT = 1.7976931348623157e308
_FOUR_PRICES = "open {open_raw_usd:.6g}, high {high_raw_usd:.6g}, low {low_raw_usd:.6g}, close {close_raw_usd:.6g} USD"


def _primary_key(_: QualitySettings) -> tuple[Expectation, ...]:
    return (Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": ["session", "symbol"]}),)


def _coverage(_: QualitySettings) -> tuple[Expectation, ...]:
    return (Expectation("ExpectColumnValuesToNotBeNull", {"column": "delivered_rows"}),)


def _complete(_: QualitySettings) -> tuple[Expectation, ...]:
    finite = {"min_value": -_LARGEST_FLOAT, "max_value": _LARGEST_FLOAT}
    return tuple(
        expectation
        for column in NUMBERS
        for expectation in (
            Expectation("ExpectColumnValuesToNotBeNull", {"column": column}),
            Expectation("ExpectColumnValuesToBeBetween", {"column": column, **finite}),
        )
    )


def _positive_prices(_: QualitySettings) -> tuple[Expectation, ...]:
    return tuple(
        Expectation("ExpectColumnValuesToBeBetween", {"column": column, "min_value": 0.0, "strict_min": True})
        for column in PRICES
    )


def _at_least(larger: str, smaller: str) -> Expectation:
    return Expectation(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        {"column_A": larger, "column_B": smaller, "or_equal": True, "ignore_row_if": "either_value_is_missing"},
    )


def _bracket(_: QualitySettings) -> tuple[Expectation, ...]:
    return (
        _at_least("high_raw_usd", "open_raw_usd"),
        _at_least("high_raw_usd", "close_raw_usd"),
        _at_least("open_raw_usd", "low_raw_usd"),
        _at_least("close_raw_usd", "low_raw_usd"),
        _at_least("high_raw_usd", "low_raw_usd"),
    )


def _wicks(settings: QualitySettings) -> tuple[Expectation, ...]:
    terms = {"column": "wick_log_length", "max_value": settings.implausible_wick}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


def _volume(_: QualitySettings) -> tuple[Expectation, ...]:
    return (Expectation("ExpectColumnValuesToBeBetween", {"column": "volume_shares", "min_value": 0.0}),)


def _countable_volume(_: QualitySettings) -> tuple[Expectation, ...]:
    terms = {"column": "volume_shares", "max_value": LARGEST_VOLUME_SHARES}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


def _session_days(_: QualitySettings) -> tuple[Expectation, ...]:
    return (Expectation("ExpectColumnValuesToNotBeNull", {"column": "calendar_session"}),)


def _point_in_time(_: QualitySettings) -> tuple[Expectation, ...]:
    return (_at_least("known_at_utc", "session_close_utc"),)


def _clean_text(_: QualitySettings) -> tuple[Expectation, ...]:
    return (Expectation("ExpectColumnValuesToBeNull", {"column": "unclean_text"}),)


def _no_slip(_: QualitySettings) -> tuple[Expectation, ...]:
    return (Expectation("ExpectColumnValuesToBeNull", {"column": "suspected_cause"}),)


def _possible_actions(_: QualitySettings) -> tuple[Expectation, ...]:
    return (Expectation("ExpectColumnValuesToBeNull", {"column": "impossible"}),)


def _shown_actions(_: QualitySettings) -> tuple[Expectation, ...]:
    return (Expectation("ExpectColumnValuesToBeNull", {"column": "contradiction"}),)


def _timely_actions(_: QualitySettings) -> tuple[Expectation, ...]:
    return (Expectation("ExpectColumnValuesToBeNull", {"column": "belated"}),)


def _ordinary_dividends(_: QualitySettings) -> tuple[Expectation, ...]:
    terms = {"column": "dividend_share", "max_value": LARGE_DIVIDEND_SHARE, "strict_max": True}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


def _explained(settings: QualitySettings) -> tuple[Expectation, ...]:
    bound = settings.unexplained_jump
    terms = {"column": "unexplained_log_return", "min_value": -bound, "max_value": bound}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


def _same_close(settings: QualitySettings) -> tuple[Expectation, ...]:
    terms = {"column": "close_gap", "max_value": settings.close_disagreement}
    return (Expectation("ExpectColumnValuesToBeBetween", terms),)


def _same_range_and_volume(settings: QualitySettings) -> tuple[Expectation, ...]:
    bounds = {"range_gap": settings.range_disagreement, "volume_gap": settings.volume_disagreement}
    return tuple(
        Expectation("ExpectColumnValuesToBeBetween", {"column": column, "max_value": bound})
        for column, bound in bounds.items()
    )


def _moving(settings: QualitySettings) -> tuple[Expectation, ...]:
    most = settings.stale_repeat_sessions - 1
    return (Expectation("ExpectColumnValuesToBeBetween", {"column": "identical_closes", "max_value": most}),)


CHECKS: tuple[CheckDefinition, ...] = (
    CheckDefinition(
        name="primary_key_is_unique",
        description="No two rows share session and symbol. Every copy counts as an offending row.",
        on_failure="block",
        version="1",
        evidence="bars",
        expectations=_primary_key,
        says="the row is delivered more than once (one copy closes at {close_raw_usd:.6g} USD); keep one of the copies "
        "in the source and fetch the session again",
    ),
    CheckDefinition(
        name="bars_cover_every_listed_symbol",
        description="Every symbol listed in a session, the benchmark included, has a bar; no session is empty.",
        on_failure="block",
        version="1",
        evidence="expected_bars",
        expectations=_coverage,
        says="{absence}; fetch the session again, or end the listing if it no longer trades",
        may_become=("quarantine",),
    ),
    CheckDefinition(
        name="columns_have_their_types_and_no_nulls",
        description="Open, high, low, close and volume are there and finite numbers. (A frame whose columns or dtypes "
        "are not those of raw_bars is refused before any check.)",
        on_failure="quarantine",
        version="2",
        evidence="bars",
        expectations=_complete,
        says=_FOUR_PRICES + ", volume {volume_shares:.6g} shares: a number is missing or infinite; complete the row in "
        "the source and fetch the session again",
        may_become=("block",),
    ),
    CheckDefinition(
        name="prices_are_positive",
        description="Open, high, low and close are above zero.",
        on_failure="block",
        version="1",
        evidence="bars",
        expectations=_positive_prices,
        says=_FOUR_PRICES + ": every price must be above 0; correct the row in the source and fetch the session again",
    ),
    CheckDefinition(
        name="high_low_bracket_open_close",
        description="High is at least open, close and low; low is at most open and close.",
        on_failure="block",
        version="1",
        evidence="bars",
        expectations=_bracket,
        says=_FOUR_PRICES + ": low <= open, close <= high does not hold; correct the row in the source and fetch the "
        "session again",
    ),
    CheckDefinition(
        name="wicks_stay_near_the_body",
        description="High and low lie within the configured log distance of open and close. A single bad tick leaves "
        "the close intact and yet bends every fill that averages the bar.",
        on_failure="quarantine",
        version="1",
        evidence="bars",
        expectations=_wicks,
        says=_FOUR_PRICES + ": high or low is far outside open and close, which looks like a bad tick; correct the row "
        "in the source and fetch the session again, or let this share be set aside: quality.max_quarantined_share",
        may_become=("block",),
    ),
    CheckDefinition(
        name="volume_is_not_negative",
        description="Volume is zero (a halt) or more.",
        on_failure="quarantine",
        version="2",
        evidence="bars",
        expectations=_volume,
        says="volume is {volume_shares:.6g} shares, expected 0 or more; correct the row in the source and fetch the "
        "session again",
        may_become=("block",),
    ),
    CheckDefinition(
        name="volume_is_below_a_trillion_shares",
        description="Volume is a number of shares, not of dollars, nor an overflow: orders are sized by it.",
        on_failure="quarantine",
        version="2",
        evidence="bars",
        expectations=_countable_volume,
        says="volume is {volume_shares:.6g} shares, expected a trillion at most; correct the row in the source and "
        "fetch the session again",
        may_become=("block",),
    ),
    CheckDefinition(
        name="no_row_outside_sessions",
        description="Every row is dated on a session of the calendar, and none after the last session asked for. A row "
        "on a closed day counts against the next session; a row from the future against the last one.",
        on_failure="block",
        version="1",
        evidence="bars",
        expectations=_session_days,
        says="the row is dated {session:%A} {session:%Y-%m-%d}, which is {misdated}; correct its date or remove it, or "
        "set market_data.calendar",
    ),
    CheckDefinition(
        name="known_at_follows_close",
        description="A bar became known at the close of its session or later: earlier is look-ahead.",
        on_failure="quarantine",
        version="2",
        evidence="bars",
        expectations=_point_in_time,
        says="known at {known_at_utc:%Y-%m-%d %H:%M:%S} UTC, before the close at {session_close_utc:%Y-%m-%d %H:%M:%S} "
        "UTC; correct known_at_utc in the source, a final bar cannot exist before the close",
        may_become=("block",),
    ),
    CheckDefinition(
        name="symbols_are_clean_text",
        description="The symbol is a plain instrument name, safe in files, SQL, pages and spreadsheets.",
        on_failure="block",
        version="2",
        evidence="bars",
        expectations=_clean_text,
        says="{unclean_text} is not a symbol; rename it in the source",
    ),
    CheckDefinition(
        name="recorded_actions_are_possible",
        description="A dividend is above 0 and below the close before its ex-session, and a split ratio lies within "
        "1/1000 to 1000. What is recorded is booked: cash for every share held, shares for every share.",
        on_failure="block",
        version="1",
        evidence="actions",
        expectations=_possible_actions,
        says="{impossible}",
    ),
    CheckDefinition(
        name="prices_show_the_recorded_actions",
        description="Open and close do not contradict a recorded split or dividend. What is recorded is booked, so the "
        "book stops before such a session.",
        on_failure="block",
        version="1",
        evidence="actions",
        expectations=_shown_actions,
        says="{contradiction}",
    ),
    CheckDefinition(
        name="jumps_hide_no_split_or_unit_slip",
        description="No jump beyond the bound looks like a split nobody recorded or a price in the wrong unit (x 100, "
        "x 1000), and none is larger than a share makes in a session, or than this share is used to.",
        on_failure="quarantine",
        version="3",
        evidence="bars",
        expectations=_no_slip,
        says="close {close_raw_usd:.2f} is {close_ratio:.3g} x the previous close {reference_close_usd:.2f} and "
        "{recorded}: it looks like {suspected_cause}; {cure} or quarantine the row; if you looked it up and it is "
        "true: aegis data confirm {symbol} {session:%Y-%m-%d} --close {close_raw_usd:.10g}",
        may_become=("block",),
        settled_by="confirmed_close",
    ),
    CheckDefinition(
        name="jumps_are_explained_by_actions",
        description="No close moves beyond the bound unless a split, dividend or delisting explains it. Real markets "
        "do it now and then, so this warns; jumps_hide_no_split_or_unit_slip takes the likely errors out.",
        on_failure="warn",
        version="1",
        evidence="bars",
        expectations=_explained,
        says="close {close_raw_usd:.2f} is {close_ratio:.3g} x the previous close {reference_close_usd:.2f} and "
        "{recorded}; look it up, and {cure} if it is not a true move",
        may_become=("quarantine", "block"),
        settled_by="confirmed_close",
    ),
    CheckDefinition(
        name="dividends_are_a_small_share_of_the_close",
        description="A dividend is below a quarter of the close before its ex-session. Special ones are larger now and "
        "then, so this warns.",
        on_failure="warn",
        version="1",
        evidence="actions",
        expectations=_ordinary_dividends,
        says="a dividend of {dividend_usd:.6g} USD is {dividend_share:.0%} of the previous close "
        "{previous_close_usd:.6g}; compare it with another source",
        may_become=("block",),
    ),
    CheckDefinition(
        name="actions_are_known_when_they_are_booked",
        description="No split, dividend, merger or delisting becomes known after its ex-session was decided. The books "
        "of the sessions in between went without it, so this warns in the session that learns of it.",
        on_failure="warn",
        version="1",
        evidence="actions",
        expectations=_timely_actions,
        says="{belated}",
        may_become=("block",),
    ),
    CheckDefinition(
        name="closes_are_not_stale",
        description="A close does not repeat for the configured number of bars while shares change hands.",
        on_failure="warn",
        version="1",
        evidence="bars",
        expectations=_moving,
        says="close {close_raw_usd:.6g} USD is the same for {identical_closes:.0f} bars or more, all with volume; "
        "compare it with another source",
        may_become=("quarantine", "block"),
    ),
    CheckDefinition(
        name="closes_agree_across_sources",
        description="Where a second source has the bar as well, its close is within the configured distance. Two "
        "vendors that differ cannot both be right, and an order would be sized by the wrong one half of the time.",
        on_failure="quarantine",
        version="1",
        evidence="bars",
        expectations=_same_close,
        says="close {close_raw_usd:.6g} USD from {source} and {other_close_raw_usd:.6g} USD from {other_source}, ratio "
        "{other_close_ratio:.6g}; look the close up, leave out the source that is wrong and fetch the session again",
        may_become=("warn", "block"),
    ),
    CheckDefinition(
        name="ranges_and_volumes_agree_across_sources",
        description="Where a second source has the bar as well, open, high, low and volume are within their configured "
        "distances. Vendors count odd lots, auctions and venues differently, so this warns.",
        on_failure="warn",
        version="1",
        evidence="bars",
        expectations=_same_range_and_volume,
        says="{worst_field} is {worst_value:.6g} from {source} and {worst_other_value:.6g} from {other_source}; find "
        "out what each counts, or widen quality.range_disagreement or quality.volume_disagreement",
        may_become=("quarantine", "block"),
    ),
    *REPAIR_CHECKS,
    *ROW_CHECKS,
    *HISTORY_CHECKS,
)
"""The rule table. Names are the primary key of ``quality/check_results`` and the Dagster asset checks."""
