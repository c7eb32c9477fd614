"""Settings of who is told of trouble: an address that reaches nobody is refused when it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aegis.config import load_config
from aegis.errors import ConfigurationError


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AEGIS_")]:
        monkeypatch.delenv(name)


def _file(folder: Path, text: str) -> Path:
    file = folder / "aegis.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "address", ["not a url", "ftp://x/y", "https://:80/T0K3N", "https://x/a b", "https://x:99999/T0K3N"]
)
def test_a_webhook_that_cannot_be_called_is_refused_and_not_shown(tmp_path: Path, address: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"monitoring\.webhook_url: .*an http or https address .* is needed"
    ) as no:
        load_config(_file(tmp_path, f"monitoring: {{webhook_url: '{address}'}}"))

    assert "a value that is not shown" in str(no.value)
    assert address not in str(no.value)


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("{host: mail, recipients: [nobody]}", r"recipients\.0: .*a mail address such as .* found 'nobody'"),
        ("{host: mail, recipients: [a@b, 'desk@']}", r"recipients\.1: .*found 'desk@'"),
        ("{host: mail, recipients: ['Desk <nobody>']}", r"recipients\.0: .*found 'Desk <nobody>'"),
        ("{recipients: [ada@example.com]}", r"mail to ada@example\.com has no server: set .*email\.host"),
        ("{host: mail}", r"the mail server mail has nobody to tell: set .*email\.recipients"),
    ],
)
def test_mail_that_would_reach_nobody_is_refused(tmp_path: Path, email: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"monitoring\.alerts\.email.*{said}"):
        load_config(_file(tmp_path, f"monitoring: {{alerts: {{email: {email}}}}}"))


def test_addresses_that_can_be_told_are_taken_as_they_are(tmp_path: Path) -> None:
    text = (
        "{webhook_url: 'http://127.0.0.1:8000/hook', alerts: {email: {host: mail, recipients: [a@b, 'Desk <c@d.e>']}}}"
    )
    found = load_config(_file(tmp_path, f"monitoring: {text}")).monitoring

    assert found.webhook_url == "http://127.0.0.1:8000/hook"
    assert found.alerts.email.recipients == ("a@b", "Desk <c@d.e>")
