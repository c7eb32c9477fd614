import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aegis.config_vendors import CallSettings
from aegis.errors import MalformedData
from aegis.market_data.sources.call_policy import Vendor, VendorCalls
from aegis.market_data.sources.http_calls import GovernedSession, failure_of, retry_after_seconds

ACME = Vendor("Acme", "market_data.acme")


@dataclass
class Response:
    status_code: int = 200
    text: str = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.text)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_a_busy_or_broken_vendor_may_answer_later(status: int) -> None:
    failure = failure_of(Response(status), ACME)
    assert failure is not None
    assert not failure.is_final
    assert f"HTTP {status}" in failure.cause


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(301, "the address"), (400, "a symbol"), (401, "credentials"), (403, "subscription"), (404, "a symbol")],
)
def test_what_will_be_refused_again_is_final_and_has_a_remedy(status: int, remedy: str) -> None:
    failure = failure_of(Response(status), ACME)
    assert failure is not None
    assert failure.is_final
    assert remedy in failure.remedy


@pytest.mark.parametrize("text", ["", '{"bars": [1, 2', "<html>"])
def test_a_success_without_json_may_be_one_later(text: str) -> None:
    failure = failure_of(Response(text=text), ACME)
    assert failure is not None
    assert not failure.is_final
    assert f"a body of {len(text)} characters that is not JSON" in failure.cause


def test_json_with_a_status_of_success_is_an_answer() -> None:
    assert failure_of(Response(text="[]"), ACME) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "Fri, 06 Jun 2014 20:00:30 GMT", "Date": "Fri, 06 Jun 2014 20:00:00 GMT"}, 30.0),
        ({"Retry-After": "Fri, 06 Jun 2014 19:00:00 GMT", "Date": "Fri, 06 Jun 2014 20:00:00 GMT"}, 0.0),
        ({"Retry-After": "Fri, 06 Jun 2014 20:00:30 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_answers_own(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_seconds(headers) == seconds


class EndlessSession:
    cookies = "the library's own"

    def __init__(self) -> None:
        self.timeouts: list[float] = []

    def request(self, method: str, url: str, *, timeout: float) -> Response:
        assert (method, url) == ("GET", "http://acme")
        self.timeouts.append(timeout)
        return Response()


def test_pages_that_go_round_in_a_circle_come_to_an_end() -> None:
    settings = CallSettings(requests_per_minute=1e9)
    session = GovernedSession(EndlessSession(), VendorCalls(ACME, settings))
    session.purpose = "daily bars of AAPL"
    for _ in range(5000):
        session.request("GET", "http://acme")
    with pytest.raises(MalformedData, match="Acme: daily bars of AAPL: 5000 pages and no last one"):
        session.request("GET", "http://acme")


def test_the_policys_timeout_takes_the_place_of_the_librarys() -> None:
    inner = EndlessSession()
    session = GovernedSession(inner, VendorCalls(ACME, CallSettings(timeout_seconds=12)))
    session.request("GET", "http://acme", timeout=999)
    assert inner.timeouts == [12.0]
    assert session.cookies == "the library's own"
