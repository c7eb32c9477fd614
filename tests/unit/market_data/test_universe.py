from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import UniverseSettings
from aegis.errors import MalformedData
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, UNIVERSE
from aegis.market_data.corporate_actions import normalise_actions
from aegis.market_data.index_membership import IndexMembers
from aegis.market_data.instrument_facts import normalise_instruments
from aegis.market_data.universe import lookback_sessions, universe

XNYS = trading_calendar("XNYS")
DAYS = XNYS.sessions(date(2014, 1, 2), date(2014, 12, 31))[:120]
SETTINGS = UniverseSettings(
    min_history_sessions=40, dollar_volume_window_sessions=5, min_median_dollar_volume_usd=1_000.0
)
DECISIONS = {day: XNYS.close_utc(day) + timedelta(minutes=15) for day in DAYS}


def bars(symbol: str, days: list[date], *, close: float = 10.0, volume: float = 1_000.0) -> pd.DataFrame:
    return pd.DataFrame(
        {"session": pd.to_datetime(days), "symbol": symbol, "close_raw_usd": close, "volume_shares": volume}
    )


def listing(symbol: str, *, first: date = DAYS[0], last: date | None = None, **facts: object) -> dict[str, object]:
    row = {"symbol": symbol, "ticker": symbol, "first_session": first, "last_session": last, "name": symbol}
    return row | {"sector": "Energy", "tradable": True, "source": "files"} | facts


def listings(*rows: dict[str, object]) -> pd.DataFrame:
    return LISTINGS.conform(pd.DataFrame(list(rows)))


def decide(
    history: pd.DataFrame,
    listed: pd.DataFrame,
    *,
    actions: pd.DataFrame | None = None,
    first: date = DAYS[0],
    last: date = DAYS[-1],
    **more: Any,
) -> pd.DataFrame:
    return universe(
        history, listed, CORPORATE_ACTIONS.empty() if actions is None else actions,
        first=first, last=last, calendar=XNYS, settings=SETTINGS, decision_times=DECISIONS, **more,
    )  # fmt: skip


def on(frame: pd.DataFrame, day: date, symbol: str = "AAA") -> dict[str, object]:
    return frame[(frame["session"] == pd.Timestamp(day)) & (frame["symbol"] == symbol)].iloc[0].to_dict()


def test_membership_begins_when_the_history_is_full() -> None:
    found = decide(bars("AAA", DAYS), listings(listing("AAA")))
    assert found["is_member"].tolist() == [False] * 39 + [True] * 81
    assert on(found, DAYS[38])["reason"] == "history: 39 bars in the last 40 sessions"
    assert on(found, DAYS[39]) == {
        "session": pd.Timestamp(DAYS[39]), "symbol": "AAA", "ticker": "AAA", "sector": "Energy", "is_member": True,
        "reason": "member", "median_dollar_volume_usd": 10_000.0, "known_at_utc": pd.Timestamp(DECISIONS[DAYS[39]]),
        "industry": None, "lot_shares": 1.0,
    }  # fmt: skip


def beside_another(days: list[date], *, others: list[date] = DAYS) -> dict[str, object]:
    """Return what is decided of AAA, with bars on `days`, on the 80th of them, beside BBB with bars on `others`."""
    history = pd.concat([bars("AAA", days), bars("BBB", others)])
    return on(decide(history, listings(listing("AAA"), listing("BBB"))), DAYS[80])


def test_two_of_forty_bars_may_be_missing_and_three_may_not() -> None:
    assert beside_another([day for day in DAYS if day not in DAYS[70:72]])["is_member"]
    refused = beside_another([day for day in DAYS if day not in DAYS[70:73]])
    assert (refused["is_member"], refused["reason"]) == (False, "history: 37 bars in the last 40 sessions")


def test_sessions_that_the_gate_blocked_are_held_against_nobody() -> None:
    ten_blocked = [day for day in DAYS if day not in DAYS[60:70]]
    assert beside_another(ten_blocked, others=ten_blocked)["is_member"]
    # Of the thirty sessions that are left, 28.5 are 95 %.
    assert beside_another([day for day in ten_blocked if day != DAYS[70]], others=ten_blocked)["is_member"] is False


def test_three_quarters_of_the_window_are_needed_whatever_was_blocked() -> None:
    eleven_blocked = [day for day in DAYS if day not in DAYS[60:71]]
    refused = beside_another(eleven_blocked, others=eleven_blocked)
    assert (refused["is_member"], refused["reason"]) == (False, "history: 29 bars in the last 40 sessions")


