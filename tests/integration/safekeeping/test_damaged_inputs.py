"""A flipped bit in what an order is decided from: nothing is decided, and the message names file and remedy."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from aegis.errors import LakeUnreadable
from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis_assets.book import BOOK_ASSET_KEYS
from aegis_assets.table_assets import asset_key
from aegis_sensors import cli
from aegis_sensors.jobs import EXECUTE_TRADES
from tests.integration.conftest import Chain
from tests.integration.safekeeping.decided import LAST, LAST_BOOKED, decided_chain


def _flip_a_bit(chain: Chain, table: TableSchema, session: date) -> Path:
    with chain.lake() as store:
        file = store.checksums.files_read(table, first=session, last=session, snapshot_id=None)[-1]
    path = Path(file.path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("table", "reader", "session"),
    [
        (tables.RAW_BARS, BOOK_ASSET_KEYS, LAST),
        (tables.DAILY_BARS, BOOK_ASSET_KEYS, LAST),
        (tables.UNIVERSE, BOOK_ASSET_KEYS, LAST_BOOKED),
        (tables.COVARIANCES, BOOK_ASSET_KEYS, LAST_BOOKED),
        (tables.DAILY_FEATURES, [asset_key(tables.STRATEGY_SIGNALS)], LAST_BOOKED),
    ],
    ids=["raw bars", "bars", "universe", "covariances", "features"],
)
def test_a_flipped_bit_stops_the_orders(
    decided: Path, tmp_path: Path, table: TableSchema, reader: Sequence[dg.AssetKey], session: date
) -> None:
    home = shutil.copytree(decided, tmp_path / "home")
    chain = decided_chain(home)
    with chain.desk.recorded_journal() as journal:
        before = journal.head()
    path = _flip_a_bit(chain, table, session)

    with pytest.raises(LakeUnreadable) as refused:
        chain.run(EXECUTE_TRADES, session, session, assets=reader)

    said = str(refused.value)
    for part in (table.key, str(session), str(path), "damaged or exchanged", "aegis data restore"):
        assert part in said
    with chain.desk.recorded_journal() as journal:
        assert journal.head() == before


def test_verify_names_the_damaged_file_and_exits_with_one(
    decided: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = shutil.copytree(decided, tmp_path / "home")
    (tmp_path / "aegis.yaml").write_text(f"run: {{home: {home}}}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert cli.main(["data", "verify"]) == 0
    assert "every one is as it was written. The catalog's database is whole" in capsys.readouterr().out
    chain = decided_chain(home)
    path = _flip_a_bit(chain, tables.COVARIANCES, LAST_BOOKED)

    assert cli.main(["data", "verify", "--since", str(LAST_BOOKED)]) == 1
    said = capsys.readouterr().out
    assert f"{tables.COVARIANCES.key}: data file {path}" in said
    assert "1 damaged" in said
    assert cli.main(["data", "verify", "--table", tables.DAILY_BARS.key]) == 0
    assert cli.main(["data", "verify", "--table", "market_data/daily'; DROP"]) == 2
    assert "tables that have: " in capsys.readouterr().err
