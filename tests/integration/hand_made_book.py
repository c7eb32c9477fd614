"""A book of three sessions whose every number is worked out by hand, and the lake and the dbt command that hold it.

2024-01-31  buy 100 AAA at 50.50 (reference 50.40, arrival 50, commission 1); buy BBB: 100 at 20.10 (20.00, 20, 1) and
            50 at 20.00 (20.00, 20, 0.50). Closes 51 and 20: positions 5,100 + 3,000, cash 100,000 - 8,060 - 2.50.
2024-02-01  AAA goes ex 0.30 on 100 shares; sell 40 AAA at 51.90 (52.00, 51, 1); an order for 10 BBB stays unfilled;
            interest 2. Closes 52.50 and 19: positions 3,150 + 2,850, cash 91,937.50 + 2,076 - 1 + 2, receivable 30.

A second account only holds. 2024-01-31: 7 CCC at 30, 4 DDD at 25, 2 EEE at 50, cash 590. 2024-02-01: CCC splits 3 for
2, 10 shares and half a share's 10 in cash, close 21; DDD and EEE are delisted, DDD at its last close 26, EEE, without
a bar, at its mark. Cash 590 + 10 + 104 + 100, positions 210.

A third holds 10 FFF at 40 and 8 GGG at 10, cash 520. 2024-02-01: FFF turns to 2 USD and 0.35 HHH, which closes at 21:
3 HHH, half a share's 10.50 and 20 in cash; GGG is paid 12.50 a share. Cash 520 + 30.50 + 100, positions 63.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import duckdb_extensions
import pandas as pd

from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.reporting.dbt_sources import SOURCE_TABLES

DBT_PROJECT = Path(__file__).parents[2] / "dbt"
KNOWN = pd.Timestamp("2024-02-02", tz="UTC")
JAN_30, JAN_31, FEB_1 = "2024-01-30", "2024-01-31", "2024-02-01"


def rows(table: TableSchema, *values: tuple[object, ...]) -> pd.DataFrame:
    given = [column.name for column in table.columns if not column.is_added]
    return table.conform(pd.DataFrame(values, columns=given))


def order(session: str, execution: str, number: str, symbol: str, shares: float, arrival: float, outcome: str) -> tuple:
    fate = ("vwap", "DAY", execution, arrival, 0.05, shares < 0, outcome, "rebalance", 1, KNOWN)
    return (session, "simulated", number, f"d-{session}", symbol, symbol, shares, *fate)


def fill(
    session: str, order_id: str, number: int, symbol: str, *, shares: float, price: float, reference: float,
    commission: float, arrival: float, decided: str = "",
) -> tuple:  # fmt: skip
    slippage = {"o1": 10.0, "o2": 10.0, "child of o2": 0.0, "o4": 4.0}[order_id]
    money = (shares, price, reference, commission, slippage, arrival, KNOWN)
    return (session, "simulated", order_id, f"d-{decided or session}", number, symbol, symbol, *money)


def position(
    session: str, symbol: str, shares: float, mark: float, *, value: float, equity: float, account: str = "simulated"
) -> tuple:
    return (session, account, symbol, shares, mark, session, value, mark, 0.0, value / equity)


def with_merger_terms(table: TableSchema, *values: tuple[object, ...]) -> pd.DataFrame:
    """Return corporate actions in which FFF is merged for cash and shares of HHH, and GGG for cash."""
    found = rows(table, *values)
    for symbol, cash, ratio, acquirer in (("FFF", 2.0, 0.35, "HHH"), ("GGG", 12.5, 0.0, None)):
        own = (found["symbol"] == symbol) & (found["action"] == "merger")
        found.loc[own, ["merger_cash_usd", "merger_ratio"]] = cash, ratio
        found.loc[own, "acquirer"] = acquirer
    return table.conform(found)


FRAMES = {
    tables.LISTINGS: rows(
        tables.LISTINGS,
        ("AAA", "AAA", "2020-01-02", JAN_31, "Alpha", "Hardware", True, "hand"),
        ("AAA", "AAX", FEB_1, None, "Alpha", "Software", True, "hand"),
        ("BBB", "BBB", "2020-01-02", JAN_31, "Beta", "Energy", True, "hand"),
        *(
            (name, name, "2020-01-02", None, name, "Energy", True, "hand")
            for name in ("CCC", "DDD", "EEE", "FFF", "GGG", "HHH")
        ),
    ),
    tables.CORPORATE_ACTIONS: with_merger_terms(
        tables.CORPORATE_ACTIONS,
        (FEB_1, "AAA", "dividend", 1.0, 0.30, "2024-02-15", None, "hand", KNOWN),
        (FEB_1, "AAA", "rename", 1.0, 0.0, None, "AAX", "hand", KNOWN),
        (FEB_1, "CCC", "split", 1.5, 0.0, None, None, "hand", KNOWN),
        (FEB_1, "DDD", "delisting", 1.0, 0.0, None, None, "hand", KNOWN),
        (FEB_1, "EEE", "delisting", 1.0, 0.0, None, None, "hand", KNOWN),
        *((FEB_1, name, "delisting", 1.0, 0.0, None, None, "hand", KNOWN) for name in ("FFF", "GGG")),
        *((FEB_1, name, "merger", 1.0, 0.0, None, None, "hand", KNOWN) for name in ("FFF", "GGG")),
    ),
    tables.DAILY_BARS: rows(
        tables.DAILY_BARS,
        (FEB_1, "CCC", "CCC", 21.0, 21.0, 21.0, 21.0, 1e6, "hand", KNOWN),
        (FEB_1, "DDD", "DDD", 26.0, 26.0, 26.0, 26.0, 1e6, "hand", KNOWN),
        (FEB_1, "HHH", "HHH", 21.0, 21.0, 21.0, 21.0, 1e6, "hand", KNOWN),
        (JAN_31, "AAA", "AAA", 51.0, 51.0, 51.0, 51.0, 2000.0, "hand", KNOWN),
        (JAN_31, "BBB", "BBB", 20.0, 20.0, 20.0, 20.0, 1000.0, "hand", KNOWN),
    ),
    tables.CHECK_RESULTS: rows(
        tables.CHECK_RESULTS,
        (JAN_30, "market_data/raw_bars", "prices_are_positive", "1", "pass", True, 0, 0, None, "h", 1),
        (JAN_31, "market_data/raw_bars", "prices_are_positive", "1", "block", True, 2, 0, "AAA -1", "h", 1),
        (FEB_1, "market_data/raw_bars", "prices_are_positive", "1", "pass", True, 0, 0, None, "h", 1),
        (JAN_31, "market_data/raw_bars", "volume_is_plausible", "1", "warn", False, 1, 0, "BBB", "h", 1),
    ),
    tables.ORDERS: rows(
        tables.ORDERS,
        order(JAN_30, JAN_31, "o1", "AAA", 100, 50, "approved"),
        order(JAN_30, JAN_31, "o2", "BBB", 200, 20, "approved"),
        order(JAN_30, JAN_31, "o3", "BBB", 900, 20, "refused"),
        order(JAN_31, FEB_1, "o4", "AAA", -40, 51, "approved"),
        order(JAN_31, FEB_1, "o5", "BBB", -10, 20, "approved"),
    ),
    tables.FILLS: rows(
        tables.FILLS,
        fill(JAN_31, "o1", 1, "AAA", shares=100, price=50.5, reference=50.4, commission=1, arrival=50),
        fill(JAN_31, "o2", 1, "BBB", shares=100, price=20.1, reference=20, commission=1, arrival=20),
        fill(
            JAN_31,
            "child of o2",
            1,
            "BBB",
            shares=50,
            price=20,
            reference=20,
            commission=0.5,
            arrival=20,
            decided=JAN_30,
        ),
        fill(FEB_1, "o4", 1, "AAA", shares=-40, price=51.9, reference=52, commission=1, arrival=51),
    ),
    tables.POSITIONS: rows(
        tables.POSITIONS,
        position(JAN_31, "AAA", 100, 51, value=5100, equity=100_037.5),
        position(JAN_31, "BBB", 150, 20, value=3000, equity=100_037.5),
        position(FEB_1, "AAA", 60, 52.5, value=3150, equity=100_044.5),
        position(FEB_1, "BBB", 150, 19, value=2850, equity=100_044.5),
        position(JAN_31, "CCC", 7, 30, value=210, equity=1000, account="second"),
        position(JAN_31, "DDD", 4, 25, value=100, equity=1000, account="second"),
        position(JAN_31, "EEE", 2, 50, value=100, equity=1000, account="second"),
        position(FEB_1, "CCC", 10, 21, value=210, equity=1014, account="second"),
        position(JAN_31, "FFF", 10, 40, value=400, equity=1000, account="third"),
        position(JAN_31, "GGG", 8, 10, value=80, equity=1000, account="third"),
        position(FEB_1, "HHH", 3, 21, value=63, equity=713.5, account="third"),
    ),
    tables.ACCOUNT_VALUES: rows(
        tables.ACCOUNT_VALUES,
        (JAN_30, "simulated", 100_000.0, 0.0, 0.0, 100_000.0, 100_000.0, 0.0, 1.0),
        (JAN_31, "simulated", 91_937.5, 0.0, 8100.0, 100_037.5, 100_037.5, 0.0, 1.01),
        (FEB_1, "simulated", 94_014.5, 30.0, 6000.0, 100_044.5, 100_044.5, 0.0, 1.0),
        (JAN_31, "second", 590.0, 0.0, 410.0, 1000.0, 1000.0, 0.0, None),
        (FEB_1, "second", 804.0, 0.0, 210.0, 1014.0, 1014.0, 0.0, None),
        (JAN_31, "third", 520.0, 0.0, 480.0, 1000.0, 1000.0, 0.0, None),
        (FEB_1, "third", 650.5, 0.0, 63.0, 713.5, 1000.0, -0.2865, None),
    ),
    tables.DAILY_PNL: rows(
        tables.DAILY_PNL,
        (JAN_30, "simulated", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None),
        (JAN_31, "simulated", 37.5, 0.0, 60.0, 0.0, 0.0, -20.0, -2.5, 0.0, 0.000375, 0.01),
        (FEB_1, "simulated", 7.0, 0.0, -20.0, 30.0, 2.0, -4.0, -1.0, 0.0, 0.00007, -0.0099),
        (JAN_31, "second", 410.0, 410.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None),
        (FEB_1, "second", 14.0, 14.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.014, None),
        (JAN_31, "third", 480.0, 480.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None),
        (FEB_1, "third", -286.5, -286.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.2865, None),
    ),
    tables.STRATEGY_PNL: rows(
        tables.STRATEGY_PNL,
        (JAN_30, "simulated", "unattributed", "unattributed", None, None, None, 0.0),
        (JAN_31, "simulated", "unattributed", "unattributed", None, None, None, 0.0),
        (JAN_31, "second", "unattributed", "unattributed", None, None, None, 410.0),
        (FEB_1, "simulated", "neutral", "neutral", JAN_30, 0.06, 0.06, 20.0),
        (FEB_1, "simulated", "strategy", "momentum", JAN_30, 0.02, 0.04, 15.0),
        (FEB_1, "simulated", "unattributed", "unattributed", JAN_30, None, None, -5.0),
        (FEB_1, "second", "unattributed", "unattributed", JAN_30, None, None, 14.0),
        (JAN_31, "third", "unattributed", "unattributed", None, None, None, 480.0),
        (FEB_1, "third", "unattributed", "unattributed", JAN_30, None, None, -286.5),
    ),
}


class DbtLake:
    """A lake on disk and the dbt command that reads it; dbt's own files go beside the lake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = folder / "catalog.sqlite"
        self.data = folder / "data"

    def query(self, statement: str) -> pd.DataFrame:
        with duckdb.connect() as connection:
            for name in ("sqlite", "ducklake"):
                duckdb_extensions.import_extension(name, con=connection)
            connection.execute(f"attach 'ducklake:sqlite:{self.catalog}' as lake (data_path '{self.data}')")
            return connection.execute(statement).df()

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "AEGIS_LAKE_CATALOG": str(self.catalog),
            "AEGIS_LAKE_DATA": str(self.data),
            "DBT_PROJECT_DIR": str(DBT_PROJECT),
            "DBT_PROFILES_DIR": str(DBT_PROJECT),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
        }
        command = [sys.executable, "-m", "dbt.cli.main", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    def create(self) -> None:
        """Make the tables of :data:`SOURCE_TABLES` with the rows of :data:`FRAMES`."""
        self.data.mkdir()
        with duckdb.connect() as connection:
            for name in ("sqlite", "ducklake"):
                duckdb_extensions.import_extension(name, con=connection)
            connection.execute(f"attach 'ducklake:sqlite:{self.catalog}' as lake (data_path '{self.data}')")
            for table in SOURCE_TABLES:
                columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in table.columns)
                connection.execute(f"create schema if not exists lake.{table.layer}")
                connection.execute(f"create table lake.{table.layer}.{table.name} ({columns})")
                frame = FRAMES[table]
                assert len(frame) > 0
                statement = f"insert into lake.{table.layer}.{table.name} select * from frame"  # noqa: S608 - names of ours
                connection.execute(statement)
