"""The table that says what each order cost against the decision to trade.

Belongs here: the implementation shortfall of orders that have ended; no decision reads it.
"""

from __future__ import annotations

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables.columns import ACCOUNT, DECISION_ID, ORDER_ID, SESSION, SYMBOL, number, text, usd

IMPLEMENTATION_SHORTFALL = TableSchema(
    "execution",
    "implementation_shortfall",
    "What each decided order of an account that is traded cost, beside having had all of it at the decision for "
    "nothing: delay, market, spread, fees and opportunity add up to the shortfall. In the session that it ended in, "
    "and in that session's shares; fills of children are their order's. Positive is a cost.",
    ("session", "account", "client_order_id"),
    (
        SESSION,
        ACCOUNT,
        ORDER_ID,
        DECISION_ID,
        SYMBOL,
        Column("decision_session", "session", "Session after whose close the order was decided."),
        text("algorithm", "Execution algorithm."),
        number("ordered_shares", "Signed: bought positive, sold negative.", "shares"),
        number("filled_shares", "Signed shares that filled.", "shares"),
        Column("fill_count", "integer", "Fills of the order and its children."),
        usd("decision_price_usd", "Close of the decision session, scaled by splits since."),
        usd("release_price_usd", "When the order was released to be worked; `release_source` says from where."),
        text(
            "release_source", "'touch': ask or bid at the exit door; 'open' of the session; 'decision' where neither."
        ),
        usd("final_price_usd", "Close of the session, which values what did not fill."),
        usd("delay_usd", "Filled shares times release price minus decision price."),
        usd("market_usd", "Of each fill, its shares times reference price minus release price."),
        usd("spread_usd", "Of each fill, its shares times price minus reference price."),
        usd("fees_usd", "Commission and fees."),
        usd("opportunity_usd", "Shares that did not fill times final price minus decision price."),
        usd("shortfall_usd", "Gain of the order on paper minus its gain in truth: the sum of the five."),
        number("shortfall_bps", "Of the whole order's value at the decision.", "bps"),
    ),
)

SHORTFALL_TABLES = (IMPLEMENTATION_SHORTFALL,)
