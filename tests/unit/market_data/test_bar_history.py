"""Spikes that the next session takes back: thirty sessions of moves of 1 %, then three bars written by hand."""

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_quality import QualitySettings
from aegis.lake.tables import CORPORATE_ACTIONS, RAW_BARS
from aegis.market_data.bar_history import bars_in_history
from aegis.market_data.price_jumps import closes_in_context

CALENDAR = trading_calendar("XNYS")
DAYS = CALENDAR.sessions(pd.Timestamp("2014-03-03").date(), pd.Timestamp("2014-06-30").date())
CALM = [100.0 * 1.01 ** (n % 2) for n in range(31)]  # ends at 100; robust volatility 1.4826 x ln 1.01 = 1.475 %


def spike_said(spike, reopened, closed):
    """What is said of the bar after `spike`, which opens and closes as given; the close before the spike was 100."""
    closes, opens = [*CALM, spike, closed], [*CALM, spike, reopened]
    frame = pd.DataFrame(
        {
            "session": pd.to_datetime(DAYS[: len(closes)]), "symbol": "AAA", "ticker": "AAA", "open_raw_usd": opens,
            "high_raw_usd": np.maximum(opens, closes), "low_raw_usd": np.minimum(opens, closes),
            "close_raw_usd": closes, "volume_shares": 1_000.0, "source": "test",
            "known_at_utc": CALENDAR.closes_utc(DAYS[: len(closes)]),
        }
    )  # fmt: skip
    bars, days = RAW_BARS.conform(frame), np.array(DAYS, dtype="M8[D]")
    context = closes_in_context(bars, CORPORATE_ACTIONS.empty(), days=days, settings=QualitySettings())
    history = bars_in_history(bars, context, days=days, settings=QualitySettings())
    assert history["reverted_spike"].iloc[:-1].isna().all()
    return history["reverted_spike"].iloc[-1]


@pytest.mark.parametrize(
    ("spike", "reopened", "closed", "is_wrong"),
    [
        (130.0, 101.0, 101.0, True),
        (130.0, 99.0, 92.0, True),  # ends 8 % below the level, more than three volatilities: the open is back
        (70.0, 101.0, 101.0, True),
        (130.0, 129.0, 101.0, True),  # taken back during the day, entirely
        (130.0, 129.0, 92.0, False),  # during the day, and not to the level: two true moves are likelier
        (130.0, 114.0, 114.0, False),  # half of it stays: ln 1.14 = 0.131, the mean leg is 0.197
        (130.0, 101.0, 114.0, False),
        (121.0, 97.0, 96.0, True),  # legs of 0.191 and 0.231, 0.211 on average
        (121.0, 101.0, 101.0, False),  # 0.191 and 0.181: below the bound of 0.2
        (130.0, 131.0, 160.0, False),  # the same direction
        (156.0, 101.0, 101.0, True),
    ],
)
def test_a_spike_is_wrong_where_the_next_session_takes_it_back(spike, reopened, closed, is_wrong):
    assert (spike_said(spike, reopened, closed) is not None) == is_wrong


def test_a_close_that_was_suspected_in_its_own_session_is_not_said_again():
    assert spike_said(1_000.0, 101.0, 101.0) is None


def test_a_spike_is_named_with_its_neighbours():
    assert spike_said(130.0, 101.0, 101.0) == (
        "the close 130 USD of the session before is 1.3 x the close 100 before it, and 101 takes that back (robust "
        "volatility 1.48%): it looks like a wrong price"
    )
