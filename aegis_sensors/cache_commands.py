"""``aegis cache``: what is kept of vendors' answers, whether it is whole, and how to ask again.

Belongs here: the words and what they print. What is kept and when it counts is
:mod:`aegis.market_data.sources.cached`.
"""

from __future__ import annotations

import argparse
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from aegis.config import AegisConfig
    from aegis.market_data.sources.content_store import ContentStore

_BYTES_PER_KILOBYTE = 1000
_FOUND_DAMAGE = 1


def add_cache_commands(commands: Any) -> None:
    """Add ``cache`` and its commands to the subparsers of ``aegis``."""
    cache = commands.add_parser("cache", help="look at what is kept of vendors' answers, verify it, ask again")
    ways = cache.add_subparsers(title="what to do", required=True)
    ways.add_parser("show", help="list the kept answers").set_defaults(command=_show)
    ways.add_parser("verify", help="hash every kept answer; damaged ones are set aside").set_defaults(command=_verify)
    forget = ways.add_parser("forget", help="drop kept sessions, so that the next run asks the vendor again")
    forget.add_argument("--from", dest="first", type=date.fromisoformat, required=True, help="first session")
    forget.add_argument("--to", dest="last", type=date.fromisoformat, required=True, help="last session")
    forget.add_argument("--source", help="only this source's (default: all)")
    forget.set_defaults(command=_forget)


def show_command(config: AegisConfig, *, console: Console) -> None:
    """Print one line for each kept answer."""
    entries = _store(config).entries()
    table = Table("source", "what", "sessions", "kB", "fetched (UTC)", "SHA-256", title=f"cache of {config.workspace}")
    for entry in entries:
        table.add_row(
            entry.request["source"],
            entry.request["kind"],
            entry.request["sessions"],
            f"{entry.size_bytes / _BYTES_PER_KILOBYTE:,.0f}",
            f"{entry.fetched_at_utc:%Y-%m-%d %H:%M:%S}",
            entry.content[:12],
        )
    console.print(table if entries else f"nothing is kept for workspace {config.workspace}")


def verify_command(config: AegisConfig, *, console: Console) -> int:
    """Hash every kept answer and print the damaged ones; return the exit status."""
    store = _store(config)
    damaged = store.verify()
    for remark in damaged:
        console.print(remark, markup=False)
    console.print(f"{len(store.entries())} kept answer(s) are whole, {len(damaged)} damaged")
    return _FOUND_DAMAGE if damaged else 0


def forget_command(config: AegisConfig, *, source: str | None, first: date, last: date, console: Console) -> None:
    """Drop the kept sessions in ``[first, last]`` and print how many there were.

    Raises
    ------
    ConfigurationError
        `first` is after `last`, or `source` is none that is cached.
    """
    from aegis.errors import ConfigurationError  # noqa: PLC0415
    from aegis.market_data.sources.cached_answers import forget_sessions  # noqa: PLC0415
    from aegis.market_data.sources.source_cache import CLIENTS  # noqa: PLC0415

    if first > last:
        raise ConfigurationError(f"--from {first} is after --to {last}; exchange them")
    if source is not None and source not in CLIENTS:
        raise ConfigurationError(f"--source {source!r} is not cached; choose one of {', '.join(CLIENTS)}")
    count = forget_sessions(_store(config), source=source, first=first, last=last)
    console.print(
        f"{count} session(s) from {first} to {last} forgotten; materialize them again from raw_bars on "
        f"(`aegis run --from {first}`)"
    )


def _store(config: AegisConfig) -> ContentStore:
    from aegis.clock import SystemClock  # noqa: PLC0415
    from aegis.market_data.sources.source_cache import open_store  # noqa: PLC0415

    return open_store(config, SystemClock())


def _show(_chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415

    show_command(load_config(), console=Console())
    return 0


def _verify(_chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415

    return verify_command(load_config(), console=Console())


def _forget(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415

    forget_command(load_config(), source=chosen.source, first=chosen.first, last=chosen.last, console=Console())
    return 0
