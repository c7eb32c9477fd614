"""Settings of network vendors: their keys are secrets, wherever they stand."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from aegis.config import AegisConfig, load_config
from aegis.errors import ConfigurationError

CANARY = "canary0secret0key"
SECRET = f"market_data: {{alpaca: {{key_id: {CANARY}, secret_key: {CANARY}}}}}"


def _load(folder: Path, text: str) -> AegisConfig:
    file = folder / "aegis.yaml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


def test_keys_come_from_the_environment_and_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AEGIS_MARKET_DATA__ALPACA__SECRET_KEY", CANARY)
    config = _load(tmp_path, "")

    assert config.market_data.alpaca.secret_key is not None
    assert config.market_data.alpaca.secret_key.get_secret_value() == CANARY
    assert CANARY not in f"{config} {config!r} {config.model_dump()} {config.model_dump_json()}"


@pytest.mark.parametrize(
    "text",
    [
        SECRET.replace("secret_key:", "attempts: 0, secret_key:"),
        SECRET.replace("secret_key:", "timeout_seconds: 500, secret_key:"),
        f"market_data: {{alpaca: {{secret_key: [{CANARY}]}}}}",
        f"market_data: {{alpaca: {{key_id: {{value: {CANARY}}}}}}}",
    ],
    ids=["a wrong number beside it", "two settings that contradict", "a list", "a mapping"],
)
def test_a_refusal_never_shows_a_key(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"market_data\.alpaca") as refusal:
        _load(tmp_path, text)

    assert CANARY not in "".join(traceback.format_exception(refusal.value))


def test_a_malformed_variable_with_a_key_in_it_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AEGIS_MARKET_DATA__ALPACA", f'{{"secret_key": "{CANARY}"')

    with pytest.raises(ConfigurationError, match="a value that is not shown") as refusal:
        _load(tmp_path, "")

    assert CANARY not in str(refusal.value)


def test_an_address_must_be_one() -> None:
    with pytest.raises(ValueError, match="url"):
        AegisConfig.model_validate({"market_data": {"alpaca": {"url": "ftp://somewhere"}}})
