"""Settings of monitoring: what is watched, who is told, and where it can be asked.

Belongs here: names, types, defaults and bounds. What is wrong when is :mod:`aegis.monitoring.causes`, how a person is
told :mod:`aegis.monitoring.alert_dispatch`.
"""

from __future__ import annotations

import re
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from aegis.config_section import Section

SMTP_VARIABLES = ("AEGIS_SMTP_USERNAME", "AEGIS_SMTP_PASSWORD")
"""The name and password for the mail server: secrets, read from the environment only."""

_MAILBOX = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")


def _mailbox(text: str) -> str:
    address = parseaddr(text)[1] if "<" in text else text
    if not _MAILBOX.fullmatch(address):
        raise ValueError(
            f"a mail address such as desk@example.com is needed, found {text!r}; write one, or leave it out"
        )
    return text


def _web_address(text: str) -> str:
    """Return an address that a POST can be made to; a refusal does not show it: it may hold a secret."""
    needed = "an http or https address with a host is needed, such as https://example.com/hook"
    try:
        parts = urlsplit(text)
        has_host, _ = bool(parts.hostname), parts.port
    except ValueError as error:
        raise ValueError(f"{needed}; {error}") from error
    if parts.scheme not in ("http", "https") or not has_host or any(mark.isspace() for mark in text):
        found = f"scheme {parts.scheme!r}" if parts.scheme else "no scheme"
        raise ValueError(f"{needed}; found {found}, {'a host' if has_host else 'no host'}")
    return text


Mailbox = Annotated[str, AfterValidator(_mailbox)]
WebAddress = Annotated[str, AfterValidator(_web_address)]


class EmailSettings(Section):
    """Alerts by e-mail; without a host nothing is sent. Name and password stand in the environment."""

    host: str | None = Field(None, min_length=1, max_length=253)
    port: int = Field(587, ge=1, le=65_535)
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="`none` sends in the clear, and never a password."
    )
    sender: str = Field("aegis@localhost", pattern=r"^[^@\s]+@[^@\s]+$")
    recipients: tuple[Mailbox, ...] = ()
    ca_file: Path | None = Field(None, description="Certificates that are trusted instead of the system's.")
    timeout_seconds: float = Field(10.0, gt=0)

    @model_validator(mode="after")
    def _tells_somebody(self) -> Self:
        if self.recipients and self.host is None:
            raise ValueError(
                f"mail to {', '.join(self.recipients)} has no server: set monitoring.alerts.email.host, or leave out "
                "the recipients"
            )
        if self.host is not None and not self.recipients:
            raise ValueError(
                f"the mail server {self.host} has nobody to tell: set monitoring.alerts.email.recipients, or leave out "
                "the host"
            )
        return self


class AlertSettings(Section):
    """When something in the trading of an account is worth a message, and how messages are sent."""

    email: EmailSettings = EmailSettings()
    clear_after_seconds: float = Field(
        5.0, ge=0, le=60, description="How long a cause must be gone before it is over; less, and it is the same one."
    )
    retry_first_seconds: float = Field(1.0, gt=0, description="Pause after a failed delivery; it doubles.")
    retry_longest_seconds: float = Field(60.0, gt=0)
    max_slippage_bps: float = Field(50.0, gt=0, description="Of a session's fills together, against arrival.")
    slippage_min_fills: int = Field(10, ge=1, description="Fewer fills say nothing about slippage.")
    max_rejects_in_a_row: int = Field(3, ge=1)
    max_unanswered_seconds: float = Field(30.0, gt=0, description="Of an order that was sent, until the venue's word.")
    max_feed_silence_seconds: float = Field(30.0, gt=0, description="Of a source of market data during a session.")


class HealthSettings(Section):
    """The health endpoint of the process that trades; without a port there is none."""

    port: int | None = Field(None, ge=0, le=65_535, description="0 takes a free one.")
    host: str = Field("127.0.0.1", min_length=1, description="Another address than this machine's own shows it to all.")


class MonitoringSettings(Section):
    """What is watched, and who is told."""

    weight_drift_band: float = Field(0.02, gt=0)
    alert_log: Path = Path("alerts.jsonl")
    webhook_url: WebAddress | None = None
    webhook_timeout_seconds: float = Field(5.0, gt=0)
    stale_after_seconds: float = Field(30.0, gt=0, description="Age at which the trader's status counts as stale.")
    event_stream_lines: int = Field(10_000, ge=100, description="Lines in each of the two files of the event stream.")
    stop_on: tuple[Literal["stale", "fatal"], ...] = Field(
        (),
        description="What engages the kill switch by itself: `stale`, a silent trading process with open orders in a "
        "session; `fatal`, a cause after which nothing may leave.",
    )
    alerts: AlertSettings = AlertSettings()
    health: HealthSettings = HealthSettings()
