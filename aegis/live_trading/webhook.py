"""Calling a webhook with what a person must know.

Belongs here: one HTTP call and what its failure means. When it is made, and what is remembered of it, is
:mod:`aegis.live_trading.alerts`.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended.

    Parameters
    ----------
    problem : str
        What went wrong, with the remedy; empty after a success.
    is_reachable : bool
        Whether somebody answered, if only to refuse; if not, the next call would wait in vain as well.
    """

    problem: str = ""
    is_reachable: bool = True


def post(url: str, payload: Mapping[str, Any], *, idempotency_key: str, timeout_seconds: float) -> Answer:
    """POST `payload` as JSON; errors are in the answer, none is raised.

    Parameters
    ----------
    url : str
        An http or https address. It may hold a secret and is shown as its host.
    payload : mapping
        What JSON can hold.
    idempotency_key : str
        Sent as a header; equal keys are one message, sent again.
    timeout_seconds : float
        For the connection and for each read.
    """
    host = "the webhook"
    try:
        parts = urlsplit(url)
        host = f"the webhook at {parts.hostname}"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return Answer(
                f"monitoring.webhook_url must be an http or https address with a host, found scheme {parts.scheme!r}",
                is_reachable=False,
            )
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            url,
            data=json.dumps(payload).encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": idempotency_key},
            method="POST",
        )
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_seconds):
            return Answer()
    except urllib.error.HTTPError as error:
        error.close()
        return Answer(
            f"{host} answered {error.code} {error.reason}; correct monitoring.webhook_url or mend the receiver"
        )
    except TimeoutError:
        problem = f"{host} did not answer within {timeout_seconds} s; mend the receiver or raise the timeout"
    except (OSError, http.client.HTTPException, ValueError) as error:
        problem = f"{host} could not be called ({type(error).__name__}: {error}); correct monitoring.webhook_url"
    return Answer(problem, is_reachable=False)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the error it is: following it would turn the POST into a GET that delivers nothing."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None
