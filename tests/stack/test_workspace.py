"""What an engine works in: the environment of an offline run, and the user's own where the backend is theirs."""

from __future__ import annotations

import sys
from pathlib import Path

from hetops.stack.engine import EngineChoice, EngineOrigin
from hetops.stack.workspace import StackPlace, environment
from hetops.state.home import Home

ENGINE = EngineChoice(
    path=Path("/opt/pulumi/bin/pulumi"), version="3.259.0", origin=EngineOrigin.PATH, reason=""
)


def made(backend: str = "", **given: str) -> dict[str, str]:
    home = Home(root=Path("/my state"))
    place = StackPlace(
        home=home, folder=home.deployment("chat"), engine=ENGINE, backend=backend, environment=given
    )
    return environment(place)


def test_plugins_are_found_beside_our_interpreter_first_and_nothing_is_fetched() -> None:
    set_up = made(PATH="/usr/bin")
    assert set_up["PATH"] == f"{Path(sys.executable).parent}:/opt/pulumi/bin:/usr/bin"
    assert set_up["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert set_up["PULUMI_SKIP_UPDATE_CHECK"] == "true"
    assert set_up["HETOPS_STATE"] == "/my state"


def test_credentials_of_providers_reach_their_plugins() -> None:
    assert made(CLOUD_TOKEN="t")["CLOUD_TOKEN"] == "t"


def test_the_state_lies_in_the_deployments_folder_under_a_passphrase_of_its_own() -> None:
    set_up = made(PULUMI_CONFIG_PASSPHRASE="theirs", PULUMI_BACKEND_URL="s3://theirs", PULUMI_HOME="/theirs")
    assert set_up["PULUMI_BACKEND_URL"] == "file:///my%20state/chat/pulumi/state?metadata=skip"
    assert set_up["PULUMI_CONFIG_PASSPHRASE_FILE"] == "/my state/chat/passphrase"
    assert "PULUMI_CONFIG_PASSPHRASE" not in set_up
    assert set_up["PULUMI_HOME"] == "/my state/chat/pulumi/home"


def test_on_a_backend_of_the_users_their_login_and_passphrase_count() -> None:
    theirs = made("s3://bucket", PULUMI_CONFIG_PASSPHRASE="theirs", PULUMI_HOME="/theirs", AWS_PROFILE="p")
    assert (theirs["PULUMI_BACKEND_URL"], theirs["PULUMI_HOME"]) == ("s3://bucket", "/theirs")
    assert theirs["PULUMI_CONFIG_PASSPHRASE"] == "theirs"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in theirs
    assert theirs["AWS_PROFILE"] == "p"
    assert made("s3://bucket")["PULUMI_CONFIG_PASSPHRASE_FILE"] == "/my state/chat/passphrase"


def test_settings_that_would_turn_our_plugin_away_are_left_out() -> None:
    assert "PULUMI_IGNORE_AMBIENT_PLUGINS" not in made(PULUMI_IGNORE_AMBIENT_PLUGINS="true")
