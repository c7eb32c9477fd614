from datetime import date

import numpy as np
import pandas as pd

from aegis.market_data.panel_cells import cell_positions, session_symbol_array

SESSIONS = [date(2020, 1, 3), date(2020, 1, 6), date(2020, 1, 7)]
FRAME = pd.DataFrame(
    {
        "session": pd.to_datetime(["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-06"]),
        "symbol": ["AAA", "AAA", "AAA", "ZZZ"],
        "close_raw_usd": [1, 2, 3, 4],
    }
)


def test_cells_without_a_row_are_filled_and_rows_outside_are_left_out() -> None:
    found = session_symbol_array(FRAME, "close_raw_usd", sessions=SESSIONS, symbols=["AAA", "BBB"])
    filled = session_symbol_array(FRAME, "close_raw_usd", sessions=SESSIONS, symbols=["BBB", "AAA"], fill=1.0)

    np.testing.assert_array_equal(found, [[2, np.nan], [3, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(filled, [[1, 2], [1, 3], [1, 1]])


def test_rows_find_their_cells_in_any_order_and_none_finds_none() -> None:
    shuffled = FRAME.iloc[[2, 0, 3, 1]]

    rows, columns = cell_positions(shuffled, sessions=SESSIONS, symbols=["AAA"])
    of_none = cell_positions(FRAME.head(0), sessions=SESSIONS, symbols=["AAA"])

    assert rows.tolist() == [1, -1, 1, 0]
    assert columns.tolist() == [0, 0, -1, 0]
    assert [found.tolist() for found in of_none] == [[], []]
