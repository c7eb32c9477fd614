"""A membership file: what it says, and what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from aegis.errors import ConfigurationError, MalformedData
from aegis.market_data.index_membership import read_membership


def membership(folder: Path, *rows: str, header: str = "symbol,from,to,known_at") -> Path:
    file = folder / "members.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def test_a_symbol_may_leave_and_come_back(tmp_path: Path) -> None:
    file = membership(tmp_path, "AAA,2014-01-02,2014-02-03,", "AAA,2014-03-03,,2014-02-20T12:00:00-05:00")
    spells = read_membership(file).spells
    assert spells["last_session"].tolist() == [pd.Timestamp(2014, 2, 3), pd.NaT]
    assert spells["known_at_utc"].tolist() == [pd.NaT, pd.Timestamp("2014-02-20 17:00", tz="UTC")]
    days = [date(2014, 1, 2), date(2014, 2, 3), date(2014, 2, 4), date(2014, 3, 3)]
    known = pd.DatetimeIndex([f"{day} 21:15" for day in days], tz="UTC")
    assert read_membership(file).as_known(["AAA"], days, known)[:, 0].tolist() == [True, True, False, True]


def test_symbol_and_first_day_are_enough(tmp_path: Path) -> None:
    spells = read_membership(membership(tmp_path, "AAA,2014-01-02", header="symbol,from")).spells
    assert spells[["last_session", "known_at_utc"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["AAA,,,"], "AAA NaT to NaT: the membership has no first day"),
        (["AAA,2014-02-03,2014-01-02,"], "AAA 2014-02-03 to 2014-01-02: the membership ends before it begins"),
        (["AAA,2014-01-02,,", "AAA,2014-03-03,,"], "AAA 2014-03-03 to NaT: the membership overlaps"),
        (["AAA,2014-01-02,2014-03-03,", "AAA,2014-03-03,,"], "overlaps the interval before it; end that one first"),
        (["../etc,2014-01-02,,"], "is not a symbol"),
        (["AAA,2014-01-02,,2014-01-02 10:00"], "zone"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, rows: list[str], problem: str) -> None:
    with pytest.raises(MalformedData, match=problem):
        read_membership(membership(tmp_path, *rows))


def test_a_file_that_is_not_there_is_refused_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"universe.membership_file: .*nobody.csv is no file"):
        read_membership(tmp_path / "nobody.csv")
