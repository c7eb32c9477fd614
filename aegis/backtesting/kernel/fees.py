"""The regulatory fees of one fill.

Belongs here: which day's rates hold and what the order was charged before. The formula is
:mod:`aegis.backtesting.regulatory_fees`.
"""

from __future__ import annotations

from typing import Any

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.memory import cursor_of, fee_rate_record, header_of
from aegis.backtesting.regulatory_fees import regulatory_fees_usd


@compiled
def fees_due_usd(handle: int, order: Any, quantity: float, price: float) -> tuple[float, float]:
    """Return the Section 31 fee and the Trading Activity Fee of a fill of signed shares at `price`, USD.

    Both are zero for purchases, and where no table of rates is loaded.
    """
    header = header_of(handle)
    if quantity > 0 or header.n_fee_rates == 0:
        return 0.0, 0.0
    rate = fee_rate_record(header.fee_rates, cursor_of(handle).fee_rate)
    return regulatory_fees_usd(
        rate.section31, rate.activity_fee, rate.activity_fee_cap, quantity, price, order.activity_fee
    )
