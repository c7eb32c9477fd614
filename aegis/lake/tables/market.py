"""Tables of the market: what a source delivered, what the gate let through, and who may be held.

Belongs here: layer 1, the same for every account.
"""

from __future__ import annotations

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables.columns import KNOWN_AT, SESSION, SYMBOL, TICKER, number, text, usd

_BAR_COLUMNS = (
    SESSION,
    SYMBOL,
    TICKER,
    usd("open_raw_usd", "First traded price, as traded.", nullable=True),
    usd("high_raw_usd", "Highest traded price, as traded.", nullable=True),
    usd("low_raw_usd", "Lowest traded price, as traded.", nullable=True),
    usd("close_raw_usd", "Last traded price, as traded.", nullable=True),
    number("volume_shares", "Shares traded; 0 in a halted session.", "shares", nullable=True),
    text("source", "Source that delivered the row."),
    KNOWN_AT,
)

LISTINGS = TableSchema(
    "market_data",
    "listings",
    "Intervals in which a source covers an instrument under one ticker. A rename ends one interval and opens the next.",
    ("symbol", "first_session"),
    (
        SYMBOL,
        TICKER,
        Column("first_session", "session", "First session covered under this ticker."),
        Column(
            "last_session", "session", "Last session covered under this ticker; null while it trades.", nullable=True
        ),
        text("name", "Name of the instrument."),
        text("sector", "Sector; 'Benchmark' for the benchmark, 'Fund' for an exchange-traded fund."),
        Column("tradable", "boolean", "Whether the book may hold it; false for a benchmark index."),
        text("source", "Source of the listing."),
    ),
)

INSTRUMENTS = TableSchema(
    "market_data",
    "instruments",
    "What an instrument is, from each session on in which that changed. A decision reads the newest row of the symbol "
    "that holds in its session and was known at it. Written only when a source says something else than before.",
    ("symbol", "first_session"),
    (
        SYMBOL,
        Column("first_session", "session", "First session in which the row holds; until the symbol's next row."),
        text("name", "Name of the instrument."),
        text("sector", "Sector; 'Unclassified' where the source knows none."),
        text("industry", "Industry within the sector; 'Unclassified' where the source knows none."),
        text("currency", "Currency of its prices: USD, as others are refused."),
        number("lot_shares", "Smallest quantity that is ordered; orders are whole lots.", "shares"),
        usd("tick_usd", "Smallest step of a limit or stop price; 0 for none."),
        text(
            "shortability", "'yes', 'no' or 'unknown': whether the source says that it can be borrowed and sold short."
        ),
        Column("listing_session", "session", "First session of its listing, where known.", nullable=True),
        Column(
            "delisting_session",
            "session",
            "Last session of its listing; null while it trades. Compared with the session itself only.",
            nullable=True,
        ),
        text("source", "Source of the row."),
        KNOWN_AT,
    ),
)

RAW_BARS = TableSchema(
    "market_data",
    "raw_bars",
    "Daily bars exactly as the source delivered them, before any check. Read by the quality gate only.",
    ("session", "symbol"),
    _BAR_COLUMNS,
    enforce_key=False,
)

CORPORATE_ACTIONS = TableSchema(
    "market_data",
    "corporate_actions",
    "Dated splits, cash dividends, renames, mergers and delistings. `session` is the ex-date; of a merger the first "
    "session in which the acquired symbol trades no more.",
    ("session", "symbol", "action"),
    (
        SESSION,
        SYMBOL,
        text("action", "'split', 'dividend', 'rename', 'merger' or 'delisting'."),
        number("split_ratio", "New shares for one old share; 1 unless a split.", "shares/share"),
        usd("dividend_usd", "Gross cash per share held before the ex-date; 0 unless a dividend."),
        Column("pay_session", "session", "Session in which dividend cash arrives.", nullable=True),
        text("new_ticker", "Ticker from this session on, for a rename.", nullable=True),
        text("source", "Source of the action."),
        KNOWN_AT,
        Column("record_session", "session", "Last session whose holders are entitled.", nullable=True, is_added=True),
        Column(
            "merger_cash_usd",
            "float",
            "Cash for each share of the acquired symbol; null unless a merger.",
            "USD",
            nullable=True,
            is_added=True,
        ),
        Column(
            "merger_ratio",
            "float",
            "Shares of the acquirer for each share of the acquired symbol; null unless a merger, 0 for cash alone.",
            "shares/share",
            nullable=True,
            is_added=True,
        ),
        Column("acquirer", "text", "Permanent symbol of the acquirer, where known.", nullable=True, is_added=True),
    ),
)

CHECK_RESULTS = TableSchema(
    "quality",
    "check_results",
    "One row for each data check and session: what was seen, what was allowed, and the content hash it holds for. "
    "The pre-trade gate reads this table and refuses unless every blocking check passed.",
    ("session", "table", "check"),
    (
        SESSION,
        text("table", "Table that was checked."),
        text("check", "Name of the check: a sentence that is true when all is well."),
        text("check_version", "Version of the check's definition."),
        text("outcome", "'pass', 'warn', 'repair', 'quarantine' or 'block'."),
        Column("is_blocking", "boolean", "Whether orders need this check to pass."),
        number("observed", "Number of offending rows."),
        number("threshold", "Number of offending rows allowed."),
        text(
            "detail",
            "Symbol, value and remedy of the first offending rows, and who confirmed others; null when all is well.",
            nullable=True,
        ),
        text("content_hash", "SHA-256 of the session's rows that were checked."),
        Column("snapshot_id", "integer", "Lake snapshot of the rows that were checked."),
    ),
)

