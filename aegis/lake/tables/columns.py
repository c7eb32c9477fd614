"""Columns that several tables share, and short ways to describe the usual kinds.

Belongs here: what has the same name, unit and meaning in more than one table.

Notes
-----
``symbol`` is the permanent name of an instrument: it survives renames. ``ticker`` is what it traded as that day.
``known_at_utc`` is when the world could know the row; the lake's snapshot is when Aegis held it.
"""

from __future__ import annotations

from aegis.lake.schema import Column

SESSION = Column("session", "session", "Trading session of the decision calendar.")
SYMBOL = Column("symbol", "text", "Permanent symbol of the instrument; unchanged by a rename.")
TICKER = Column("ticker", "text", "Symbol under which the instrument traded in this session.")
KNOWN_AT = Column("known_at_utc", "instant", "Earliest instant at which anyone could know this row.", "UTC")
ACCOUNT = Column("account", "text", "Account the row belongs to.")
ORDER_ID = Column(
    "client_order_id", "text", "Deterministic order id: hash of account, decision, symbol, leg, child, revision."
)
DECISION_ID = Column("decision_id", "text", "Committed decision: account, book, session, kind and number.")


def usd(name: str, description: str, *, nullable: bool = False) -> Column:
    """Return a column of an amount or a price in US dollars."""
    return Column(name, "float", description, "USD", nullable)


def number(name: str, description: str, unit: str = "1", *, nullable: bool = False) -> Column:
    """Return a column of floats; ``1`` is the unit of a ratio."""
    return Column(name, "float", description, unit, nullable)


def text(name: str, description: str, *, nullable: bool = False) -> Column:
    """Return a column of text."""
    return Column(name, "text", description, nullable=nullable)
