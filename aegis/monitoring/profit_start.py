"""From when an account's profit is counted: the first statement of the broker that agreed with the journal here.

Belongs here: the value and its file. It is made once; a file that is gone begins a new count, which the snapshot says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aegis.durable_files import replace_json
from aegis.errors import ExecutionError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfitStart:
    """The start of the count.

    Parameters
    ----------
    account : str
        Whose.
    at_utc : datetime
        When the broker was asked; aware UTC.
    journal_sequence : int
        Place of the journal that the statement agreed with; fills after it are counted.
    equity_usd : float
        The statement's.
    opening : mapping of str to (float, float)
        Shares and marks of the statement, by permanent symbol.
    """

    account: str
    at_utc: datetime
    journal_sequence: int
    equity_usd: float
    opening: Mapping[str, tuple[float, float]]

    def keep(self, path: Path) -> None:
        """Write it down, whole or not at all.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        replace_json(
            path,
            {
                "account": self.account,
                "at_utc": self.at_utc.isoformat(),
                "journal_sequence": self.journal_sequence,
                "equity_usd": self.equity_usd,
                "opening": {symbol: list(pair) for symbol, pair in self.opening.items()},
            },
        )


def kept_start(path: Path, *, account: str) -> ProfitStart | None:
    """Return the start that was written down, None where there is none.

    Raises
    ------
    ExecutionError
        The file is another account's, or cannot be understood: profit would be counted from nowhere.
    """
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        start = ProfitStart(
            account=str(said["account"]),
            at_utc=datetime.fromisoformat(said["at_utc"]),
            journal_sequence=int(said["journal_sequence"]),
            equity_usd=float(said["equity_usd"]),
            opening={str(symbol): (float(pair[0]), float(pair[1])) for symbol, pair in said["opening"].items()},
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ExecutionError(
            f"{path} cannot be read ({type(error).__name__}: {error}); move it away, and profit is counted from now on"
        ) from error
    if start.account != account:
        raise ExecutionError(
            f"{path} is of account {start.account}, expected {account}; move it away, and profit is counted from now on"
        )
    return start
