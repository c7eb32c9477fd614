"""The desk for contracts and historical bars, with Interactive Brokers' pacing rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.integration.vendors.tws.gateway import Answer, Request, Session
from tests.integration.vendors.tws.wire import AskedContract, Contract, Fields, ToClient, ToGateway, error, message

NO_DEFINITION = "No security definition has been found for the request"
PACING = "Historical Market Data Service error message:Historical data request pacing violation"
NO_DATA = "Historical Market Data Service error message:HMDS query returned no data: "
_MOST_IN_TEN_MINUTES = 60
_TEN_MINUTES, _IDENTICAL, _SAME_CONTRACT = 600.0, 15.0, 2.0
_MOST_OF_ONE_CONTRACT = 6
_LONGEST_IN_DAYS = 365


@dataclass(frozen=True)
class Bar:
    """One daily bar as the gateway states it: adjusted for every split until today."""

    day: date
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def fields(self) -> Fields:
        values = (self.open, self.high, self.low, self.close, self.volume)
        return (f"{self.day:%Y%m%d}", *(f"{value:.10g}" for value in values), f"{self.close:.10g}", "1000")


@dataclass(frozen=True)
class HistoryRequest:
    """A request for bars, read field by field."""

    contract: AskedContract
    end: str
    bar_size: str
    duration: str
    regular_hours: str
    what: str

    @classmethod
    def of(cls, request: Request) -> HistoryRequest:
        fields = request.fields
        contract = AskedContract.of(fields[2:14])
        end, size, duration, regular, what, date_format, keep_up_to_date, options = fields[15:]
        assert (date_format, keep_up_to_date, options) == ("1", "0", "")
        return cls(contract, end, size, duration, regular, what)


class HistoryDesk:
    """Contracts and their daily bars.

    Parameters
    ----------
    contracts : sequence of Contract
    bars : dict of int to list of Bar
        By contract id, ascending.
    now : datetime
        The gateway's clock.
    stopwatch : object with ``now``, optional
        Seconds that the client's time has; with it the pacing rules hold.
    """

    def __init__(
        self, contracts: Sequence[Contract], bars: dict[int, list[Bar]], *, now: datetime, stopwatch: object = None
    ) -> None:
        self.contracts = list(contracts)
        self.bars = bars
        self.now = now
        self.stopwatch = stopwatch
        self.violations: list[str] = []
        self._asked: list[tuple[float, HistoryRequest]] = []

    @property
    def answers(self) -> Mapping[int, Answer]:
        return {
            ToGateway.CONTRACT_DETAILS: self._contract_details,
            ToGateway.HISTORICAL_DATA: self._historical_data,
            ToGateway.CANCEL_HISTORICAL_DATA: self._cancel,
            ToGateway.CURRENT_TIME: self._current_time,
        }

    def _contract_details(self, _: Session, request: Request) -> Sequence[Fields]:
        asked = AskedContract.of(request.fields[3:15])
        found = [contract for contract in self.contracts if asked.fits(contract)]
        if not found:
            return [error(request.request_id, 200, NO_DEFINITION)]
        return [
            *(contract_details(request.request_id, contract) for contract in found),
            message(ToClient.CONTRACT_DETAILS_END, 1, request.request_id),
        ]

    def _historical_data(self, _: Session, request: Request) -> Sequence[Fields]:
        asked = HistoryRequest.of(request)
        if violation := self._pacing(asked):
            self.violations.append(violation)
            return [error(request.request_id, 162, PACING)]
        if (asked.bar_size, asked.what, asked.regular_hours) != ("1 day", "TRADES", "1"):
            return [error(request.request_id, 321, "Error validating request:-'bW' : cause - Invalid bar size")]
        count, unit = asked.duration.split(" ")
        if unit == "D" and int(count) > _LONGEST_IN_DAYS:
            text = "Historical data requests for durations longer than 365 days must be made in years."
            return [error(request.request_id, 321, f"Error validating request:-'bW' : cause - {text}")]
        known = [contract for contract in self.contracts if asked.contract.fits(contract)]
        if len(known) != 1:
            return [error(request.request_id, 200, NO_DEFINITION)]
        end = self.now if not asked.end else datetime.strptime(asked.end, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        begin = (end - timedelta(days=int(count) * {"D": 1, "Y": 366}[unit])).date()
        found = [bar for bar in self.bars[known[0].con_id] if begin < bar.day <= end.date()]
        if not found:
            return [error(request.request_id, 162, f"{NO_DATA}{known[0].symbol}@SMART Trades")]
        return [historical_data(request.request_id, begin, end, found)]

    def _cancel(self, _: Session, request: Request) -> Sequence[Fields]:
        text = f"No historical data query found for ticker id:{request.request_id}"
        return [error(request.request_id, 366, text)]

    def _current_time(self, _: Session, __: Request) -> Sequence[Fields]:
        return [message(ToClient.CURRENT_TIME, 1, int(self.now.timestamp()))]

    def _pacing(self, asked: HistoryRequest) -> str:
        """Return which rule a request breaks, as of the client's own time."""
        if self.stopwatch is None:
            return ""
        now = float(self.stopwatch.now)  # type: ignore[attr-defined]
        before = self._asked
        self._asked = [*before, (now, asked)]
        if sum(now - at < _TEN_MINUTES for at, _ in before) >= _MOST_IN_TEN_MINUTES:
            return "more than 60 requests within ten minutes"
        if any(now - at < _IDENTICAL and other == asked for at, other in before):
            return "identical requests within 15 seconds"
        same = sum(now - at < _SAME_CONTRACT and other.contract == asked.contract for at, other in before)
        return "six requests for one contract within two seconds" if same + 1 >= _MOST_OF_ONE_CONTRACT else ""


def contract_details(request_id: int, contract: Contract) -> Fields:
    """Return the message that describes a stock, at protocol 164 and later."""
    return message(
        ToClient.CONTRACT_DETAILS, request_id, contract.symbol, contract.security_type, "", "0", "", "SMART",
        contract.currency, contract.symbol, contract.trading_class, contract.trading_class, contract.con_id, "0.01", "",
        "LMT,MKT", f"SMART,{contract.primary_exchange}", "1", "0", contract.name or contract.symbol,
        contract.primary_exchange, "", contract.industry, "Computers", "Computers", "US/Eastern",
        "20241122:0400-20241122:2000", "20241122:0930-20241122:1600", "", "0", "0", "1", "", "", "26", "", "COMMON",
        "1", "1", "100",
    )  # fmt: skip


def historical_data(request_id: int, begin: date, end: datetime, bars: Sequence[Bar]) -> Fields:
    """Return the one message that holds all bars of a request."""
    rows = [field for bar in bars for field in bar.fields]
    start, stop = f"{begin:%Y%m%d}  00:00:00", f"{end:%Y%m%d  %H:%M:%S}"
    return message(ToClient.HISTORICAL_DATA, request_id, start, stop, len(bars), *rows)
