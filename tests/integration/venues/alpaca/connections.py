"""How the tests reach the venue: short timeouts, no pauses, nothing in the background that they did not ask for."""

from __future__ import annotations

from typing import Any

from aegis.config_brokers import AlpacaBrokerSettings
from tests.integration.venues.alpaca.rest import KEY_ID, SECRET_KEY
from tests.integration.venues.alpaca.server import AlpacaVenue

NEVER_SECONDS = 3600.0


def alpaca_settings(venue: AlpacaVenue, **terms: Any) -> AlpacaBrokerSettings:
    """Return settings that reach the venue; a term replaces one of them."""
    settings: dict[str, Any] = {
        "url": venue.rest.url,
        "stream_url": venue.stream.url,
        "key_id": KEY_ID,
        "secret_key": SECRET_KEY,
        "read_timeout_seconds": 5.0,
        "first_pause_seconds": 0.0,
        "poll_seconds": NEVER_SECONDS,
        "reconnect_first_seconds": 0.01,
        "reconnect_longest_seconds": 0.02,
    }
    return AlpacaBrokerSettings.model_validate({**settings, **terms})
