"""A backtest of five sessions, booked by hand.

Cash 1000. Session 2: buys 10 AAA at 50, sells 5 BBB short at 40. Session 3: AAA pays 0.30 a share; 0.25 interest, 0.10
borrow fee. Session 4: AAA is split 2 for 1, 8 of 20 are sold at 26, BBB is bought back at 41. Session 5: buys 4 AAA at
25.50; BBB has no bar.

========  ======  =======  ==========================================  ========
session   AAA     BBB      cash                                        equity
========  ======  =======  ==========================================  ========
01-30     50      40       1000                                        1000.00
01-31     52      38       1000 - 500 - 1 + 200 - 1 - 0.50 = 697.50    1027.50
02-01     48      41       697.50 + 3 + 0.25 - 0.10        = 700.65     975.65
02-02     25      41       700.65 + 208 - 0.55 - 205 - 1   = 702.10    1002.10
02-05     27      -        702.10 - 102 - 1                = 599.10    1031.10
========  ======  =======  ==========================================  ========
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from aegis.backtesting.kernel.codes import ActionKind, Reason, State
from aegis.backtesting.kernel.records import ACCOUNT, POSITION, SESSION
from aegis.backtesting.results import BacktestResults
from tests.unit.backtesting.hand_written import NAN, action, actions, amendments, fill, fills, order, orders

SESSIONS = (date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2), date(2024, 2, 5))
EQUITY = (1000.0, 1027.5, 975.65, 1002.1, 1031.1)


def day_number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def backtest(**changes: Any) -> BacktestResults:
    """Return the example, with other fields where given."""
    sessions = np.zeros(6, SESSION)
    sessions["first_step"] = np.arange(6)
    sessions["day"][:5] = [day_number(day) for day in SESSIONS]
    closes_at = [int(datetime(day.year, day.month, day.day, 21, tzinfo=UTC).timestamp()) * 10**9 for day in SESSIONS]
    account = np.zeros(1, ACCOUNT)
    for name, value in {
        "cash": 599.1, "equity_now": 1031.1, "dividends": 3.0, "interest": 0.25, "borrow_fees": 0.1,
        "commissions": 4.5, "fees": 0.55, "slippage": 3.3,
    }.items():  # fmt: skip
        account[name] = value
    positions = np.zeros(2, POSITION)
    positions["quantity"] = 16.0, 0.0
    positions["mark"] = 27.0, 41.0
    given: dict[str, Any] = {
        "strategy": "by hand",
        "source": "written",
        "is_simulated": True,
        "symbols": ("AAA", "BBB"),
        "closes_at": np.array(closes_at),
        "sessions": sessions,
        "initial_cash_usd": 1000.0,
        "equity_usd": np.array(EQUITY),
        "cash_usd": np.array([1000.0, 697.5, 700.65, 702.1, 599.1]),
        "order_records": orders(
            order(10, State.FILLED, submitted=0, closed=1, filled=10, fills=1),
            order(-5, State.FILLED, submitted=0, closed=1, filled=-5, fills=1, symbol=1),
            order(-8, State.FILLED, submitted=2, closed=3, filled=-8, fills=1),
            order(5, State.FILLED, submitted=2, closed=3, filled=5, fills=1, symbol=1),
            order(4, State.FILLED, submitted=3, closed=4, filled=4, fills=1),
            order(9, State.EXPIRED, submitted=3, closed=4, reason=Reason.END_OF_SESSION, symbol=1, limit=39.0),
        ),
        "fill_records": fills(
            fill(1, 1, -5, 40.0, reference=40.2, commission=1.0, fees=0.5, order=1),
            fill(0, 1, 10, 50.0, reference=49.9, commission=1.0, order=0),
            fill(0, 3, -8, 26.0, reference=26.1, commission=0.5, fees=0.05, order=2),
            fill(1, 3, 5, 41.0, reference=40.9, commission=1.0, order=3),
            fill(0, 4, 4, 25.5, reference=25.5, commission=1.0, order=4),
        ),
        "amendment_records": amendments(),
        "action_records": actions(
            action(ActionKind.DIVIDEND, 0, day_number(SESSIONS[2]), amount=0.3),
            action(ActionKind.SPLIT, 0, day_number(SESSIONS[3]), ratio=2.0),
        ),
        "position_records": positions,
        "account_record": account,
        "closes_usd": np.array([[50.0, 40.0], [52.0, 38.0], [48.0, 41.0], [25.0, 41.0], [27.0, NAN]]),
        "settings": {
            "rules": {"account_type": "margin", "participation_rate": 0.1},
            "costs": {"slippage": "fixed bps"},
        },
        "code_version": "abc123",
    }
    return BacktestResults(**(given | changes))