SOURCE_AGREEMENT = TableSchema(
    "quality",
    "source_agreement",
    "Bars of a second source beside those that were delivered, as far as there is one and the session is in the "
    "sample. The second source's bars are compared and never traded on. Read by the quality gate.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        text("source", "Source of the bar that is judged."),
        text("other_source", "Source of the second opinion."),
        *(Column(c.name, c.kind, c.description, c.unit, nullable=True) for c in _BAR_COLUMNS[3:8]),
        *(
            Column(f"other_{c.name}", c.kind, f"The same from the other source: {c.description}", c.unit, nullable=True)
            for c in _BAR_COLUMNS[3:8]
        ),
        number("close_ratio", "The other source's close / the close; null where a close is missing.", nullable=True),
    ),
)

CONFIRMED_CLOSES = TableSchema(
    "quality",
    "confirmed_closes",
    "Closes that a person looked up and confirmed, so that the checks of plausible moves take them. A row holds for "
    "the symbol, the session and the prices that it names, from its instant on. Written by `aegis data confirm`.",
    ("session", "symbol", "known_at_utc"),
    (
        SESSION,
        SYMBOL,
        usd("close_raw_usd", "Close as stored when it was confirmed."),
        usd("open_raw_usd", "Open as stored when it was confirmed too; null where the close alone was.", nullable=True),
        text("person", "Who confirmed it."),
        text("reason", "Why it is true, in their words."),
        Column("known_at_utc", "instant", "When it was confirmed.", "UTC"),
    ),
)

DAILY_BARS = TableSchema(
    "market_data",
    "daily_bars",
    "Daily bars that passed the quality gate, raw prices as traded. The only bars that features, fills and marks read.",
    ("session", "symbol"),
    _BAR_COLUMNS[:3]
    + tuple(Column(c.name, c.kind, c.description, c.unit) for c in _BAR_COLUMNS[3:8])
    + _BAR_COLUMNS[8:],
)

QUARANTINED_BARS = TableSchema(
    "quality",
    "quarantined_bars",
    "Raw bars that were set aside, as delivered, once for each check that they break. They are not in daily_bars; a "
    "book that holds or targets the symbol trades nothing in that session. A missing bar has no numbers.",
    ("session", "symbol", "check"),
    (
        SESSION,
        SYMBOL,
        *(Column(c.name, c.kind, c.description, c.unit, nullable=True) for c in _BAR_COLUMNS[2:]),
        text("check", "Name of the check that the row breaks."),
        text("reason", "What was found, and the remedy."),
    ),
)

REPAIRED_VALUES = TableSchema(
    "quality",
    "repaired_values",
    "Values of raw bars that are taken otherwise in daily_bars: blanks around a text, and highs and lows that miss the "
    "body by the rounding of floating point. The raw row stays as delivered.",
    ("session", "symbol", "column"),
    (
        SESSION,
        SYMBOL,
        text("column", "Column of the value."),
        text("check", "Name of the check that the raw value breaks."),
        text("original", "Value as delivered; a price reads back to the same bits."),
        text("repaired", "Value as taken."),
    ),
)

ADJUSTMENT_FACTORS = TableSchema(
    "market_data",
    "adjustment_factors",
    "For each ex-date the factors that scale earlier prices. Cumulative factors are computed on read, as known at t.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        number("split_factor", "Multiplies prices before this session: 1 / split ratio."),
        number(
            "dividend_factor", "Multiplies prices before this session: 1 - dividend / previous close (CRSP convention)."
        ),
        KNOWN_AT,
    ),
)

UNIVERSE = TableSchema(
    "market_data",
    "universe",
    "Which instruments the book may hold after this session's close, decided with what was known then.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        TICKER,
        text("sector", "Sector as known in this session."),
        Column("is_member", "boolean", "Whether a position may be opened or kept."),
        text("reason", "Why it is a member or not."),
        usd("median_dollar_volume_usd", "Median close × volume over the trailing window.", nullable=True),
        KNOWN_AT,
        Column("industry", "text", "Industry as known in this session.", nullable=True, is_added=True),
        Column(
            "lot_shares",
            "float",
            "Smallest quantity that is ordered, as known in this session.",
            "shares",
            nullable=True,
            is_added=True,
        ),
    ),
)

MARKET_TABLES = (
    LISTINGS,
    INSTRUMENTS,
    RAW_BARS,
    CORPORATE_ACTIONS,
    SOURCE_AGREEMENT,
    CONFIRMED_CLOSES,
    CHECK_RESULTS,
    QUARANTINED_BARS,
    REPAIRED_VALUES,
    DAILY_BARS,
    ADJUSTMENT_FACTORS,
    UNIVERSE,
)
