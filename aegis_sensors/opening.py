"""What must hold before a command writes anything into a workspace.

Belongs here: the questions and their order. ``aegis run`` and ``aegis up`` ask them; what Dagster starts afterwards
inherits the same settings.
"""

from __future__ import annotations

from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.workspace import Workspace
from aegis_resources.market_data import Market
from aegis_sensors.workspace_identity import claim


def open_workspace(config: AegisConfig, market: Market) -> Workspace:
    """Return the configured workspace, claimed for its market and account.

    Raises
    ------
    ConfigurationError
        It holds another market or account, or sessions after the last that `market` has now. Nothing has been changed.
    LakeUnreadable
        Its lake cannot be read. Nothing has been changed.
    """
    workspace = Workspace.of(config)
    if workspace.lake.folder.exists():
        _refuse_shorter_market(config, market, workspace)
    claim(config, workspace)
    return workspace


def _refuse_shorter_market(config: AegisConfig, market: Market, workspace: Workspace) -> None:
    """Refuse a market that ends before the workspace does.

    Notes
    -----
    Listings are stored whole and corporate actions up to a year ahead: written by a market that ends earlier they would
    end there as well, under decisions that were made with the rest.
    """
    with connect(workspace.lake) as connection:
        held = Lake(connection).last_session(tables.RAW_BARS)
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
