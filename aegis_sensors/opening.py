"""What must hold before a command writes anything into a workspace.

Belongs here: the questions and their order. ``aegis run`` and ``aegis up`` ask them; what Dagster starts afterwards
inherits the same settings.
"""

from __future__ import annotations

from aegis.compliance.pre_trade import order_rules
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.signals.strategy import find_strategies
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_resources.market_data import Market
from aegis_sensors.workspace_identity import claim


def open_workspace(config: AegisConfig, market: Market) -> Workspace:
    """Return the configured workspace, claimed for its market and account.

    Raises
    ------
    ConfigurationError
        A strategy does not exist, or the account cannot be traded as it is asked for; the workspace holds another
        market or account, sessions after the last that `market` has now, or a book that begins with another session.
        Nothing has been changed.
    ComplianceError
        The restricted list cannot be read. Nothing has been changed.
    LakeUnreadable
        Its lake cannot be read. Nothing has been changed.
    """
    find_strategies(config.signals.strategies)
    order_rules(config.compliance)
    config.require_account()
    workspace = Workspace.of(config)
    if workspace.lake.folder.exists():
        with connect(workspace.lake) as connection:
            _refuse_shorter_market(config, market, workspace, Lake(connection))
            _refuse_another_beginning(config, market, workspace, Lake(connection))
    claim(config, workspace)
    return workspace


def _refuse_shorter_market(config: AegisConfig, market: Market, workspace: Workspace, store: Lake) -> None:
    """Refuse a market that ends before the workspace does.

    Notes
    -----
    Listings are stored whole and corporate actions up to a year ahead: written by a market that ends earlier they would
    end there as well, under decisions that were made with the rest.
    """
    held = store.last_session(tables.RAW_BARS)
    last = market.session_range()[1]
    if held is None or last >= held:
        return
    asked = config.run.last_session
    cause = f"run.last_session (LAST) is {asked}" if asked else f"source {market.source.name} ends with {last}"
    remedy = "leave run.last_session out" if asked else f"bring back its sessions up to {held}"
    raise ConfigurationError(
        f"workspace {workspace.name} holds sessions up to {held}, but {cause}; a run would erase what later sessions "
        f"were decided with: {remedy}, or choose another workspace with `make run WORKSPACE=<name>`"
    )


def _refuse_another_beginning(config: AegisConfig, market: Market, workspace: Workspace, store: Lake) -> None:
    """Refuse a first session other than that of the book: a book has one beginning, and a later one is never used."""
    if store.last_session(tables.BOOK_STATES) is None:
        return
    booked = store.sessions(tables.BOOK_STATES, account=config.run.account)
    desk = Desk(config, workspace)
    first = desk.first_session(market)
    if not booked or booked[0] == first:
        return
    if config.is_traded:
        raise ConfigurationError(
            f"workspace {workspace.name} holds a book that begins with {booked[0]}, but {desk.beginning_setting} is "
            f"{first}; say {booked[0]} as when it was made, or trade the account in a workspace of its own"
        )
    asked = config.run.first_session
    cause = f"run.first_session (FIRST) is {asked}" if asked else f"source {market.source.name} begins with {first}"
    raise ConfigurationError(
        f"workspace {workspace.name} holds a book that begins with {booked[0]}, but {cause}; the sessions before would "
        f"change all that follow: say FIRST={booked[0]} as when it was made, or choose another workspace with "
        "`make run WORKSPACE=<name>`"
    )
