"""Keys and passwords come from the environment or from a file that is its user's alone, and are shown nowhere."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from aegis.config import AegisConfig, load_config
from aegis.config_secrets import URLS_WITHOUT_PASSWORD, secret_settings
from aegis.errors import ConfigurationError

CANARY = "canary0secret0key"
KEY, SECRET = "AEGIS_BROKERS__ALPACA__KEY_ID", "AEGIS_BROKERS__ALPACA__SECRET_KEY"


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a secrets file that the environment names."""
    file = tmp_path / "secrets"
    file.write_text(f"# Alpaca, account fund\n\n{KEY}=PKFUND\n{SECRET}={CANARY}=/+\n", encoding="utf-8")
    file.chmod(0o600)
    monkeypatch.setenv("AEGIS_SECRETS_FILE", str(file))
    return file


def _load(folder: Path, text: str = "") -> AegisConfig:
    file = folder / "aegis.yaml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


def _refused(folder: Path, match: str, text: str = "") -> None:
    with pytest.raises(ConfigurationError, match=match) as refusal:
        _load(folder, text)
    assert CANARY not in "".join(traceback.format_exception(refusal.value))


@pytest.mark.usefixtures("secrets")
def test_a_secrets_file_of_ours_sets_what_it_names_beside_the_settings_of_the_other_file(tmp_path: Path) -> None:
    alpaca = _load(tmp_path, "brokers: {alpaca: {attempts: 3}}").brokers.alpaca
    assert alpaca.key_id is not None
    assert alpaca.secret_key is not None
    assert (alpaca.key_id.get_secret_value(), alpaca.secret_key.get_secret_value()) == ("PKFUND", f"{CANARY}=/+")
    assert alpaca.attempts == 3
    assert CANARY not in f"{alpaca!r}{alpaca.model_dump_json()}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o666, 0o601])
def test_a_file_that_others_read_or_write_is_refused(tmp_path: Path, secrets: Path, mode: int) -> None:
    secrets.chmod(mode)
    _refused(tmp_path, f"mode {mode:04o}")


def test_a_link_a_folder_a_pipe_a_second_name_and_a_missing_file_are_refused(tmp_path: Path, secrets: Path) -> None:
    kept = secrets.rename(tmp_path / "kept")
    _refused(tmp_path, "does not exist")
    secrets.symlink_to(kept)
    _refused(tmp_path, "no link")
    secrets.unlink()
    secrets.mkdir()
    _refused(tmp_path, "no plain file")
    secrets.rmdir()
    os.mkfifo(secrets, 0o600)
    _refused(tmp_path, "no plain file")
    secrets.unlink()
    secrets.hardlink_to(kept)
    _refused(tmp_path, "2 names on the disk")


def test_a_file_in_a_folder_where_others_may_put_another_is_refused(tmp_path: Path, secrets: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    secrets.rename(folder / "secrets")
    folder.chmod(0o777)
    os.environ["AEGIS_SECRETS_FILE"] = str(folder / "secrets")
    _refused(tmp_path, "can be changed by others")


def test_another_users_file_is_refused(tmp_path: Path, secrets: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(secrets, 12_345, 12_345)
    _refused(tmp_path, "belongs to user 12345, expected 0")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (CANARY, "line 1: expected NAME=value"),
        (f"export {SECRET}={CANARY}", "expected NAME=value"),
        (f"AEGIS_RUN__ACCOUNT={CANARY}", "AEGIS_RUN__ACCOUNT is no secret of ours"),
        (f"{SECRET}={CANARY}\n{SECRET}={CANARY}", "line 2: .* stands twice"),
        (f"{SECRET}=", "has no value"),
    ],
)
def test_what_cannot_be_understood_is_refused_and_not_shown(tmp_path: Path, secrets: Path, line: str, why: str) -> None:
    secrets.write_text(line, encoding="utf-8")
    _refused(tmp_path, why)


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    ("variable", "value"),
    [(SECRET, "another"), (SECRET.lower(), "another"), ("AEGIS_BROKERS__ALPACA", '{"secret_key": "another"}')],
)
def test_another_key_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    _refused(tmp_path, f"{SECRET} stands in the file .* and the environment says something else")


@pytest.mark.usefixtures("secrets")
def test_the_same_key_in_both_places_is_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, f"{CANARY}=/+")
    assert _load(tmp_path).brokers.alpaca.secret_key is not None


@pytest.mark.parametrize(
    "setting", [setting for setting in secret_settings(AegisConfig) if setting not in URLS_WITHOUT_PASSWORD]
)
def test_no_secret_stands_in_the_settings_file(tmp_path: Path, setting: str) -> None:
    section, *path = setting.split(".")
    text = f"{section}: " + "".join(f"{{{name}: " for name in path) + CANARY + "}" * len(path)
    _refused(tmp_path, rf"aegis\.yaml: {setting} is a secret.* Set AEGIS_", text)


def test_the_keys_of_brokers_and_vendors_are_among_the_secrets() -> None:
    assert set(secret_settings(AegisConfig)) >= {
        "brokers.alpaca.key_id",
        "brokers.alpaca.secret_key",
        "market_data.alpaca.key_id",
        "market_data.alpaca.secret_key",
        "storage.postgres_url",
    }


def test_a_wrong_number_beside_a_key_shows_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, CANARY)
    _refused(tmp_path, r"brokers\.alpaca\.attempts", "brokers: {alpaca: {attempts: 0}}")
