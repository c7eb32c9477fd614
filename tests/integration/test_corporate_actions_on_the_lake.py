"""A split and a merger that come new to a traded workspace: what is stored stays, and the book books them.

The embedded market of 2014 on the eve of a day, and a source in which the two largest positions act on that day: one
splits two for one, the other is taken over for cash.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.market_data.adjustments import adjusted_closes
from aegis.market_data.sources.source import MarketDataSource
from aegis.market_data.sources.wrapped import WrappedSource
from aegis_resources.market_data import Market
from tests.integration.conftest import CALENDAR, LONG_AFTER, THE_DAY, Chain, settings

EVE = CALENDAR.previous(THE_DAY)
DAY = {"first": THE_DAY, "last": THE_DAY}
PRICES = ["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]
STORED = (tables.RAW_BARS, tables.DAILY_BARS, tables.UNIVERSE, *tables.RESEARCH_TABLES, *tables.BOOK_TABLES)
Hashes = dict[str, dict[date, str]]


class WithActions(WrappedSource):
    """The same market in which one symbol splits on the day, and another trades no more."""

    def __init__(self, source: MarketDataSource, *, splits: str, merges: str, cash_usd: float) -> None:
        super().__init__(source)
        self._splits, self._merges = splits, merges
        blank = {"split_ratio": 1.0, "dividend_usd": 0.0, "pay_session": None, "new_ticker": None, "source": "hand"}
        row = {**blank, "session": THE_DAY, "known_at_utc": CALENDAR.open_utc(THE_DAY)}
        stated = [
            {**row, "symbol": splits, "action": "split", "split_ratio": 2.0},
            {**row, "symbol": merges, "action": "merger", "merger_cash_usd": cash_usd, "merger_ratio": 0.0},
            {**row, "symbol": merges, "action": "delisting"},
        ]
        self._actions = tables.CORPORATE_ACTIONS.conform(pd.DataFrame(stated))

    def bars(self, first: date, last: date) -> pd.DataFrame:
        bars = super().bars(first, last)
        since = bars["session"] >= pd.Timestamp(THE_DAY)
        bars.loc[since & (bars["symbol"] == self._splits), PRICES] /= 2.0
        return bars[~(since & (bars["symbol"] == self._merges))].reset_index(drop=True)

    def listings(self) -> pd.DataFrame:
        listings = super().listings()
        listings.loc[listings["symbol"] == self._merges, "last_session"] = pd.Timestamp(EVE)
        return listings

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        others = super().corporate_actions(first, last)
        own = self._actions if first <= THE_DAY <= last else self._actions.iloc[:0]
        rows = others[~others["symbol"].isin([self._splits, self._merges])].to_dict("records") + own.to_dict("records")
        return tables.CORPORATE_ACTIONS.conform(pd.DataFrame(rows)) if rows else tables.CORPORATE_ACTIONS.empty()


@dataclass
class Acted:
    """The workspace after the day, the two positions of the eve, and what was stored then."""

    chain: Chain
    split: pd.Series
    merged: pd.Series
    cash_usd: float
    stored_before: Hashes


def stored(chain: Chain) -> Hashes:
    return {table.key: chain.hashes(table, last=EVE) for table in STORED}


@pytest.fixture(scope="module")
def acted(eve: Path, tmp_path_factory: pytest.TempPathFactory) -> Acted:
    config = AegisConfig(**settings(home=shutil.copytree(eve, tmp_path_factory.mktemp("acted") / "home")))
    chain = Chain(config)
    held = chain.read(tables.POSITIONS, first=EVE, last=EVE).sort_values("market_value_usd")
    split, merged = held.iloc[-1], held.iloc[-2]
    cash_usd = round(1.25 * float(merged["mark_price_usd"]), 2)
    before = stored(chain)
    whole = Market(config, FixedClock(LONG_AFTER)).source
    source = WithActions(whole, splits=split["symbol"], merges=merged["symbol"], cash_usd=cash_usd)
    chain = Chain(config, source)
    chain.fetch_and_trade(THE_DAY, THE_DAY)
    return Acted(chain, split, merged, cash_usd, before)


def closes_as_known(chain: Chain, symbol: str, known_at: datetime) -> np.ndarray:
    sessions = CALENDAR.sessions(CALENDAR.offset(THE_DAY, -2), THE_DAY)
    bars = chain.read(tables.DAILY_BARS, first=date(2014, 8, 15), last=THE_DAY)
    return adjusted_closes(bars, chain.read(tables.CORPORATE_ACTIONS), [symbol], sessions, as_known_at=known_at)[:, 0]


def test_new_actions_change_no_raw_row_and_no_stored_decision(acted: Acted) -> None:
    assert acted.stored_before[tables.ORDERS.key], "the book has decided before"
    assert stored(acted.chain) == acted.stored_before


def test_a_new_split_doubles_the_position_and_adjusts_only_what_is_read_since(acted: Acted) -> None:
    chain, symbol = acted.chain, acted.split["symbol"]
    now = chain.read(tables.POSITIONS, **DAY).set_index("symbol").loc[symbol]
    fills = chain.read(tables.FILLS, **DAY)
    traded = fills.loc[fills["symbol"] == symbol, "quantity_shares"].sum()
    assert now["quantity_shares"] == 2.0 * acted.split["quantity_shares"] + traded
    raw = chain.read(tables.RAW_BARS, first=CALENDAR.previous(EVE), last=EVE)
    closes = raw.loc[raw["symbol"] == symbol, "close_raw_usd"]
    eve_knew = closes_as_known(chain, symbol, CALENDAR.close_utc(EVE))
    day_knew = closes_as_known(chain, symbol, CALENDAR.close_utc(THE_DAY))
    assert eve_knew[:2].tolist() == closes.tolist(), "as known on the eve nothing is adjusted"
    assert day_knew[:2].tolist() == (closes / 2.0).tolist(), "as known since, earlier closes are halved"


def test_a_cash_merger_pays_the_book_out_and_its_parts_add_up(acted: Acted) -> None:
    chain, symbol = acted.chain, acted.merged["symbol"]
    fills = chain.read(tables.FILLS, **DAY)
    for table in (tables.POSITIONS, tables.UNIVERSE, tables.FILLS):
        assert symbol not in set(chain.read(table, **DAY)["symbol"]), table.key
    actions = chain.read(tables.CORPORATE_ACTIONS, **DAY)
    assert "dividend" not in set(actions["action"]), "what follows is all the cash of the day"
    cash = chain.read(tables.ACCOUNT_VALUES, first=EVE, last=THE_DAY)["cash_usd"]
    spent = (fills["quantity_shares"] * fills["price_usd"] + fills["commission_usd"]).sum()
    received = cash.iloc[1] - cash.iloc[0] + spent
    assert received == pytest.approx(acted.merged["quantity_shares"] * acted.cash_usd, abs=1e-6)
    assert abs(chain.read(tables.DAILY_PNL, **DAY)["residual_usd"].iloc[0]) < 1e-6
