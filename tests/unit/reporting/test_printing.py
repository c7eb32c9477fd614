from __future__ import annotations

import pytest

from aegis.reporting.charts import compact_usd
from aegis.reporting.printing import PrintedTable, number, percent, signed_percent, signed_usd, usd

SPACE = "\u00a0"


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (percent(0.12345), f"12.35{SPACE}%"),
        (percent(-0.5, 1), f"-50.0{SPACE}%"),
        (percent(-0.000001), f"0.00{SPACE}%"),
        (percent(None), "n/a"),
        (percent(float("nan")), "n/a"),
        (signed_percent(0.1, 1), f"+10.0{SPACE}%"),
        (signed_percent(0.0), f"0.00{SPACE}%"),
        (signed_percent(-0.00000001), f"0.00{SPACE}%"),
        (signed_usd(1234.5), "+1,234"),
        (signed_usd(-0.2), "0"),
        (usd(-1_000_000.0), "-1,000,000"),
        (usd(-0.4), "0"),
        (number(10.0, 0), "10"),
        (number(0.0), "0.00"),
        (number(None), "n/a"),
        (compact_usd(1_240_000.0), "$1.24m"),
        (compact_usd(-830.0), "-$830"),
        (compact_usd(-0.3), "$0"),
        (compact_usd(2.5e9), "$2.5bn"),
    ],
)
def test_numbers_are_printed_with_their_unit_and_no_negative_zero(printed: str, expected: str) -> None:
    assert printed == expected


def test_column_shares_fill_the_line() -> None:
    table = PrintedTable("t", ("a", "b"), (), widths=(3, 1))
    assert table.column_shares == (0.75, 0.25)
    assert PrintedTable("t", ("a", "b"), ()).column_shares == (0.5, 0.5)
