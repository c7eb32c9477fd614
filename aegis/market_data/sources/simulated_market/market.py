"""The whole simulated market, block after block.

Belongs here: the order in which a block is made, and what is announced by script. Each step is a module of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aegis.market_data.sources.simulated_market.events import (
    EventsBlock,
    Flags,
    PlannedAction,
    events_of_block,
    initial_event_state,
)
from aegis.market_data.sources.simulated_market.ground_truth import PlantedPath, planted_path
from aegis.market_data.sources.simulated_market.instruments import INSTRUMENTS
from aegis.market_data.sources.simulated_market.returns import ReturnsBlock, initial_return_state, returns_of_block
from aegis.market_data.sources.simulated_market.streams import BLOCK_SESSIONS
from aegis.market_data.sources.simulated_market.trading import BarsBlock, bars_of_block, initial_trading_state

RENAME_NOTICE_SESSIONS = 5
DELISTING_NOTICE_SESSIONS = 10


@dataclass(frozen=True)
class SimulatedMarket:
    """Bars, actions and truth by session number; arrays have shape (sessions, companies + 1), benchmark last.

    Parameters
    ----------
    bars : BarsBlock
        Traded prices and volume.
    listed, halted : ndarray of bool
        Whether a bar exists, and whether it is a halt.
    actions : tuple of PlannedAction
        Everything ever announced in these sessions and by script.
    planted : PlantedPath
        What was planted, session by session.
    """

    bars: BarsBlock
    listed: Flags
    halted: Flags
    actions: tuple[PlannedAction, ...]
    planted: PlantedPath


def generate_market(seed: int, sessions: int) -> SimulatedMarket:
    """Generate the market of `seed` for sessions 0 to `sessions` - 1, and on to the end of the last block.

    Parameters
    ----------
    seed : int
        ``market_data.simulated.seed``.
    sessions : int
        Number of sessions wanted, at least 1.

    Notes
    -----
    A pure function: more sessions repeat the earlier ones to the bit, because every block is made whole from the state
    that the block before it left.
    """
    returns_state = initial_return_state(seed)
    event_state = initial_event_state()
    trading_state = initial_trading_state(seed)
    returns: list[ReturnsBlock] = []
    events: list[EventsBlock] = []
    bars: list[BarsBlock] = []
    for block in range(-(-sessions // BLOCK_SESSIONS)):
        drawn, returns_state = returns_of_block(seed, block, returns_state)
        happened, event_state = events_of_block(seed, block, drawn.returns, state=event_state)
        traded, trading_state = bars_of_block(seed, block, happened, variance=drawn.variance, state=trading_state)
        returns.append(drawn)
        events.append(happened)
        bars.append(traded)
    return SimulatedMarket(
        bars=BarsBlock(
            **{name: np.concatenate([getattr(b, name) for b in bars]) for name in BarsBlock.__dataclass_fields__}
        ),
        listed=np.concatenate([e.listed for e in events]),
        halted=np.concatenate([e.halted for e in events]),
        actions=(*_scripted_actions(), *(action for e in events for action in e.actions)),
        planted=planted_path(returns),
    )


def _scripted_actions() -> list[PlannedAction]:
    actions = []
    for company in INSTRUMENTS:
        if company.rename is not None:
            session, ticker = company.rename
            announced = session - RENAME_NOTICE_SESSIONS
            actions.append(PlannedAction(session, announced, company.symbol, "rename", new_ticker=ticker))
        if company.last_session is not None:
            announced = company.last_session - DELISTING_NOTICE_SESSIONS
            actions.append(PlannedAction(company.last_session + 1, announced, company.symbol, "delisting"))
    return actions
