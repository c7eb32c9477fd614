"""What a cash account may not do before it has paid: free-riding, liquidations, good-faith violations.

Belongs here: which funds paid for each purchase, and what was sold before they had settled.

Notes
-----
A purchase is paid from settled cash first, then from proceeds on their way, in the order in which they settle, and what
is left is unpaid. Selling shares, first in, first out, that were paid with proceeds before those have settled is a good
faith violation; selling unpaid shares to pay for them is free-riding; paying for them by selling other shares bought
earlier is a cash liquidation. Regulation T knows the first three words only as "sold before payment"; the names and the
distinction are the brokers'. A deposit settles on its day. Costs count as part of the price.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from aegis.calendars import TradingCalendar
from aegis.compliance.effective_rules import CASH_ACCOUNT, require_rule
from aegis.compliance.executions import Execution, trades
from aegis.compliance.findings import ComplianceFinding, found_under
from aegis.compliance.settlement import settlement_session
from aegis.errors import ComplianceError

GOOD_FAITH = "good faith violation"
FREE_RIDING = "free-riding"
LIQUIDATION = "cash liquidation"

_CENT = 0.005
_DUST_SHARES = 1e-9


@dataclass(frozen=True, slots=True)
class Deposit:
    """Cash paid in, settled on `session`."""

    session: date
    amount_usd: float


@dataclass(slots=True)
class _Funds:
    settles: date
    amount_usd: float


@dataclass(slots=True)
class _Purchase:
    """Shares of one purchase that are still held, and what they were paid with."""

    session: date
    symbol: str
    shares: float
    paid_by: date
    unpaid_usd: float


@dataclass(slots=True)
class _Ledger:
    settled_usd: float
    pending: list[_Funds] = field(default_factory=list)
    purchases: dict[str, deque[_Purchase]] = field(default_factory=dict)

    def settle(self, day: date) -> None:
        self.settled_usd += sum(funds.amount_usd for funds in self.pending if funds.settles <= day)
        self.pending = [funds for funds in self.pending if funds.settles > day]

    def unpaid(self) -> list[_Purchase]:
        return [p for held in self.purchases.values() for p in held if p.unpaid_usd > _CENT]


def cash_account_findings(
    executions: Iterable[Execution],
    *,
    account: str,
    settled_cash_usd: float,
    calendar: TradingCalendar,
    deposits: Iterable[Deposit] = (),
) -> list[ComplianceFinding]:
    """Return what was sold or paid for in ways that a cash account may not.

    Parameters
    ----------
    executions : iterable of Execution
        Of one account, all in the same shares.
    account : str
        Whose.
    settled_cash_usd : float
        Before the first of them.
    calendar : TradingCalendar
        Of the exchange; decides when funds settle.
    deposits : iterable of Deposit
        Cash paid in since.

    Raises
    ------
    ComplianceError
        More is sold than was bought: a cash account holds no short position, and shares from before must be given as
        executions of an earlier session.
    """
    watch = _Watch(account, calendar, _Ledger(settled_cash_usd), deque(sorted(deposits, key=lambda d: d.session)))
    for trade in trades(executions):
        watch.take(trade)
    return watch.findings


class _Watch:
    def __init__(self, account: str, calendar: TradingCalendar, ledger: _Ledger, deposits: deque[Deposit]) -> None:
        self._account = account
        self._calendar = calendar
        self._ledger = ledger
        self._deposits = deposits
        self.findings: list[ComplianceFinding] = []

    def take(self, trade: Execution) -> None:
        self._ledger.settle(trade.session)
        while self._deposits and self._deposits[0].session <= trade.session:
            self._pay_in(self._deposits.popleft().amount_usd)
        if trade.quantity_shares > 0.0:
            self._buy(trade)
        else:
            self._sell(trade)

    def _pay_in(self, amount_usd: float) -> None:
        for purchase in self._ledger.unpaid():
            paid = min(purchase.unpaid_usd, amount_usd)
            purchase.unpaid_usd -= paid
            amount_usd -= paid
        self._ledger.settled_usd += amount_usd

    def _buy(self, trade: Execution) -> None:
        ledger, cost = self._ledger, -trade.cash_usd
        paid_by = trade.session
        settled = min(cost, max(ledger.settled_usd, 0.0))
        ledger.settled_usd -= settled
        cost -= settled
        for funds in sorted(ledger.pending, key=lambda one: one.settles):
            if cost <= _CENT:
                break
            taken = min(cost, funds.amount_usd)
            funds.amount_usd -= taken
            cost -= taken
            if taken > 0.0:
                paid_by = max(paid_by, funds.settles)
        held = ledger.purchases.setdefault(trade.symbol, deque())
        held.append(_Purchase(trade.session, trade.symbol, trade.quantity_shares, paid_by, max(cost, 0.0)))

    def _sell(self, trade: Execution) -> None:
        left, held = -trade.quantity_shares, self._ledger.purchases.get(trade.symbol, deque())
        proceeds = trade.cash_usd
        while left > _DUST_SHARES:
            if not held:
                raise ComplianceError(
                    f"{self._account} {trade.session}: {left:g} more shares of {trade.symbol} are sold than were "
                    "bought; a cash account has no short position: give the earlier purchases too"
                )
            purchase = held[0]
            shares = min(purchase.shares, left)
            share_of_purchase = shares / purchase.shares
            self._judge(trade, purchase, purchase.unpaid_usd * share_of_purchase)
            # What free riding brings pays for itself first; only the rest is cash.
            proceeds -= purchase.unpaid_usd * share_of_purchase
            purchase.unpaid_usd *= 1.0 - share_of_purchase
            purchase.shares -= shares
            left -= shares
            if purchase.shares <= _DUST_SHARES:
                held.popleft()
        proceeds = self._liquidate_for_unpaid(trade, proceeds)
        settles = settlement_session(trade.session, calendar=self._calendar)
        if proceeds > 0.0:
            self._ledger.pending.append(_Funds(settles, proceeds))
        else:
            self._ledger.settled_usd += proceeds

    def _judge(self, trade: Execution, purchase: _Purchase, unpaid_usd: float) -> None:
        if unpaid_usd > _CENT:
            self._note(
                FREE_RIDING,
                trade,
                unpaid_usd,
                f"{unpaid_usd:.2f} USD of the purchase of {purchase.session} were never paid before the sale; the "
                "account may buy with settled funds only for 90 days: pay in the amount, or wait",
            )
        elif purchase.paid_by > trade.session:
            self._note(
                GOOD_FAITH,
                trade,
                float((purchase.paid_by - trade.session).days),
                f"bought on {purchase.session} with proceeds that settle on {purchase.paid_by} and sold before; hold "
                "such shares until then",
            )

    def _liquidate_for_unpaid(self, trade: Execution, proceeds: float) -> float:
        for purchase in self._ledger.unpaid():
            if proceeds <= _CENT:
                break
            paid = min(purchase.unpaid_usd, proceeds)
            purchase.unpaid_usd -= paid
            purchase.paid_by = max(purchase.paid_by, settlement_session(trade.session, calendar=self._calendar))
            proceeds -= paid
            if purchase.symbol != trade.symbol and trade.session == purchase.session:
                continue  # both settle on one day: a liquidation is a sale after the purchase date
            self._note(
                FREE_RIDING if purchase.symbol == trade.symbol else LIQUIDATION,
                trade,
                paid,
                f"{paid:.2f} USD of it pay for {purchase.symbol}, bought on {purchase.session} without the cash; have "
                "settled cash before the purchase",
            )
        return proceeds

    def _note(self, kind: str, trade: Execution, observed: float, told: str) -> None:
        self.findings.append(
            found_under(
                require_rule(CASH_ACCOUNT, trade.session),
                kind,
                session=trade.session,
                account=self._account,
                symbol=trade.symbol,
                observed=observed,
                threshold=0.0,
                detail=f"{trade.symbol} {trade.session}: {kind}: {told}",
            )
        )
