"""What a data check of the quality gate is: its name, what it looks at, what must hold, and what follows if not.

Belongs here: the shape of a row of the rule table, and which outcomes a row may be given by configuration. The rows are
in :mod:`aegis.market_data.expectations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aegis.config_quality import QualitySettings
from aegis.lake.schema import TableSchema
from aegis.lake.tables import CORPORATE_ACTIONS, RAW_BARS

Outcome = Literal["pass", "warn", "repair", "quarantine", "block"]
Evidence = Literal["bars", "expected_bars", "actions", "sessions"]
Confirmable = Literal["confirmed_close", "confirmed_bar", "confirmed_close_before"]


@dataclass(frozen=True)
class Expectation:
    """One Great Expectations class by name, with its arguments.

    Parameters
    ----------
    kind : str
        A class of ``great_expectations.expectations``.
    terms : mapping of str to object
        Its arguments.
    """

    kind: str
    terms: Mapping[str, Any]


@dataclass(frozen=True)
class CheckDefinition:
    """One data check: a row of the rule table.

    Parameters
    ----------
    name : str
        A sentence that is true when all is well.
    description : str
        What a person reads in the Dagster UI.
    on_failure : {"warn", "repair", "quarantine", "block"}
        What follows for the session. A quarantine becomes a block where its conditions do not hold.
    version : str
        Changes whenever the same rows could be judged differently.
    evidence : {"bars", "expected_bars", "actions", "sessions"}
        Frame that is judged: rows as delivered and repaired, one row for each bar that the listings promise, the
        corporate actions that go ex, or one row for each session.
    expectations : callable
        Settings to the expectations that must all hold of a row.
    says : str
        Format string over the columns of an offending row: what was found, and the remedy.
    may_become : tuple of {"warn", "repair", "quarantine", "block"}
        Other outcomes that configuration may give it. Empty for a critical check: it blocks, whatever is configured.
    settled_by : str or None
        Column of the evidence with a person's confirmation (:mod:`aegis.market_data.confirmed_closes`) that takes a row
        off the offenders. Only for checks of what is plausible; None for those of what fits together.
    """

    name: str
    description: str
    on_failure: Outcome
    version: str
    evidence: Evidence
    expectations: Callable[[QualitySettings], tuple[Expectation, ...]]
    says: str
    may_become: tuple[Outcome, ...] = ()
    settled_by: Confirmable | None = None

    @property
    def table(self) -> TableSchema:
        """Table whose rows the check vouches for."""
        return CORPORATE_ACTIONS if self.evidence == "actions" else RAW_BARS

    @property
    def is_blocking(self) -> bool:
        """Whether orders of a session need this check: its failure takes out rows or the session."""
        return self.on_failure in ("quarantine", "block")
