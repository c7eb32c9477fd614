"""What a person's confirmation settles, and what it never does; prices are written out by hand.

DEAL closes at 10 and at 10.10 in turn, so its robust volatility is 1.48 %, and is bid for: 28 after 10.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_quality import QualitySettings
from aegis.lake.tables import CONFIRMED_CLOSES, CORPORATE_ACTIONS, LISTINGS, RAW_BARS, SOURCE_AGREEMENT
from aegis.market_data.confirmed_closes import confirmations_of, known_by
from aegis.market_data.expectations import CHECKS
from aegis.market_data.quality_gate import GateResult, run_quality_gate

CALENDAR = trading_calendar("XNYS")
SESSIONS = CALENDAR.sessions(date(2014, 4, 1), date(2014, 6, 10))
BEFORE, BID, AFTER = date(2014, 6, 6), date(2014, 6, 9), date(2014, 6, 10)
AT = datetime(2014, 6, 9, 21, 30, tzinfo=UTC)
JUMP, SPIKE, BODY = "jumps_hide_no_split_or_unit_slip", "closes_do_not_spike_and_revert", "opens_stay_near_closes"
BY = "confirmed by j.doe at 2014-06-09 21:30 UTC: bid of 28.50, 8-K"


def bars(bid: float = 28.0, after: float = 28.1, opened: float | None = None) -> pd.DataFrame:
    rows = []
    for number, session in enumerate(SESSIONS):
        usual = 10.0 + 0.1 * (number % 2)
        close = {BEFORE: 10.0, BID: bid, AFTER: after}.get(session, usual)
        first = opened if opened is not None and session == BID else close
        for symbol, price, start in (("DEAL", close, first), ("CALM", 50.0 + 0.1 * (number % 3), None)):
            begin = price if start is None else start
            rows.append(
                {
                    "session": session, "symbol": symbol, "ticker": symbol, "open_raw_usd": begin,
                    "high_raw_usd": max(price, begin) + 0.05, "low_raw_usd": min(price, begin) - 0.05,
                    "close_raw_usd": price, "volume_shares": 1000.0 + number, "source": "test",
                    "known_at_utc": CALENDAR.close_utc(session),
                }
            )  # fmt: skip
    return RAW_BARS.conform(pd.DataFrame(rows))


LISTED = LISTINGS.conform(
    pd.DataFrame(
        [
            {
                "symbol": symbol, "ticker": symbol, "first_session": SESSIONS[0], "last_session": None, "name": symbol,
                "sector": "Test", "tradable": True, "source": "test",
            }
            for symbol in ("DEAL", "CALM")
        ]
    )
)  # fmt: skip


def confirmed(**changed: Any) -> pd.DataFrame:
    row = {
        "session": BID, "symbol": "DEAL", "close_raw_usd": 28.0, "open_raw_usd": None, "person": "j.doe",
        "reason": "bid of 28.50, 8-K", "known_at_utc": AT,
    }  # fmt: skip
    return CONFIRMED_CLOSES.conform(pd.DataFrame([{**row, **changed}]))


def gate(given: pd.DataFrame, said: pd.DataFrame | None = None, **changed: Any) -> GateResult:
    arguments = {
        "listings": LISTED, "actions": CORPORATE_ACTIONS.empty(), "calendar": CALENDAR, "settings": QualitySettings(),
        "snapshot_id": 1, "first": BEFORE, "last": AFTER, "confirmed": said,
    }  # fmt: skip
    return run_quality_gate(given, **{**arguments, **changed})


def result_of(found: GateResult, check: str, session: date) -> Any:
    rows = found.check_results
    (row,) = rows[(rows["check"] == check) & (rows["session"] == pd.Timestamp(session))].itertuples()
    return row


@pytest.fixture(scope="module")
def doubted() -> GateResult:
    return gate(bars())


@pytest.fixture(scope="module")
def settled() -> GateResult:
    return gate(bars(), confirmed())


def test_a_true_move_beyond_the_bounds_passes_once_confirmed_and_says_by_whom(
    doubted: GateResult, settled: GateResult
) -> None:
    assert doubted.blocked_sessions == {BID: [JUMP]}
    assert result_of(doubted, JUMP, BID).detail.endswith(
        "; if you looked it up and it is true: aegis data confirm DEAL 2014-06-09 --close 28"
    )
    assert settled.blocked_sessions == {}
    for check in (JUMP, "jumps_are_explained_by_actions", "moves_are_within_robust_volatility"):
        row = result_of(settled, check, BID)
        assert (row.outcome, row.observed, row.detail) == ("pass", 0, f"DEAL 2014-06-09: close 28 {BY}")
        (summary,) = [each for each in settled.summary if each.check == check]
        assert (summary.passed, summary.confirmed, summary.first_detail) == (True, 1, row.detail)
    raw = bars()
    expected = raw[raw["session"] >= pd.Timestamp(BEFORE)].reset_index(drop=True)
    pd.testing.assert_frame_equal(settled.daily_bars, expected, check_exact=True)


def test_no_other_session_is_judged_otherwise(doubted: GateResult, settled: GateResult) -> None:
    others = [each.check_results[each.check_results["session"] != pd.Timestamp(BID)] for each in (doubted, settled)]
    pd.testing.assert_frame_equal(*others, check_exact=True)


@pytest.mark.parametrize(
    "other",
    [{"symbol": "CALM"}, {"session": BEFORE}, {"close_raw_usd": 28.01}, {"close_raw_usd": 27.9999}],
    ids=["symbol", "session", "close", "restated by a hundredth of a cent"],
)
def test_a_confirmation_of_something_else_settles_nothing(other: dict[str, Any]) -> None:
    assert (
        confirmations_of(bars(), confirmed(**other))["confirmed_close"]
        .loc[bars()["session"] == pd.Timestamp(BID)]
        .isna()
        .all()
    )


def test_a_restated_bar_is_doubted_again() -> None:
    assert gate(bars(bid=28.4), confirmed()).blocked_sessions == {BID: [JUMP]}


def test_a_confirmation_counts_from_its_instant_on() -> None:
    assert known_by(confirmed(), AT - timedelta(microseconds=1)).empty
    assert len(known_by(confirmed(), AT)) == 1


def test_only_checks_of_what_is_plausible_take_it() -> None:
    assert {check.name: check.settled_by for check in CHECKS if check.settled_by} == {
        JUMP: "confirmed_close",
        "jumps_are_explained_by_actions": "confirmed_close",
        "moves_are_within_robust_volatility": "confirmed_close",
        SPIKE: "confirmed_close_before",
        BODY: "confirmed_bar",
    }


def test_prices_that_contradict_each_other_block_whatever_is_confirmed() -> None:
    broken = bars()
    of_the_bid = (broken["symbol"] == "DEAL") & (broken["session"] == pd.Timestamp(BID))
    broken.loc[of_the_bid, "low_raw_usd"] = 28.02
    assert gate(broken, confirmed(open_raw_usd=28.0)).blocked_sessions == {BID: ["high_low_bracket_open_close"]}


def test_another_source_that_disagrees_blocks_whatever_is_confirmed() -> None:
    bid = bars()[lambda rows: (rows["symbol"] == "DEAL") & (rows["session"] == pd.Timestamp(BID))].iloc[0]
    numbers = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares")
    other = {f"other_{name}": bid[name] for name in numbers} | {"other_close_raw_usd": 14.0}
    row = {**{name: bid[name] for name in ("session", "symbol", "source", *numbers)}, **other}
    agreement = SOURCE_AGREEMENT.conform(pd.DataFrame([{**row, "other_source": "two", "close_ratio": 0.5}]))
    found = gate(bars(), confirmed(), agreement=agreement)
    assert found.blocked_sessions == {BID: ["closes_agree_across_sources"]}


def test_a_spike_is_settled_by_its_own_close_and_not_by_the_one_that_takes_it_back() -> None:
    spiked = bars(bid=14.5, after=10.0)
    doubted = gate(spiked)
    assert doubted.blocked_sessions == {AFTER: [SPIKE]}
    assert "confirm its close" in result_of(doubted, SPIKE, AFTER).detail
    back = confirmed(session=AFTER, close_raw_usd=10.0)
    assert gate(spiked, back).blocked_sessions == {AFTER: [SPIKE]}
    settled = gate(spiked, confirmed(close_raw_usd=14.5))
    assert settled.blocked_sessions == {}
    assert result_of(settled, SPIKE, AFTER).detail == f"DEAL 2014-06-09: close 14.5 {BY}"
    (told,) = settled.confirmed_rows[settled.confirmed_rows["check"] == SPIKE].itertuples()
    assert (told.session, told.confirmed_session) == (pd.Timestamp(AFTER), pd.Timestamp(BID))


def test_a_return_to_the_old_level_is_a_jump_once_the_new_one_is_confirmed() -> None:
    """10 after 28 is a log return of -1.03; while 28 was doubted, 10 after 10 was none."""
    returned = bars(after=10.0)
    assert gate(returned).blocked_sessions == {BID: [JUMP]}
    assert gate(returned, confirmed()).blocked_sessions == {AFTER: [JUMP]}


def test_a_move_within_the_session_needs_the_open_confirmed_too() -> None:
    """28 / 10 is a log distance of 1.03, beyond 1."""
    within = bars(opened=10.0)
    doubted = gate(within)
    assert doubted.blocked_sessions == {BID: [JUMP, BODY]}
    assert result_of(doubted, BODY, BID).detail.endswith("aegis data confirm DEAL 2014-06-09 --close 28 --open 10")
    assert gate(within, confirmed()).blocked_sessions == {BID: [BODY]}
    assert gate(within, confirmed(open_raw_usd=10.2)).blocked_sessions == {BID: [BODY]}
    assert gate(within, confirmed(open_raw_usd=10.0)).blocked_sessions == {}


def test_others_that_offend_are_said_beside_the_confirmed_one() -> None:
    both = bars()
    calm = (both["symbol"] == "CALM") & (both["session"] == pd.Timestamp(BID))
    both.loc[calm, ["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]] *= 100.0
    found = gate(both, confirmed(reason="bid | 8-K"))
    row = result_of(found, JUMP, BID)
    said = row.detail.split(" | ")
    assert (row.outcome, row.observed, len(said)) == ("block", 1, 2)
    assert said[0].startswith("CALM 2014-06-09: close ")
    assert said[1].endswith("21:30 UTC: bid / 8-K")


def test_a_hostile_symbol_is_escaped_in_the_command_too() -> None:
    hostile = bars()
    hostile["symbol"] = hostile["symbol"].replace("DEAL", "\u202eDEAL")
    assert "\u202e" not in result_of(gate(hostile), JUMP, BID).detail