def test_tolerance_for_missing_bars_does_not_let_a_newcomer_in_early() -> None:
    """38 bars are 95 % of 40, but an instrument 38 sessions old has no return over 40."""
    found = decide(bars("AAA", DAYS[30:]), listings(listing("AAA", first=DAYS[30])))
    assert found.loc[found["is_member"], "session"].min() == pd.Timestamp(DAYS[69])


def test_a_bar_missing_exactly_at_the_start_of_the_window_excludes_nobody() -> None:
    gap = [day for day in DAYS if day != DAYS[41]]
    assert on(decide(bars("AAA", gap), listings(listing("AAA"))), DAYS[80])["is_member"]


def test_dollar_volume_is_the_median_over_the_window() -> None:
    history = bars("AAA", DAYS)
    history.loc[history["session"].isin(pd.to_datetime(DAYS[60:62])), "volume_shares"] = 0.0
    history.loc[history["session"].isin(pd.to_datetime(DAYS[62:65])), "volume_shares"] = [50.0, 90.0, 120.0]
    found = decide(history, listings(listing("AAA")))
    assert on(found, DAYS[64])["median_dollar_volume_usd"] == 500.0  # of 0, 0, 500, 900, 1200
    assert on(found, DAYS[64])["reason"] == "median dollar volume 500 USD is below 1000 USD"
    assert on(found, DAYS[63])["median_dollar_volume_usd"] == 500.0  # of 10000, 0, 0, 500, 900
    assert on(found, DAYS[61])["median_dollar_volume_usd"] == 10_000.0


def test_a_halted_member_stays_and_the_reason_says_so() -> None:
    history = bars("AAA", DAYS)
    history.loc[history["session"] == pd.Timestamp(DAYS[60]), "volume_shares"] = 0.0
    row = on(decide(history, listings(listing("AAA"))), DAYS[60])
    assert (row["is_member"], row["reason"]) == (True, "member; halted in this session, no volume")


def test_a_listed_instrument_without_a_bar_is_no_member() -> None:
    history = pd.concat([bars("AAA", [d for d in DAYS if d != DAYS[60]]), bars("BBB", DAYS)])
    row = on(decide(history, listings(listing("AAA"), listing("BBB"))), DAYS[60])
    assert (row["is_member"], row["reason"]) == (False, "no bar in this session")


def test_the_benchmark_is_never_a_member() -> None:
    row = on(decide(bars("AAA", DAYS), listings(listing("AAA", tradable=False, sector="Benchmark"))), DAYS[60])
    assert (row["is_member"], row["reason"]) == (False, "not tradable")


def test_an_announced_delisting_ends_membership_only_from_its_announcement() -> None:
    announced = DECISIONS[DAYS[60]]
    actions = normalise_actions(
        pd.DataFrame([{"session": DAYS[70], "symbol": "AAA", "action": "delisting", "known_at_utc": announced}]),
        XNYS, source="files",
    )  # fmt: skip
    found = decide(bars("AAA", DAYS[:70]), listings(listing("AAA", last=DAYS[69])), actions=actions)
    assert on(found, DAYS[59])["is_member"]
    assert on(found, DAYS[60])["reason"] == f"delisting announced for {DAYS[70]}"
    assert found["session"].max() == pd.Timestamp(DAYS[69])


def test_an_end_that_is_not_announced_is_not_foreseen() -> None:
    actions = normalise_actions(
        pd.DataFrame([{"session": DAYS[70], "symbol": "AAA", "action": "delisting"}]), XNYS, source="files"
    )
    found = decide(bars("AAA", DAYS[:70]), listings(listing("AAA", last=DAYS[69])), actions=actions)
    assert on(found, DAYS[69])["is_member"]


def test_a_relisted_instrument_is_not_haunted_by_its_old_delisting() -> None:
    actions = normalise_actions(
        pd.DataFrame([{"session": DAYS[20], "symbol": "AAA", "action": "delisting"}]), XNYS, source="files"
    )
    both = listings(listing("AAA", last=DAYS[19]), listing("AAA", first=DAYS[30], ticker="NEW"))
    found = decide(bars("AAA", DAYS[:20] + DAYS[30:]), both, actions=actions)
    assert not found["session"].isin(pd.to_datetime(DAYS[20:30])).any()
    assert on(found, DAYS[90])["is_member"]
    assert on(found, DAYS[90])["ticker"] == "NEW"


