"""Faults that may befall any request to the venue."""

from __future__ import annotations

from tests.integration.vendors.vendor_server import CutJson, Fault, Hang, Html, Reset, Status, Truncated
from tests.integration.venues.alpaca.rest import After, Before

FAULTS: dict[str, Fault] = {
    "429": Status(429),
    "500": Status(500),
    "503": Status(503),
    "504": Status(504),
    "502 with an HTML page": Html(502),
    "silence": Hang(),
    "a reset connection": Reset(),
    "a truncated body": Truncated(),
    "JSON cut in half": CutJson(),
    "an HTML page in the place of JSON": Html(200),
}
MOMENTS = {"before acceptance": Before, "after acceptance": After}
