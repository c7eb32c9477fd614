"""``aegis cash`` and ``aegis positions``: the words, and what they call.

Belongs here: the words. What they do is :mod:`aegis_sensors.account_commands`, imported when it is asked for.
"""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console

from aegis_sensors.arguments import amount, instant, price, session, shares

_DIFFERS = 1


def add_account_commands(commands: Any) -> None:
    """Add ``cash`` and ``positions`` and their commands to the subparsers of ``aegis``."""
    cash = commands.add_parser("cash", help="say what cash was that came or went at the broker, and look at that")
    ways = cash.add_subparsers(title="what to do", required=True)
    book = ways.add_parser("book", help="book cash that came, or went (a negative amount), with its reason")
    book.add_argument("amount", type=amount, help="US dollars: 12.50 came, -12.50 went")
    book.add_argument(
        "--kind",
        required=True,
        choices=["interest", "fee", "transfer", "other"],
        help="a fee is a negative amount; a transfer is no gain or loss",
    )
    book.add_argument("--reason", required=True)
    book.add_argument("--session", type=session, help="the session of the booking (default: the first without a book)")
    book.add_argument("--key", help="what makes it the same booking when it is typed again, such as a statement's line")
    book.set_defaults(command=_book)
    ways.add_parser("list", help="print what was booked, by whom and why, and what is due").set_defaults(command=_list)

    positions = commands.add_parser(
        "positions", help="end a difference from the broker, or from what it tells of an order"
    )
    ways = positions.add_subparsers(title="what to do", required=True)
    take_over = ways.add_parser("take-over", help="end a difference from the broker; not while `aegis trade` runs")
    take_over.add_argument("--reason", required=True)
    take_over.set_defaults(command=_take_over)
    end = ways.add_parser(
        "end-order", help="say what became of an order that the broker tells of no more; not while `aegis trade` runs"
    )
    end.add_argument("order", help="its client order id, as the difference names it")
    end.add_argument("--reason", required=True, help="what the broker's statement says of it")
    end.add_argument("--filled", type=shares, metavar="SHARES", help="shares that filled and are not in the journal")
    end.add_argument("--price", type=price, help="their average price, US dollars")
    end.add_argument("--commission", type=amount, default=0.0, help="of all of them, US dollars (default: none)")
    end.add_argument("--at", type=instant, help="when they filled, such as 2024-05-31T15:30:00-04:00")
    end.set_defaults(command=_end_order)


def _book(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415 - `aegis --help` answers without loading the lake
    from aegis_sensors.account_commands import book_command  # noqa: PLC0415

    book_command(
        load_config(),
        amount_usd=chosen.amount,
        kind=chosen.kind,
        reason=chosen.reason,
        session=chosen.session,
        key=chosen.key,
        console=Console(),
    )
    return 0


def _list(_chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.account_commands import list_command  # noqa: PLC0415

    list_command(load_config(), console=Console())
    return 0


def _take_over(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.account_commands import take_over_command  # noqa: PLC0415

    return 0 if take_over_command(load_config(), reason=chosen.reason, console=Console()) else _DIFFERS


def _end_order(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.account_commands import end_order_command  # noqa: PLC0415

    agrees = end_order_command(
        load_config(),
        chosen.order,
        reason=chosen.reason,
        console=Console(),
        filled_shares=chosen.filled,
        price_usd=chosen.price,
        commission_usd=chosen.commission,
        filled_at_utc=chosen.at,
    )
    return 0 if agrees else _DIFFERS
