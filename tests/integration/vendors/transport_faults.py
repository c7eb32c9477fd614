"""Faults that may befall any request of any HTTP vendor, and what is said of each."""

from __future__ import annotations

import pytest

from tests.integration.vendors.vendor_server import CutJson, Fault, Hang, Html, Reset, Status, Truncated

PASSING: dict[str, tuple[Fault, str]] = {
    "429": (Status(429), "HTTP 429"),
    "429 with Retry-After": (Status(429, retry_after="7"), "HTTP 429"),
    "500": (Status(500), "HTTP 500"),
    "502 with an HTML page": (Html(502), "HTTP 502"),
    "503": (Status(503), "HTTP 503"),
    "504": (Status(504), "HTTP 504"),
    "a hang": (Hang(), "[Tt]ime(d )?out"),
    "a reset connection": (Reset(), "[Rr]eset|[Aa]borted|Connection|Recv failure|Empty reply"),
    "a truncated body": (Truncated(), "IncompleteRead|Connection broken|not JSON|Partial|closed|transfer"),
    "JSON cut in half": (CutJson(), "not JSON"),
    "an HTML page in the place of JSON": (Html(200), "not JSON"),
}
"""Each with a pattern of what a message calls it; asking again may help."""

SOME_FAULTS = [
    pytest.param(fault, id=name, marks=() if name in {"503", "JSON cut in half"} else pytest.mark.long)
    for name, (fault, _) in PASSING.items()
]
"""All as parameters, for a source whose policy of calls other tests show whole: two are enough for each day."""

REFUSALS: dict[str, tuple[Fault, str]] = {
    "400": (Status(400, body={"message": "invalid parameter"}), "HTTP 400"),
    "401": (Status(401, body={"message": "unauthorized"}), "HTTP 401"),
    "403": (Status(403, body={"message": "forbidden"}), "HTTP 403"),
    "404": (Status(404, body={"message": "not found"}), "HTTP 404"),
    "a redirect": (Status(302), "HTTP 302"),
}
"""Asking again is useless."""

WRONG_SYMBOLS = {
    "a quote": "AA'PL",
    "a semicolon": "AAPL;DROP TABLE x",
    "a parent folder": "../../etc/passwd",
    "NUL": "AA\x00PL",
    "ten kilobytes": "A" * 10_240,
    "a right-to-left mark": "AAPL\u202e",
    "HTML": "<script>alert(1)</script>",
    "nothing": "",
    "a space": "AA PL",
    "a comma, which parts symbols": "AAPL,MSFT",
    "an address": "AAPL?x=1&y=#",
}
