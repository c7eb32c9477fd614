"""Tests that need a service skip where it is missing, and fail where it was promised."""

from __future__ import annotations

from collections.abc import Callable

import pytest

RequireService = Callable[[object, str], None]


def test_a_test_goes_on_when_its_service_is_there(
    require_service: RequireService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_REQUIRE_SERVICES", "1")
    require_service("/usr/bin/chromium", "no chromium; apt install chromium")


@pytest.mark.parametrize("value", [None, "", "0"])
def test_a_missing_service_skips_with_its_remedy(
    value: str | None, require_service: RequireService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AEGIS_REQUIRE_SERVICES", raising=False)
    if value is not None:
        monkeypatch.setenv("AEGIS_REQUIRE_SERVICES", value)
    with pytest.raises(pytest.skip.Exception, match="apt install chromium"):
        require_service(None, "no chromium; apt install chromium")


def test_a_missing_service_fails_where_it_was_promised(
    require_service: RequireService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match=r"apt install chromium.*promised"):
        require_service(None, "no chromium; apt install chromium")
