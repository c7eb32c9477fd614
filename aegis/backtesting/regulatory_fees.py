"""Regulatory fees on sales of US shares: the SEC's Section 31 fee and FINRA's Trading Activity Fee, by date.

Belongs here: the rates with their sources, which days they cover, and the formula. A broker passes both on to the
seller; purchases pay none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.records import FEE_RATE
from aegis.errors import ConfigurationError

_EPOCH = date(1970, 1, 1)
_PER_MILLION = 1e-6


@dataclass(frozen=True, slots=True)
class Section31Rate:
    """The SEC's fee from a day on: USD per million USD of sales, and who published it."""

    effective: date
    usd_per_million: float
    source: str


@dataclass(frozen=True, slots=True)
class ActivityFeeRate:
    """FINRA's fee on shares from a day on: USD per share sold, at most so many USD per trade, and the source."""

    effective: date
    usd_per_share: float
    cap_usd: float
    source: str


SECTION_31: Final = (
    Section31Rate(date(2008, 4, 1), 5.60, "FINRA Information Notice 2008-03-10"),
    Section31Rate(date(2009, 4, 10), 25.70, "SEC press release 2009-56; FINRA Information Notice 2009-10-02"),
    Section31Rate(date(2010, 1, 15), 12.70, "SEC press release 2009-270"),
    Section31Rate(date(2010, 4, 1), 16.90, "FINRA Information Notice 2010-03-10"),
    Section31Rate(date(2011, 1, 21), 19.20, "SEC press release 2010-255"),
    Section31Rate(date(2012, 2, 21), 18.00, "SEC press release 2012-15, Fee Rate Advisory 5 for fiscal year 2012"),
    Section31Rate(date(2012, 4, 1), 22.40, "SEC press release 2012-35; 77 FR 13663"),
    Section31Rate(date(2013, 5, 25), 17.40, "SEC press release 2013-74; 78 FR 25515"),
    Section31Rate(date(2014, 3, 18), 22.10, "FINRA Information Notice 2014-03-03"),
    Section31Rate(date(2015, 2, 14), 18.40, "SEC press release 2015-8; 80 FR 2978"),
    Section31Rate(date(2016, 2, 16), 21.80, "SEC press release 2016-2; FINRA Information Notice 2016-03-15"),
    Section31Rate(date(2017, 7, 4), 23.10, "SEC press release 2017-111; 82 FR 25895"),
    Section31Rate(date(2018, 5, 22), 13.00, "SEC press release 2018-67; FINRA Information Notice 2018-05-07"),
    Section31Rate(date(2019, 4, 16), 20.70, "SEC press release 2019-30"),
    Section31Rate(date(2020, 2, 18), 22.10, "SEC press release 2020-7; FINRA Information Notice 2020-02-03"),
    Section31Rate(date(2021, 2, 25), 5.10, "SEC press release 2021-8"),
    Section31Rate(date(2022, 5, 14), 22.90, "SEC press release 2022-60"),
    Section31Rate(date(2023, 2, 27), 8.00, "SEC press release 2023-15; 88 FR 5051"),
    Section31Rate(date(2024, 5, 22), 27.80, "SEC fee rate advisory 2024-2; 89 FR 29402"),
    Section31Rate(date(2025, 5, 14), 0.00, "SEC fee rate advisory 2025-2; FINRA Information Notice 2025-04-24"),
    Section31Rate(date(2026, 4, 4), 20.60, "SEC fee rate advisory 2026-2; 91 FR 10643"),
)
"""Ascending by day. Left out: rates before 2008-04-01, whose first days no notice at hand states."""

ACTIVITY_FEE: Final = (
    ActivityFeeRate(date(2004, 11, 1), 0.000075, 3.75, "NASD Notice to Members 04-84; FINRA Regulatory Notice 11-27"),
    ActivityFeeRate(date(2011, 7, 1), 0.000090, 4.50, "FINRA Regulatory Notice 11-27"),
    ActivityFeeRate(date(2012, 3, 1), 0.000095, 4.75, "FINRA Regulatory Notice 12-06"),
    ActivityFeeRate(date(2012, 7, 1), 0.000119, 5.95, "FINRA Regulatory Notice 12-31; 77 FR 38690"),
    ActivityFeeRate(date(2022, 1, 1), 0.000130, 6.49, "SR-FINRA-2020-032; 85 FR 66592"),
    ActivityFeeRate(date(2023, 1, 1), 0.000145, 7.27, "SR-FINRA-2020-032; 85 FR 66592"),
    ActivityFeeRate(date(2024, 1, 1), 0.000166, 8.30, "SR-FINRA-2020-032; 85 FR 66592"),
    ActivityFeeRate(date(2026, 1, 1), 0.000195, 9.79, "SR-FINRA-2024-019; 89 FR 93709"),
    ActivityFeeRate(date(2026, 10, 1), 0.0, 0.0, "SR-FINRA-2026-021: no fee from October to December 2026"),
)
"""Ascending by day."""

