"""What is not yet known at an instant changes no universe row, adjustment factor or feature decided by then.

Bars, corporate actions, facts about instruments and memberships of an index: each is cut off, and garbled.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import UniverseSettings
from aegis.features.daily import daily_features
from aegis.lake.tables import CORPORATE_ACTIONS, DAILY_BARS, DAILY_FEATURES, INSTRUMENTS, LISTINGS, UNIVERSE
from aegis.market_data.adjustments import adjustment_factors
from aegis.market_data.index_membership import IndexMembers
from aegis.market_data.universe import universe

CALENDAR = trading_calendar("XNYS")
DELAY = timedelta(minutes=15)
SESSIONS = CALENDAR.sessions(date(2018, 1, 2), date(2020, 12, 31))[:340]
DECIDED = SESSIONS[-60:]
DECISIONS = {s: CALENDAR.close_utc(s) + DELAY for s in SESSIONS}
BENCHMARK = "MKT"
SYMBOLS = [f"S{number}" for number in range(8)] + [BENCHMARK]
SETTINGS = UniverseSettings(min_history_sessions=60, dollar_volume_window_sessions=21, min_median_dollar_volume_usd=2e7)


@dataclass(frozen=True)
class World:
    """What a source has delivered."""

    bars: pd.DataFrame
    listings: pd.DataFrame
    actions: pd.DataFrame
    facts: pd.DataFrame
    spells: pd.DataFrame


@dataclass(frozen=True)
class Research:
    """What is made of it: content hashes of members and features by session, and the factors known at the decisions."""

    members: dict
    features: dict
    factors: str


@cache
def world():
    random = np.random.default_rng(77)
    shape = len(SESSIONS), len(SYMBOLS)
    market = random.normal(0.0003, 0.009, size=(shape[0], 1))
    closes = 50.0 * np.cumprod(1.0 + market + random.normal(0.0, 0.013, size=shape), axis=0)
    opens = closes * (1.0 + random.normal(0.0, 0.006, size=shape))
    splits = {(300, 2): 2.0, (318, 4): 0.1, (330, 6): 3.0}
    for (row, column), ratio in splits.items():
        closes[row:, column] /= ratio
        opens[row:, column] /= ratio
    bars = pd.DataFrame(
        {
            "session": np.repeat(pd.DatetimeIndex(SESSIONS).to_numpy(), shape[1]),
            "symbol": np.tile(SYMBOLS, shape[0]),
            "ticker": np.tile(SYMBOLS, shape[0]),
            "open_raw_usd": opens.ravel(),
            "high_raw_usd": (np.maximum(opens, closes) * 1.003).ravel(),
            "low_raw_usd": (np.minimum(opens, closes) / 1.004).ravel(),
            "close_raw_usd": closes.ravel(),
            "volume_shares": random.integers(300_000, 900_000, size=closes.size).astype(float),
            "source": "test",
            "known_at_utc": np.repeat(CALENDAR.closes_utc(SESSIONS), shape[1]) + DELAY,
        }
    )
    lost = random.uniform(size=len(bars)) < 0.004
    lost |= (bars["symbol"] == "S7").to_numpy() & (bars["session"] > pd.Timestamp(SESSIONS[325])).to_numpy()
    events = [(SESSIONS[row], SYMBOLS[column], "split", ratio, 0.0) for (row, column), ratio in splits.items()]
    events += [(SESSIONS[row], f"S{row % 8}", "dividend", 1.0, 0.1 + row / 500) for row in range(90, 340, 17)]
    events += [(SESSIONS[326], "S7", "delisting", 1.0, 0.0)]
    actions = pd.DataFrame(events, columns=["session", "symbol", "action", "split_ratio", "dividend_usd"])
    # Most are known by the open of the ex-session; some weeks before, and some only days after.
    shift = pd.to_timedelta(np.resize([0, 0, -12, 0, 3], len(actions)), unit="D")
    actions = actions.assign(
        pay_session=pd.NaT,
        new_ticker=None,
        source="test",
        known_at_utc=CALENDAR.opens_utc(list(actions["session"])) + shift,
    )
    listings = pd.DataFrame(
        {
            "symbol": SYMBOLS,
            "ticker": SYMBOLS,
            "first_session": SESSIONS[0],
            "last_session": [pd.NaT] * 7 + [pd.Timestamp(SESSIONS[326]), pd.NaT],
            "name": SYMBOLS,
            "sector": "Test",
            "tradable": [symbol != BENCHMARK for symbol in SYMBOLS],
            "source": "test",
        }
    )
    return World(
        DAILY_BARS.conform(bars[~lost]),
        LISTINGS.conform(listings),
        CORPORATE_ACTIONS.conform(actions),
        INSTRUMENTS.conform(described(random)),
        memberships(random),
    )


def described(random):
    """Each symbol is described when it is listed and five times anew: told before, at the open, or days after."""
    rows = [(symbol, SESSIONS[0], f"Sector of {symbol}", 1.0, CALENDAR.open_utc(SESSIONS[0])) for symbol in SYMBOLS]
    for symbol in SYMBOLS:
        for number, row in enumerate(random.choice(np.arange(270, 340), 5, replace=False)):
            known_at = CALENDAR.open_utc(SESSIONS[row]) + timedelta(hours=float(random.choice([-200, 0, 7, 90, 300])))
            rows.append((symbol, SESSIONS[row], f"Sector {number} of {symbol}", 10.0 * (number + 1), known_at))
    return facts_of(rows)


def facts_of(rows):
    facts = pd.DataFrame(rows, columns=["symbol", "first_session", "sector", "lot_shares", "known_at_utc"])
    return facts.assign(
        name=facts["symbol"],
        industry=facts["sector"] + ", industry",
        currency="USD",
        tick_usd=0.01,
        shortability="yes",
        listing_session=pd.Timestamp(SESSIONS[0]),
        delisting_session=pd.NaT,
        source="test",
    )


def memberships(random):
    """All but one belong to the index at first; each is away for some sessions, and its return may be told late."""
    rows = []
    for symbol in SYMBOLS[1:]:
        left = int(random.integers(282, 335))
        back = left + int(random.integers(2, 9))
        rows.append((symbol, SESSIONS[0], SESSIONS[left], pd.NaT))
        if back < len(SESSIONS):
            told = CALENDAR.open_utc(SESSIONS[back]) + timedelta(hours=float(random.choice([-200, 0, 7, 90])))
            rows.append((symbol, SESSIONS[back], pd.NaT, told))
    return spells_of(rows)


def spells_of(rows):
    spells = pd.DataFrame(rows, columns=["symbol", "first_session", "last_session", "known_at_utc"])
    return spells.assign(
        first_session=pd.to_datetime(spells["first_session"]),
        last_session=pd.to_datetime(spells["last_session"]),
        known_at_utc=pd.to_datetime(spells["known_at_utc"], utc=True),
    )


def spells_known_at(spells):
    """Return when each membership is known: when it was told, or at the opening of its first session."""
    return spells["known_at_utc"].fillna(pd.Series(CALENDAR.opens_utc(list(spells["first_session"])), spells.index))


def universe_of(seen, **window):
    return universe(
        seen.bars, seen.listings, seen.actions,
        settings=SETTINGS, instruments=seen.facts, index_members=IndexMembers(seen.spells), **window,
    )  # fmt: skip


def researched(seen, last):
    window = {"first": DECIDED[0], "last": last, "calendar": CALENDAR, "decision_times": DECISIONS}
    members = universe_of(seen, **window)
    features = daily_features(seen.bars, seen.actions, members, benchmark=BENCHMARK, **window)
    factors = adjustment_factors(seen.bars, seen.actions, DECIDED[0], last)
    known = factors[factors["known_at_utc"] <= DECISIONS[last]]
    return Research(
        UNIVERSE.content_hashes(members), DAILY_FEATURES.content_hashes(features), known.to_csv(float_format="%r")
    )


@cache
def by_everything(last):
    """What is decided up to a session by someone to whom the source has delivered all years at once."""
    return researched(world(), last)


def last_decided_by(instant):
    return max(session for session in DECIDED if DECISIONS[session] <= instant)


def truncated(instant):
    seen = world()
    ends = seen.listings["last_session"]
    return World(
        seen.bars[seen.bars["known_at_utc"] <= instant],
        seen.listings.assign(last_session=ends.where(ends <= instant.tz_localize(None))),
        seen.actions[seen.actions["known_at_utc"] <= instant],
        seen.facts[seen.facts["known_at_utc"] <= instant],
        without_later_ends(seen.spells[spells_known_at(seen.spells) <= instant], instant),
    )


def without_later_ends(spells, instant):
    ends = spells["last_session"]
    return spells.assign(last_session=ends.where(ends <= instant.tz_localize(None)))


def garbled_facts(facts, instant, random):
    """Other words in every row that is not known yet, and rows told later that claim to have held all along."""
    unknown = (facts["known_at_utc"] > instant).to_numpy()
    found = facts.copy()
    found.loc[unknown, ["sector", "industry"]] = "GARBLED"
    found.loc[unknown, "lot_shares"] = random.choice([3.0, 1e6], int(unknown.sum()))
    later = instant + timedelta(microseconds=1)
    backdated = [(symbol, SESSIONS[int(random.integers(1, 270))], "GARBLED", 7.0, later) for symbol in SYMBOLS]
    return INSTRUMENTS.conform(pd.concat([found, facts_of(backdated)]))


def garbled_spells(spells, instant, random):
    """Other ends for memberships that still run, some that are not known yet gone, and backdated ones told later."""
    unknown = (spells_known_at(spells) > instant).to_numpy()
    found = without_later_ends(spells, instant)
    running = found["last_session"].isna().to_numpy()
    after = pd.Timestamp(SESSIONS[-1]) + pd.Timedelta(days=1)
    day_after = max(pd.Timestamp(instant.date()) + pd.Timedelta(days=1), pd.Timestamp(DECIDED[0]))
    found.loc[running, "last_session"] = random.choice([day_after, after], int(running.sum()))
    found = found[~(unknown & (random.uniform(size=len(found)) < 0.5))]
    backdated = [(symbol, SESSIONS[0], pd.NaT, instant + timedelta(microseconds=1)) for symbol in SYMBOLS]
    return pd.concat([found, spells_of(backdated)], ignore_index=True)


def garbled(instant, random):
    """Replace every number that is not known yet, lose some rows, and put others in their place."""
    seen = world()
    bars, actions = seen.bars.copy(), seen.actions.copy()
    later = (bars["known_at_utc"] > instant).to_numpy()
    low, first, second, high = np.sort(np.exp(random.normal(3.0, 2.0, (4, int(later.sum())))), axis=0)
    for column, prices in (("low", low), ("open", first), ("close", second), ("high", high)):
        bars.loc[later, f"{column}_raw_usd"] = prices
    bars.loc[later, "volume_shares"] = random.choice([0.0, 1e3, 1e8], int(later.sum()))
    bars = bars[~(later & (random.uniform(size=len(bars)) < 0.2))]
    unknown = (actions["known_at_utc"] > instant).to_numpy()
    actions.loc[unknown, "split_ratio"] = random.choice([0.2, 1.0, 7.0], int(unknown.sum()))
    actions.loc[unknown, "dividend_usd"] = random.uniform(0.0, 0.5, int(unknown.sum()))
    facts, spells = garbled_facts(seen.facts, instant, random), garbled_spells(seen.spells, instant, random)
    return World(bars, seen.listings, actions, facts, spells)


def instants(count, seed):
    """Draw instants within the decided sessions: nights, weekends, mid-session and to the microsecond of a decision."""
    random = np.random.default_rng(seed)
    first, last = pd.Timestamp(DECISIONS[DECIDED[0]]), pd.Timestamp(DECISIONS[DECIDED[-1]])
    drawn = [first + (last - first) * share for share in random.uniform(size=count)]
    exact = [pd.Timestamp(DECISIONS[DECIDED[index]]) for index in random.integers(0, len(DECIDED), size=count)]
    return [exact[i] if i % 4 == 0 else drawn[i] for i in range(count)]


def check(instant, seed):
    random = np.random.default_rng(seed)
    last = last_decided_by(instant)
    expected = by_everything(last)

    assert researched(truncated(instant), last) == expected, f"truncated at {instant}"
    assert researched(garbled(instant, random), last) == expected, f"garbled after {instant}"


def test_the_world_of_these_tests_has_members_features_and_factors():
    found = by_everything(DECIDED[-1])
    members = universe_of(world(), first=DECIDED[0], last=DECIDED[-1], calendar=CALENDAR, decision_times=DECISIONS)

    assert len(found.members) == len(found.features) == len(DECIDED)
    assert found.factors.count("\n") > 5
    assert members["is_member"].sum() > 5 * len(DECIDED)
    assert members["reason"].nunique() > 3
    # S0 never belongs to the index; the others are away for a while (S7 perhaps only after its end).
    away = members[(members["reason"] == "not in the index") & (members["symbol"] != "S0")]
    assert away["symbol"].nunique() >= 6
    assert members.groupby("symbol")["sector"].nunique().gt(2).sum() > 5


def test_what_was_known_and_is_garbled_does_change_the_research():
    instant = pd.Timestamp(DECISIONS[DECIDED[30]])

    found = researched(garbled(instant - timedelta(days=3), np.random.default_rng(1)), DECIDED[30])

    assert found.features != by_everything(DECIDED[30]).features
    assert found.members != by_everything(DECIDED[30]).members


@pytest.mark.parametrize("number", range(3))
def test_random_truncation_and_garbling_change_nothing_decided(number):
    check(instants(3, seed=5)[number], seed=number)


@pytest.mark.long
def test_two_hundred_truncations_and_garblings_change_nothing_decided():
    drawn = instants(200, seed=20260)

    assert len({last_decided_by(instant) for instant in drawn}) > 50
    for seed, instant in enumerate(drawn):
        check(instant, seed)
