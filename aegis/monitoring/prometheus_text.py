"""A status as Prometheus reads it: the text exposition format, version 0.0.4.

Belongs here: names, units and labels of the metrics. What they mean is :mod:`aegis.monitoring.snapshot`.

References
----------
Prometheus, *Exposition formats*: HELP and TYPE lines, label values with backslash, quote and newline escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Sample = tuple[Mapping[str, str], float | None]


def exposition(status: Mapping[str, Any], *, is_healthy: bool, age_seconds: float | None) -> str:
    """Return the metrics of a status; what is not known is left out.

    Parameters
    ----------
    status : mapping
        As :func:`aegis.monitoring.status_file.status_record` makes it; empty before the first look.
    is_healthy : bool
    age_seconds : float or None
        Of the status; None before the first.
    """
    return "".join(f"{line}\n" for family in _families(status, is_healthy, age_seconds) for line in family)


def _families(status: Mapping[str, Any], is_healthy: bool, age_seconds: float | None) -> Iterator[list[str]]:  # noqa: FBT001
    yield _family("aegis_healthy", "Whether nothing critical stands.", [({}, float(is_healthy))])
    yield _family("aegis_status_age_seconds", "Age of the last look.", [({}, age_seconds)])
    if not status:
        return
    snapshot, account = status["snapshot"], {"account": str(status["account"])}
    money, exposure = snapshot["money"], snapshot["exposure"]

    def single(name: str, told: str, value: float | None) -> list[str]:
        return _family(name, told, [(account, value)])

    yield single("aegis_equity_usd", "Equity by the broker's last statement.", money["equity_usd"])
    yield single("aegis_cash_usd", "Cash by the broker's last statement.", money["cash_usd"])
    yield single("aegis_day_profit_usd", "Equity less the first of the trading day.", money["day_profit_usd"])
    yield single("aegis_unexplained_usd", "Change of equity that fills do not explain.", money["unexplained_usd"])
    yield single("aegis_gross_exposure_usd", "Sum of absolute position values.", exposure["gross_usd"])
    yield single("aegis_net_exposure_usd", "Sum of position values.", exposure["net_usd"])
    yield single("aegis_open_orders", "Orders that are not at their end.", len(snapshot["open_orders"]))
    yield single("aegis_kill_switch_engaged", "Whether nothing may leave.", float(bool(snapshot["kill_switch"])))
    yield single("aegis_breaks", "Differences from the broker.", len(snapshot["breaks"]))
    silence = snapshot["broker"]["stream_silence_seconds"]
    yield single("aegis_broker_silence_seconds", "Since the order stream was heard.", silence)
    yield _family(
        "aegis_strategy_profit_usd",
        "Profit since the start by book and kind of decision.",
        [({**account, "strategy": name}, part["total_usd"]) for name, part in money["by_strategy"].items()],
    )
    yield _family(
        "aegis_position_shares",
        "Signed shares by the journal.",
        [({**account, "symbol": held["symbol"]}, held["shares"]) for held in snapshot["positions"]],
    )
    yield _family(
        "aegis_limit_used_ratio",
        "Use of a limit by what it allows.",
        [({**account, "limit": limit["name"]}, _ratio(limit)) for limit in snapshot["limits"]],
    )
    yield _family(
        "aegis_order_latency_seconds",
        "Quantiles of each stage over the newest orders.",
        [
            ({**account, "stage": stage["stage"], "quantile": quantile}, stage[name])
            for stage in snapshot["latencies"]
            for quantile, name in (("0.5", "p50_seconds"), ("0.99", "p99_seconds"))
        ],
    )
    yield _family(
        "aegis_cause",
        "1 for each thing that stands wrong.",
        [({**account, "cause": cause["key"], "severity": cause["severity"]}, 1.0) for cause in status["causes"]],
    )


def _family(name: str, told: str, samples: Iterable[_Sample]) -> list[str]:
    known = [(labels, value) for labels, value in samples if value is not None]
    if not known:
        return []
    lines = [f"# HELP {name} {told}", f"# TYPE {name} gauge"]
    for labels, value in known:
        pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{pairs}}} {float(value)!r}" if pairs else f"{name} {float(value)!r}")
    return lines


def _ratio(limit: Mapping[str, float | None]) -> float | None:
    used, allowed = limit["used"], limit["limit"]
    return None if used is None or not allowed else used / allowed


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