COMPLETE_FROM: Final = date(2008, 4, 1)
COMPLETE_THROUGH: Final = date(2026, 12, 7)
"""The first and last day that both tables cover. A new Section 31 rate begins 60 days after the year's appropriation
is law (15 U.S.C. 78ee(j)(4)), and none was for fiscal year 2027 on 2026-10-09; the Trading Activity Fee of 2027 is left
out because accounts of its filings contradict each other."""


@dataclass(frozen=True, slots=True)
class FeeRates:
    """The rates of one day.

    Parameters
    ----------
    section31_rate : float
        Fraction of the proceeds of a sale.
    taf_per_share : float
        USD per share sold.
    taf_cap_usd : float
        The most that one order pays of it, USD.
    """

    section31_rate: float
    taf_per_share: float
    taf_cap_usd: float


def rates_on(day: date) -> FeeRates:
    """Return the rates in force on a day of trading.

    Raises
    ------
    ConfigurationError
        `day` is outside `COMPLETE_FROM` to `COMPLETE_THROUGH`: a fee is never guessed.

    Notes
    -----
    The law counts most sales on the day they settle, not the day they trade; a sale in the last sessions before a
    change of the Section 31 rate is therefore charged the old rate here. Brokers round each fee up to a cent; these are
    exact.
    """
    if not COMPLETE_FROM <= day <= COMPLETE_THROUGH:
        raise ConfigurationError(
            f"regulatory fees are known from {COMPLETE_FROM} through {COMPLETE_THROUGH}, found {day}; add the rates to "
            "aegis/backtesting/regulatory_fees.py with their source, or set eval.backtesting.regulatory_fees to false"
        )
    section31 = max((rate for rate in SECTION_31 if rate.effective <= day), key=lambda rate: rate.effective)
    activity = max((rate for rate in ACTIVITY_FEE if rate.effective <= day), key=lambda rate: rate.effective)
    return FeeRates(section31.usd_per_million * _PER_MILLION, activity.usd_per_share, activity.cap_usd)


def fee_rate_rows(first_day: date, last_day: date) -> NDArray[np.void]:
    """Return the rates from one day through another, one row for each change.

    Returns
    -------
    ndarray of FEE_RATE, shape (n_changes,)
        Ascending by `day`; the first row begins on `first_day`.

    Raises
    ------
    ConfigurationError
        A day is not covered; see :func:`rates_on`. The same if `last_day` is before `first_day`.
    """
    if last_day < first_day:
        raise ConfigurationError(f"the last day {last_day} is before the first {first_day}; exchange them")
    changes = {rate.effective for rate in (*SECTION_31, *ACTIVITY_FEE)}
    days = sorted({first_day} | {day for day in changes if first_day < day <= last_day})
    rates_on(last_day)
    rows = np.zeros(len(days), FEE_RATE)
    for row, day in zip(rows, days, strict=True):
        rates = rates_on(day)
        row["section31"], row["activity_fee"] = rates.section31_rate, rates.taf_per_share
        row["activity_fee_cap"], row["day"] = rates.taf_cap_usd, (day - _EPOCH).days
    return rows


@compiled
def regulatory_fees_usd(
    section31_rate: float,
    taf_per_share: float,
    taf_cap_usd: float,
    quantity: float,
    price_usd: float,
    taf_charged_before_usd: float,
) -> tuple[float, float]:
    """Return the Section 31 fee and the Trading Activity Fee of one fill, USD; both zero for a purchase.

    Parameters
    ----------
    section31_rate : float
        Fraction of the proceeds.
    taf_per_share, taf_cap_usd : float
        USD per share sold, and the most that one order pays, USD.
    quantity : float
        Signed shares of the fill.
    price_usd : float
        USD per share.
    taf_charged_before_usd : float
        Trading Activity Fee of the order so far, USD.

    Notes
    -----
    All fills of an order count as one trade under the cap. Below a price of `taf_per_share` a share no Trading Activity
    Fee is due.

    References
    ----------
    15 U.S.C. 78ee(b), (c). FINRA By-Laws, Schedule A, Section 1(b).
    """
    if quantity >= 0.0:
        return 0.0, 0.0
    section31 = -quantity * price_usd * section31_rate
    if price_usd < taf_per_share:
        return section31, 0.0
    return section31, min(-quantity * taf_per_share, max(taf_cap_usd - taf_charged_before_usd, 0.0))