def test_a_session_without_any_bar_has_no_rows_and_needs_no_decision_time() -> None:
    history = bars("AAA", [day for day in DAYS if day != DAYS[60]])
    times = {day: instant for day, instant in DECISIONS.items() if day != DAYS[60]}
    found = universe(
        history, listings(listing("AAA")), CORPORATE_ACTIONS.empty(),
        first=DAYS[0], last=DAYS[-1], calendar=XNYS, settings=SETTINGS, decision_times=times,
    )  # fmt: skip
    assert pd.Timestamp(DAYS[60]) not in set(found["session"])
    with pytest.raises(MalformedData, match=f"{DAYS[60]}: no decision time"):
        universe(
            bars("AAA", DAYS), listings(listing("AAA")), CORPORATE_ACTIONS.empty(),
            first=DAYS[0], last=DAYS[-1], calendar=XNYS, settings=SETTINGS, decision_times=times,
        )  # fmt: skip


def test_overlapping_listings_are_refused() -> None:
    both = listings(listing("AAA"), listing("AAA", first=DAYS[5], ticker="NEW"))
    with pytest.raises(MalformedData, match=f"AAA: two listing intervals cover {DAYS[5]}"):
        decide(bars("AAA", DAYS), both)


def test_nobody_listed_gives_an_empty_table() -> None:
    found = decide(bars("AAA", DAYS), listings(listing("AAA")), first=date(2013, 3, 1), last=date(2013, 3, 5))
    pd.testing.assert_frame_equal(found, UNIVERSE.empty())


@pytest.fixture(scope="module")
def ragged_market() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(7)
    frames = []
    for number in range(6):
        days = [day for day in DAYS[3 * number :] if rng.random() > 0.02]
        volume = rng.integers(0, 300, len(days)).astype(float)
        frames.append(bars(f"S{number}", days, close=10.0 + number).assign(volume_shares=volume))
    return pd.concat(frames), listings(*(listing(f"S{n}", first=DAYS[3 * n]) for n in range(6)))


