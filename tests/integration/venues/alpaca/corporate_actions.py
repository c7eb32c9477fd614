"""What Alpaca does to an account in the night before a corporate action takes effect.

"Mandatory Corporate Actions" (docs.alpaca.markets/docs/mandatory-corporate-actions): the quantity held follows the
ratio of a split, dividends are paid in cash, a symbol change takes the old symbol from the account and puts the new one
in. "Orders at Alpaca" (docs.alpaca.markets/docs/orders-at-alpaca): non-marketable GTC limit orders are subject to price
adjustments to offset corporate actions, and DNR orders, which would keep their price, are not supported. Changelog of
2026-08-12 (docs.alpaca.markets/us/changelog/2026-08-12-reason-e11b7f1): a cancellation that Alpaca begins for a
corporate action says CORPORATE_ACTION. Non-trade activities (alpaca.markets/docs/account-activities): DIV with
``net_amount``, ``per_share_amount`` and ``qty``.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from tests.integration.venues.alpaca.book import OPEN, VenueBook

CENT = Decimal("0.01")


def split(book: VenueBook, symbol: str, ratio: str, *, in_lieu_usd: str = "0", cancels: bool = True) -> None:
    """Split the shares held; a fraction is paid in cash, and open orders are cancelled, or left as they are."""
    new, old = (Decimal(part) for part in ratio.split(":"))
    held, cost = book.positions[symbol]
    book.positions[symbol] = ((held * new / old).to_integral_value(ROUND_FLOOR), cost * old / new)
    book.quotes[symbol] *= old / new
    book.cash += Decimal(in_lieu_usd)
    if cancels:
        cancel_orders(book, symbol)


def cancel_orders(book: VenueBook, symbol: str) -> None:
    """End the open orders of a symbol, and say why."""
    for order in [row for row in book.orders.values() if row["symbol"] == symbol and row["status"] in OPEN]:
        book.tell("canceled", order, status="canceled", reason="CORPORATE_ACTION")


def pay_dividend(book: VenueBook, symbol: str, per_share_usd: str) -> None:
    """Pay a dividend on what is held, and reduce the prices of resting purchases by it."""
    held, amount = book.positions[symbol][0], Decimal(per_share_usd)
    credit(book, symbol, str(held * amount))
    for order in book.orders.values():
        if order["symbol"] == symbol and order["status"] in OPEN and order["side"] == "buy" and order["limit_price"]:
            order["limit_price"] = str(((Decimal(order["limit_price"]) - amount) / CENT).to_integral_value() * CENT)
            order["updated_at"] = book.stamp()


def credit(book: VenueBook, symbol: str, amount_usd: str) -> None:
    """Credit cash as a dividend, told by the activities."""
    book.cash += Decimal(amount_usd)
    book.activities.append(
        {
            "id": f"{book.now_utc:%Y%m%d%H%M%S%f}000000::div{len(book.activities)}",
            "activity_type": "DIV",
            "date": f"{book.now_utc:%Y-%m-%d}",
            "net_amount": amount_usd,
            "symbol": symbol,
            "qty": str(book.positions[symbol][0]),
            "per_share_amount": str(Decimal(amount_usd) / book.positions[symbol][0]),
        }
    )


def rename(book: VenueBook, old: str, new: str, *, cancels: bool) -> None:
    """Give a symbol another name; open orders are cancelled, or take the name."""
    book.positions[new] = book.positions.pop(old)
    book.quotes[new] = book.quotes.pop(old)
    if cancels:
        cancel_orders(book, old)
        return
    for order in book.orders.values():
        if order["symbol"] == old and order["status"] in OPEN:
            order["symbol"], order["updated_at"] = new, book.stamp()


def exchange(book: VenueBook, symbol: str, *, cash_usd: str, acquirer: str = "", shares: str = "0") -> None:
    """Take a symbol's shares for cash and shares of an acquirer."""
    del book.positions[symbol], book.quotes[symbol]
    book.cash += Decimal(cash_usd)
    if acquirer:
        held, cost = book.positions.get(acquirer, (Decimal(0), Decimal(0)))
        book.positions[acquirer] = (held + Decimal(shares), cost)
    cancel_orders(book, symbol)
