"""Faults that may befall a request to the gateway, and whether it was received."""

from __future__ import annotations

from tests.integration.vendors.tws.faults import (
    Cut,
    Fault,
    RawBytes,
    Refusal,
    Reset,
    Silence,
    Stalled,
    Swallowed,
    Unreceived,
)

UNREADABLE = b"\0\0\0\x0ano\0number\0"
BEFORE: dict[str, Fault] = {"a connection that ends": Unreceived(), "silence": Swallowed()}
AFTER: dict[str, Fault] = {
    "a connection that ends": Cut(0),
    "half an answer": Cut(0.5),
    "half an answer and silence": Stalled(0.5),
    "a reset connection": Reset(),
    "silence": Silence(),
    "a message that nobody can read": RawBytes(UNREADABLE),
    "an error that is not true": Refusal(201, "Order rejected - reason:no reason at all"),
}
FAULTS = {
    **{f"{name}, before acceptance": fault for name, fault in BEFORE.items()},
    **{f"{name}, after acceptance": fault for name, fault in AFTER.items()},
}
