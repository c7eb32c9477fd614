"""How much of the money a book may invest, given how many names it may hold.

Belongs here: the arithmetic of the cap on one name. The weights themselves are :mod:`aegis.portfolio.optimizer`.
"""

from __future__ import annotations

from aegis.config import PortfolioSettings, UniverseSettings


def investable_share(member_count: int, settings: PortfolioSettings) -> float:
    """Return the largest gross exposure that `member_count` names can carry, as a share of equity.

    Parameters
    ----------
    member_count : int
        Names that may be held.
    settings : PortfolioSettings
        Caps of one name and of the book.

    Notes
    -----
    With few names the cap on each binds first: eight names at 5 % each carry 40 %, and the rest stays cash whatever the
    signals say.
    """
    return min(member_count * settings.max_position_weight, settings.max_gross_exposure)


def empty_universe_remark(member_count: int, session_count: int, settings: UniverseSettings) -> str | None:
    """Say why nothing can be traded while the history is too short; None once it is long enough, or there are members.

    Parameters
    ----------
    member_count : int
        Names that may be held in the newest session.
    session_count : int
        Sessions of the history.
    settings : UniverseSettings
        ``min_history_sessions`` is what a member needs.
    """
    if member_count or session_count >= settings.min_history_sessions:
        return None
    return (
        f"Nothing can be traded yet: a member of the universe needs bars in {settings.min_history_sessions} sessions "
        f"(universe.min_history_sessions), and this history has {session_count}. Bars before its first session are not "
        "read; begin earlier (run.first_session) in a workspace of its own."
    )


def idle_money_remark(member_count: int, settings: PortfolioSettings) -> str | None:
    """Say why money stays idle when few names may be held; None where the caps leave room for the neutral book.

    Parameters
    ----------
    member_count : int
        Names that may be held. Without any there is nothing to cap, and nothing is said.
    settings : PortfolioSettings
        As :func:`investable_share`; ``neutral_exposure`` is what the book holds when no strategy has an opinion.
    """
    share = investable_share(member_count, settings)
    if not member_count or share >= settings.neutral_exposure:
        return None
    members = f"{member_count} member" + ("s" if member_count > 1 else "")
    return (
        f"At most {share:.0%} of the money can be invested: the universe has {members} and each may be "
        f"{settings.max_position_weight:.1%} of equity. The rest is idle. To invest more, add instruments, or raise "
        "portfolio.max_position_weight together with its limit risk.max_position_weight."
    )
