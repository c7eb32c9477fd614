"""What a rule found: the value that every rule of this package returns.

Belongs here: the value. Rules make it, tables and exports keep it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from aegis.compliance.effective_rules import EffectiveRule


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceFinding:
    """One breach of, or event under, a rule.

    Parameters
    ----------
    rule, citation, text : str
        Of the text in force that day; see :class:`~aegis.compliance.effective_rules.EffectiveRule`.
    kind : str
        What was found, in the rule's own words: 'wash sale', 'good faith violation', ...
    session : date
        Session in which it happened.
    account : str
        Whose.
    symbol : str or None
        Permanent symbol, None where the whole account is meant.
    observed, threshold : float
        What was measured and what is allowed, in the unit that `detail` names.
    detail : str
        Symbol or account, session, value and what to do.
    due_session : date or None
        Last session in which what is called for may arrive.
    """

    rule: str
    citation: str
    text: str
    kind: str
    session: date
    account: str
    symbol: str | None
    observed: float
    threshold: float
    detail: str
    due_session: date | None = None


def found_under(
    rule: EffectiveRule,
    kind: str,
    *,
    session: date,
    account: str,
    observed: float,
    threshold: float,
    detail: str,
    symbol: str | None = None,
    due_session: date | None = None,
) -> ComplianceFinding:
    """Return a finding under the text of a rule."""
    return ComplianceFinding(
        rule=rule.rule,
        citation=rule.citation,
        text=rule.text,
        kind=kind,
        session=session,
        account=account,
        symbol=symbol,
        observed=observed,
        threshold=threshold,
        detail=detail,
        due_session=due_session,
    )
