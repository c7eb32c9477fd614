from __future__ import annotations

import pytest

from aegis_sensors.make_commands import make_command


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({}, "make ui"),
        ({"AEGIS_RUN__WORKSPACE": "calm-names"}, "make ui WORKSPACE=calm-names"),
        ({"AEGIS_RUN__SOURCE": "yahoo"}, "make ui SOURCE=yahoo"),
        (
            {"AEGIS_RUN__SOURCE": "files", "AEGIS_MARKET_DATA__FILES__FOLDER": "/srv/my prices"},
            "make ui DATA='/srv/my prices'",
        ),
        (
            {
                "AEGIS_RUN__WORKSPACE": "broken-bar",
                "AEGIS_RUN__FIRST_SESSION": "2014-06-02",
                "AEGIS_RUN__LAST_SESSION": "2015-12-31",
            },
            "make ui WORKSPACE=broken-bar FIRST=2014-06-02 LAST=2015-12-31",
        ),
        ({"AEGIS_RUN__ACCOUNT": "paper"}, "AEGIS_RUN__ACCOUNT=paper make ui"),
        ({"AEGIS_PORTFOLIO__MAX_POSITION_WEIGHT": "0.04", "WORKSPACE": "other", "AEGIS_RUN__WORKSPACE": ""}, "make ui"),
    ],
)
def test_the_command_names_what_chose_the_history(environment: dict[str, str], command: str) -> None:
    assert make_command("ui", environment) == command


def test_the_environment_of_the_process_is_meant_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_RUN__WORKSPACE", "trial")
    assert make_command("run FROM=<date>").startswith("make run FROM=<date> ")
    assert "WORKSPACE=trial" in make_command("run FROM=<date>")
