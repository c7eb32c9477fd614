"""Letting Great Expectations judge a frame, one batch for all sessions.

Belongs here: the only contact with Great Expectations. It is imported inside the function, since that takes seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.config_quality import QualitySettings
from aegis.errors import QualityGateBlocked
from aegis.market_data.check_definition import CheckDefinition

Mask = npt.NDArray[np.bool_]


def offending_rows(
    frame: pd.DataFrame, checks: Sequence[CheckDefinition], *, settings: QualitySettings
) -> dict[str, Mask]:
    """Return for each check which rows of `frame` break one of its expectations.

    Parameters
    ----------
    frame : DataFrame
        Evidence with a ``RangeIndex``.
    checks : sequence of CheckDefinition
        Checks that are about this frame.
    settings : QualitySettings
        Bounds.

    Returns
    -------
    dict of str to ndarray of bool, shape (rows,)
        By check name.

    Raises
    ------
    QualityGateBlocked
        An expectation could not be evaluated, so nothing vouches for the rows.

    Notes
    -----
    The context is ephemeral: nothing is written, analytics and progress bars are off. A null is judged by the
    not-null expectations only.
    """
    masks = {check.name: np.zeros(len(frame), dtype=np.bool_) for check in checks}
    if frame.empty:
        return masks
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("quality_gate").add_dataframe_asset("evidence")
    definition = asset.add_batch_definition_whole_dataframe("range")
    batch = definition.get_batch(batch_parameters={"dataframe": frame[_judged_columns(checks, settings)]})
    suite = gx.ExpectationSuite(
        name="quality_gate",
        expectations=[
            getattr(gx.expectations, each.kind)(**each.terms, meta={"check": check.name})
            for check in checks
            for each in check.expectations(settings)
        ],
    )
    verdict = batch.validate(suite, result_format={"result_format": "COMPLETE", "include_unexpected_rows": False})
    _refuse_fewer_verdicts(len(verdict.results), len(suite.expectations))
    for result in verdict.results:
        name = result.expectation_config.meta["check"]
        masks[name][_offenders(name, result.success, result.result)] = True
    return masks


def _judged_columns(checks: Sequence[CheckDefinition], settings: QualitySettings) -> list[str]:
    """Return the columns that expectations name; the library copies whatever else a batch holds many times."""
    names: dict[str, None] = {}
    for check in checks:
        for each in check.expectations(settings):
            columns = each.terms.get("column_list") or [
                each.terms[key] for key in ("column", "column_A", "column_B") if key in each.terms
            ]
            names |= dict.fromkeys(columns)
    return list(names)


def _great_expectations() -> ModuleType:
    with warnings.catch_warnings():
        # its import touches a module of the standard library that warns of its own removal
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx  # noqa: PLC0415 - takes seconds, and only the gate needs it
        import great_expectations.expectations  # noqa: PLC0415
    module: ModuleType = gx
    return module


def _refuse_fewer_verdicts(found: int, expected: int) -> None:
    if found != expected:
        raise QualityGateBlocked(
            f"Great Expectations gave {found} verdicts on {expected} expectations, so some rows are unjudged; "
            "nothing was let through: make the expectations of a check differ from each other"
        )


def _offenders(check: str, success: bool | None, result: Mapping[str, Any]) -> npt.NDArray[np.int64]:  # noqa: FBT001 - as the library says it
    rows = np.asarray(result.get("unexpected_index_list") or [], dtype=np.int64)
    if success is None or "element_count" not in result or success != (rows.size == 0):
        raise QualityGateBlocked(
            f"check {check} could not be evaluated (success={success}, {rows.size} offending rows named), so nothing "
            "vouches for the rows; nothing was let through: look for a column of an unexpected dtype and run again"
        )
    return rows
