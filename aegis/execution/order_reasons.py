"""Why something happened to an order: the one table of reasons.

Belongs here: a word for each reason and what it means for a person. An event's reason is written by
:func:`reason_text`, its word first, so that reasons can be counted. Why the pre-trade gate refuses an order is said by
the gate's own rules, in the same form.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class OrderReason(StrEnum):
    """The word of a reason."""

    BY_REQUEST = "cancelled on request"
    END_OF_SESSION = "end of session"
    END_OF_LIFE = "end of life"
    NOT_IMMEDIATE = "not immediate"
    NOT_WHOLE = "not whole"
    MISSED_AUCTION = "missed auction"
    SIBLING_FILLED = "sibling filled"
    PARENT_ENDED = "parent ended"
    POSITION_CLOSED = "position closed"
    ENTRY_FILLED = "entry filled"
    STOP_REACHED = "stop reached"
    REPLACED_ON_REQUEST = "replaced on request"
    REPLACED_TO_FILLED = "replaced to filled"
    BUYING_POWER = "buying power"
    SHORT_SALE = "short selling"
    TICK_SIZE = "tick size"
    LOT_SIZE = "lot size"
    MINIMUM_NOTIONAL = "minimum notional"
    HALTED = "halted"
    NO_PRICE = "no price"
    NO_VOLUME = "no volume"
    PARTICIPATION_CAP = "participation cap"
    CLOSED_SESSION = "closed session"
    DELISTED = "delisted"
    SPLIT = "split"
    SPLIT_LEAVES_NOTHING = "split leaves nothing"
    DIVIDEND = "dividend"
    RENAMED = "renamed"
    LIQUIDATION = "liquidation"
    WRONG_ACCOUNT = "wrong account"
    LOOK_AHEAD = "look-ahead"
    TOO_LATE = "too late"
    VENUE = "venue"
    EXIT_RULE = "exit rule"
    KILL_SWITCH = "kill switch"
    NEVER_SENT = "never sent"
    PERSONS_WORD = "person's word"
    NOT_CONFIRMED = "not confirmed"


_R = OrderReason

EXPLANATIONS: Mapping[OrderReason, str] = {
    _R.BY_REQUEST: "whoever sent the order took it back",
    _R.END_OF_SESSION: "a DAY, OPG or CLS order lives no longer than its session",
    _R.END_OF_LIFE: "the time of a GTD order has come",
    _R.NOT_IMMEDIATE: "an IOC order keeps nothing that does not fill at once",
    _R.NOT_WHOLE: "a FOK order fills whole at once or not at all",
    _R.MISSED_AUCTION: "its auction took place without it: the price was beyond its limit, or it came too late",
    _R.SIBLING_FILLED: "another order of its OCO group filled",
    _R.PARENT_ENDED: "the order that it waited for ended without a fill",
    _R.POSITION_CLOSED: "there is no position left that it could reduce",
    _R.ENTRY_FILLED: "the order that it waited for filled",
    _R.STOP_REACHED: "the price reached its stop",
    _R.REPLACED_ON_REQUEST: "whoever sent the order changed its terms",
    _R.REPLACED_TO_FILLED: "its quantity was reduced to what had filled already",
    _R.BUYING_POWER: "the account cannot carry it",
    _R.SHORT_SALE: "it would sell what is not held",
    _R.TICK_SIZE: "its price is not a multiple of the tick",
    _R.LOT_SIZE: "its quantity is not a multiple of the lot",
    _R.MINIMUM_NOTIONAL: "it is worth less than the venue takes",
    _R.HALTED: "the symbol does not trade",
    _R.NO_PRICE: "the symbol has no price yet",
    _R.NO_VOLUME: "nothing traded in the symbol",
    _R.PARTICIPATION_CAP: "the bar's volume was not enough for it",
    _R.CLOSED_SESSION: "there is no session left in which it could execute",
    _R.DELISTED: "the symbol is no longer listed",
    _R.SPLIT: "the shares were split, and its terms with them",
    _R.SPLIT_LEAVES_NOTHING: "a split leaves no whole share of it",
    _R.DIVIDEND: "the venue lowered its price by a dividend",
    _R.RENAMED: "the symbol trades under another ticker",
    _R.LIQUIDATION: "the account fell below its maintenance margin",
    _R.WRONG_ACCOUNT: "it is for another account",
    _R.LOOK_AHEAD: "it would execute on the bar that it was decided on",
    _R.TOO_LATE: "its session had begun when it arrived",
    _R.VENUE: "the venue gave no reason",
    _R.EXIT_RULE: "a rule at the exit door kept it",
    _R.KILL_SWITCH: "the account's kill switch was engaged before it left",
    _R.NEVER_SENT: "it was written down and never reached the venue",
    _R.PERSONS_WORD: "the venue told of it no more, and a person found out what became of it",
    _R.NOT_CONFIRMED: "nobody's confirmation lets it trade real money",
}
"""What each reason means, as it is said where the sender says nothing more exact."""


def reason_text(reason: OrderReason, detail: str = "") -> str:
    """Return a reason as events carry it: ``buying power: the account cannot carry it``.

    Parameters
    ----------
    reason : OrderReason
        The word.
    detail : str
        What is known of this case: numbers, or the venue's own words; by default the explanation of the table.
    """
    return f"{reason}: {detail or EXPLANATIONS[reason]}"


def remedy_of_missing(client_order_id: str) -> str:
    """Return what a person does about an order that its venue tells of no more."""
    return (
        "look for its order reference in the broker's statement, stop `aegis trade`, and say what became of it: "
        f'`aegis positions end-order {client_order_id} --reason "..."`'
    )


def reason_of(text: str) -> OrderReason | None:
    """Return the reason that :func:`reason_text` wrote, None where a text begins with no reason of the table."""
    word = text.partition(":")[0]
    return OrderReason(word) if word in EXPLANATIONS else None
