"""``aegis data``: the words that look at, correct and keep the lake, and what they call.

Belongs here: the words. Each command is a module of its own, imported when it is asked for: ``aegis --help`` answers
without loading DuckDB.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis_sensors.arguments import positive, price, session
from aegis_sensors.safekeeping_words import add_safekeeping_commands

_VERSIONS_SHOWN = 20
_ROWS_SHOWN = 40


def add_data_commands(commands: Any) -> None:
    """Add ``data`` and its commands to the subparsers of ``aegis``."""
    data = commands.add_parser("data", help="look at the lake's versions, read and compare them, correct and keep them")
    ways = data.add_subparsers(title="what to do", required=True)

    versions = ways.add_parser("versions", help="list the lake's snapshots: who wrote what, when and why")
    versions.add_argument("table", nargs="?", help="only snapshots that changed this table: market_data/daily_bars")
    versions.add_argument("--limit", type=positive, default=_VERSIONS_SHOWN, help="how many of the newest")
    versions.add_argument("--json", dest="style", action="store_const", const="json", default="table")
    versions.set_defaults(command=_versions)

    read = ways.add_parser("read", help="print or write a table as it was at a snapshot or a time")
    read.add_argument("table", help="market_data/daily_bars")
    read.add_argument("--as-of", default="latest", help="snapshot, day or time (UTC); default: the newest snapshot")
    read.add_argument("--symbol", action="append", default=[], help="only this symbol; may be repeated")
    read.add_argument("--session", type=session, help="only this session")
    read.add_argument("--from", dest="first", type=session, help="first session")
    read.add_argument("--to", dest="last", type=session, help="last session")
    read.add_argument("--limit", type=positive, default=_ROWS_SHOWN, help="rows shown on a terminal")
    read.add_argument("--format", dest="file_format", choices=["table", "csv", "parquet"], default="table")
    read.add_argument("--output", type=Path, help="file to write, with --format csv or parquet")
    read.set_defaults(command=_read)

    diff = ways.add_parser(
        "diff", help="show which rows changed between two snapshots, and which decisions rest on them"
    )
    diff.add_argument("before", help="snapshot, day or time (UTC)")
    diff.add_argument("after", nargs="?", default="latest", help="default: the newest snapshot")
    diff.add_argument("--table", help="default: every table")
    diff.add_argument("--limit", type=positive, default=_ROWS_SHOWN, help="rows and orders shown of each table")
    diff.add_argument("--json", dest="style", action="store_const", const="json", default="table")
    diff.set_defaults(command=_diff)

    correct = ways.add_parser("correct", help="correct raw bars by a file of rows, or by asking the source again")
    correct.add_argument("--rows", type=Path, help="CSV or Parquet: session, symbol and the columns that are corrected")
    correct.add_argument("--from", dest="first", type=session, help="first session to ask the source for again")
    correct.add_argument("--to", dest="last", type=session, help="last one; default: the first")
    correct.add_argument("--reason", required=True)
    correct.set_defaults(command=_correct)

    keep = ways.add_parser("keep", help="keep a snapshot whatever refers to it")
    keep.add_argument("snapshot", help="snapshot, day or time (UTC)")
    keep.add_argument("--reason", required=True)
    keep.set_defaults(command=_mark, mark="keep")

    release = ways.add_parser("release", help="lift the mark that keeps a snapshot")
    release.add_argument("snapshot", help="snapshot, day or time (UTC)")
    release.add_argument("--reason", required=True)
    release.set_defaults(command=_mark, mark="release")

    expire = ways.add_parser("expire", help="give up old snapshots that nothing refers to; shows them unless told to")
    expire.add_argument("--older-than", type=positive, required=True, metavar="DAYS")
    expire.add_argument("--apply", dest="doing", action="store_const", const="expire", default="show")
    expire.add_argument("--reason", default="", help="required with --apply")
    expire.set_defaults(command=_expire)

    _add_quality(ways)
    _add_confirm(ways)
    add_safekeeping_commands(ways)


def _add_quality(ways: Any) -> None:
    quality = ways.add_parser("quality", help="print what the data checks said of a session, or write their pages")
    quality.add_argument("--session", type=session, help="default: the newest that was judged")
    quality.add_argument("--symbol", help="only what concerns this symbol")
    quality.add_argument("--docs", dest="output", action="store_const", const="pages", default="terminal")
    quality.set_defaults(command=_quality)


def _add_confirm(ways: Any) -> None:
    confirm = ways.add_parser("confirm", help="confirm a close that a data check doubts, and that you looked up")
    confirm.add_argument("symbol")
    confirm.add_argument("session", type=session)
    confirm.add_argument("--close", type=price, required=True, help="the close as you found it, USD as traded")
    confirm.add_argument("--open", type=price, help="the open too, where the check doubts how far they lie apart")
    confirm.add_argument("--reason", required=True, help="what moved it and where you looked it up")
    confirm.add_argument("--actor", default="", help="who confirms it; default: the user of this machine")
    confirm.set_defaults(command=_confirm)


def _quality(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.quality_command import QualityRequest, quality_command  # noqa: PLC0415

    request = QualityRequest(session=chosen.session, symbol=chosen.symbol, output=chosen.output)
    quality_command(load_config(), request, console=Console())
    return 0


def _versions(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.version_commands import versions_command  # noqa: PLC0415

    versions_command(load_config(), table=chosen.table, limit=chosen.limit, style=chosen.style, console=Console())
    return 0


def _read(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.version_commands import ReadRequest, read_command  # noqa: PLC0415

    request = ReadRequest(
        table=chosen.table,
        as_of=chosen.as_of,
        symbols=tuple(chosen.symbol),
        first=chosen.session or chosen.first,
        last=chosen.session or chosen.last,
        limit=chosen.limit,
        file_format=chosen.file_format,
        output=chosen.output,
    )
    read_command(load_config(), request, console=Console())
    return 0


def _diff(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.diff_command import diff_command  # noqa: PLC0415

    diff_command(
        load_config(),
        chosen.before,
        chosen.after,
        table=chosen.table,
        limit=chosen.limit,
        style=chosen.style,
        console=Console(),
    )
    return 0


def _correct(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.correct_command import correct_command  # noqa: PLC0415

    correct_command(
        load_config(),
        rows=chosen.rows,
        first=chosen.first,
        last=chosen.last,
        reason=chosen.reason,
        console=Console(),
    )
    return 0


def _confirm(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.confirm_command import ConfirmRequest, confirm_command  # noqa: PLC0415

    request = ConfirmRequest(
        symbol=chosen.symbol,
        session=chosen.session,
        close_usd=chosen.close,
        open_usd=chosen.open,
        reason=chosen.reason,
        actor=chosen.actor,
    )
    confirm_command(load_config(), request, console=Console())
    return 0


def _mark(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.expiry_commands import mark_command  # noqa: PLC0415

    mark_command(load_config(), chosen.snapshot, chosen.mark, reason=chosen.reason, console=Console())
    return 0


def _expire(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.expiry_commands import expire_command  # noqa: PLC0415

    expire_command(
        load_config(),
        older_than_days=chosen.older_than,
        doing=chosen.doing,
        reason=chosen.reason,
        console=Console(),
    )
    return 0