def test_one_range_two_halves_and_single_sessions_agree_to_the_bit(
    ragged_market: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    history, listed = ragged_market
    whole = UNIVERSE.content_hashes(decide(history, listed))
    halves = pd.concat([decide(history, listed, last=DAYS[55]), decide(history, listed, first=DAYS[56])])
    assert UNIVERSE.content_hashes(halves) == whole
    needed = lookback_sessions(SETTINGS)
    for position in range(100, 120):
        day = DAYS[position]
        window = history[history["session"] >= pd.Timestamp(DAYS[position - needed])]
        assert UNIVERSE.content_hashes(decide(window, listed, first=day, last=day)) == {day: whole[day]}
    short = history[history["session"] > pd.Timestamp(DAYS[110 - needed])]
    assert len(decide(short, listed, first=DAYS[110], last=DAYS[110])) == 6


def test_everything_after_t_may_be_deleted_or_garbled(ragged_market: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    history, listed = ragged_market
    t = DAYS[90]
    expected = UNIVERSE.content_hashes(decide(history, listed, last=t))
    past = history[history["session"] <= pd.Timestamp(t)]
    garbled = history.assign(volume_shares=history["volume_shares"].where(history["session"] <= pd.Timestamp(t), -5.0))
    ending = listed.assign(last_session=pd.Timestamp(DAYS[91]))
    later = {"session": DAYS[92], "symbol": "S1", "action": "delisting", "known_at_utc": DECISIONS[DAYS[91]]}
    unknown_yet = normalise_actions(pd.DataFrame([later]), XNYS, source="files")
    assert UNIVERSE.content_hashes(decide(past, listed, last=t)) == expected
    assert UNIVERSE.content_hashes(decide(garbled, ending, last=t, actions=unknown_yet)) == expected


def test_history_that_begins_before_the_calendar_is_not_asked_for() -> None:
    first_days = XNYS.sessions(date(1990, 1, 2), date(1990, 3, 30))
    found = universe(
        bars("AAA", first_days), listings(listing("AAA", first=first_days[0])), CORPORATE_ACTIONS.empty(),
        first=first_days[0], last=first_days[-1], calendar=XNYS, settings=SETTINGS,
        decision_times=dict.fromkeys(first_days, datetime(1990, 6, 1, tzinfo=UTC)),
    )  # fmt: skip
    assert found["is_member"].tolist() == [False] * 39 + [True] * (len(first_days) - 39)


def described(*rows: dict[str, object]) -> pd.DataFrame:
    return normalise_instruments(pd.DataFrame(list(rows)), XNYS, source="files")


def test_sector_industry_and_lot_are_those_known_in_the_session() -> None:
    """AAA changes its sector on the 60th day, which is told on the 70th; in between the old one is what is known."""
    told = DECISIONS[DAYS[70]] - timedelta(minutes=1)
    facts = described(
        {"symbol": "AAA", "first_session": DAYS[0], "sector": "Energy", "industry": "Drilling", "lot_shares": 100},
        {"symbol": "AAA", "first_session": DAYS[60], "sector": "Utilities", "industry": "Water", "known_at_utc": told},
    )
    found = decide(bars("AAA", DAYS), listings(listing("AAA", sector="of today")), instruments=facts)
    assert found["sector"].tolist() == ["Energy"] * 70 + ["Utilities"] * 50
    assert found["industry"].tolist() == ["Drilling"] * 70 + ["Water"] * 50
    assert found["lot_shares"].tolist() == [100.0] * 70 + [1.0] * 50


def test_what_is_known_of_nobody_yet_is_unclassified_and_not_the_sector_of_later() -> None:
    facts = described({"symbol": "AAA", "first_session": DAYS[50], "sector": "Energy"})
    found = decide(bars("AAA", DAYS), listings(listing("AAA", sector="Energy")), instruments=facts)
    assert found["sector"].tolist() == ["Unclassified"] * 50 + ["Energy"] * 70


def test_only_members_of_the_index_are_members_from_its_announcement_on() -> None:
    spells = pd.DataFrame(
        {
            "symbol": ["AAA", "AAA"],
            "first_session": pd.to_datetime([DAYS[50], DAYS[100]]),
            "last_session": pd.to_datetime([DAYS[79], None]),
            "known_at_utc": pd.to_datetime([None, DECISIONS[DAYS[109]]], utc=True),
        }
    )
    history = pd.concat([bars("AAA", DAYS), bars("BBB", DAYS)])
    found = decide(history, listings(listing("AAA"), listing("BBB")), index_members=IndexMembers(spells))
    members = found[found["is_member"]]
    assert set(members["symbol"]) == {"AAA"}
    assert members["session"].tolist() == [pd.Timestamp(day) for day in [*DAYS[50:80], *DAYS[109:]]]
    assert on(found, DAYS[80])["reason"] == "not in the index"
    assert on(found, DAYS[60], "BBB")["reason"] == "not in the index"


@pytest.mark.parametrize("seed", range(8))
def test_facts_and_memberships_of_later_change_nothing_before(seed: int) -> None:
    """Rows that begin or become known after a random day are garbled; everything up to it stays."""
    draws = np.random.default_rng(seed)
    cut = int(draws.integers(45, 110))
    known = [DECISIONS[DAYS[int(day)]] for day in draws.integers(0, 119, 12)]
    starts = [DAYS[int(day)] for day in draws.choice(119, 12, replace=False)]
    rows = [
        {"symbol": "AAA", "first_session": s, "sector": f"S{n}", "lot_shares": float(n + 1), "known_at_utc": k}
        for n, (s, k) in enumerate(zip(starts, known, strict=True))
    ]
    garbled = [
        row | {"sector": "GARBLED", "lot_shares": 999.0}
        if row["first_session"] > DAYS[cut] or row["known_at_utc"] > DECISIONS[DAYS[cut]]
        else row
        for row in rows
    ]
    spells = pd.DataFrame({"symbol": "AAA", "first_session": pd.to_datetime(starts), "last_session": pd.NaT})
    spells["known_at_utc"] = pd.to_datetime(known, utc=True)
    late = (spells["first_session"] > pd.Timestamp(DAYS[cut])) | (spells["known_at_utc"] > DECISIONS[DAYS[cut]])
    history, listed = bars("AAA", DAYS), listings(listing("AAA"))

    def up_to_cut(facts: list[dict[str, object]], members: pd.DataFrame) -> pd.DataFrame:
        found = decide(history, listed, instruments=described(*facts), index_members=IndexMembers(members))
        return found[found["session"] <= pd.Timestamp(DAYS[cut])]

    whole = up_to_cut(rows, spells)
    pd.testing.assert_frame_equal(whole, up_to_cut(garbled, spells[~late].reset_index(drop=True)))
    assert "GARBLED" not in set(whole["sector"])
