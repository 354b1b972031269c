"""Whether there may be credentials is known before the SDK is loaded, and a no is never wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hetops_aws.settings import AwsSettings
from hetops_aws.signs import require_signs

from hetops.errors import ErrorKind, ProviderError

BARE = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": "/nowhere/config"}

OF_A_FOLDER = {"AWS_SHARED_CREDENTIALS_FILE": "{folder}/keys", "BOTO_CONFIG": "{folder}/keys"}


@pytest.mark.parametrize(
    "name",
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    ],
)
def test_a_variable_that_boto3_reads_is_a_sign(name: str) -> None:
    assert require_signs(AwsSettings(), {**BARE, name: "x"})


@pytest.mark.parametrize("name", OF_A_FOLDER)
def test_a_file_is_a_sign_whatever_is_in_it(name: str, tmp_path: Path) -> None:
    told = {**BARE, "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/keys", name: f"{tmp_path}/keys"}
    with pytest.raises(ProviderError):
        require_signs(AwsSettings(), told)
    (tmp_path / "keys").touch()
    assert require_signs(AwsSettings(), told)


def test_a_profile_of_the_settings_is_a_sign() -> None:
    assert require_signs(AwsSettings(profile="work"), BARE)


def test_without_any_sign_the_places_and_the_fix_are_named_and_no_sdk_is_loaded(tmp_path: Path) -> None:
    told = {**BARE, "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/keys"}
    with pytest.raises(ProviderError) as caught:
        require_signs(AwsSettings(), told)
    assert caught.value.kind is ErrorKind.AUTH
    assert f"AWS_ACCESS_KEY_ID, AWS_PROFILE, {tmp_path}/keys, /nowhere/config" in caught.value.message
    assert "aws configure" in caught.value.hint
    program = "import sys; from hetops_aws.provider import AwsProvider; print([r.ok for r in AwsProvider().check({})], 'botocore' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], env=told, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "[True, False] False\n"
