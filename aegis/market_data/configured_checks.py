"""The rule table with the outcomes that configuration gives it.

Belongs here: which overrides are allowed. The table itself is :mod:`aegis.market_data.expectations`.
"""

from __future__ import annotations

import difflib
from dataclasses import replace

from aegis.config_quality import QualitySettings
from aegis.errors import ConfigurationError
from aegis.market_data.check_definition import CheckDefinition
from aegis.market_data.expectations import CHECKS


def configured_checks(settings: QualitySettings) -> tuple[CheckDefinition, ...]:
    """Return the rule table with the outcomes of ``quality.outcomes``.

    Raises
    ------
    ConfigurationError
        A key is no check, or the check may not have that outcome: a critical check blocks whatever is configured.

    Notes
    -----
    A changed outcome changes the check's version, so that verdicts made before do not vouch for orders made after.
    """
    names = [check.name for check in CHECKS]
    for name in settings.outcomes:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise ConfigurationError(
                f"quality.outcomes: {ascii(name)[:80]} is not a check; "
                f"{f'did you mean {near[0]}?' if near else 'docs/data_quality.md lists them'}"
            )
    return tuple(_configured(check, settings) for check in CHECKS)


def _configured(check: CheckDefinition, settings: QualitySettings) -> CheckDefinition:
    wanted = settings.outcomes.get(check.name, check.on_failure)
    if wanted == check.on_failure:
        return check
    if wanted not in check.may_become:
        allowed = ", ".join((check.on_failure, *check.may_become))
        raise ConfigurationError(
            f"quality.outcomes.{check.name}: {wanted} is not allowed, it may be: {allowed}; remove the key or choose "
            "one of these"
        )
    return replace(check, on_failure=wanted, version=f"{check.version} as {wanted}")
