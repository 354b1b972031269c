"""Edge: whether there is any sign of credentials, before the SDK is loaded to look for them: that takes a second.

Knows every place where boto3 would look; what stands there is boto3's to judge. Must not say no where boto3 says yes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hetops.plugin import ErrorKind, ProviderError
from hetops_aws.settings import PROVIDER, AwsSettings

SIGN_IN = "aws configure, aws sso login, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
)
_FILES = (
    ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    ("AWS_CONFIG_FILE", "~/.aws/config"),
    ("BOTO_CONFIG", "~/.boto"),
    ("", "/etc/boto.cfg"),
)
"""Variable that names a file, and the file where it does not."""

_OF_EC2 = (("/sys/class/dmi/id/sys_vendor", "Amazon EC2"), ("/sys/hypervisor/uuid", "ec2"))
"""What a machine of EC2 says of itself, which has credentials from its metadata service."""


def require_signs(settings: AwsSettings, environment: Mapping[str, str] = os.environ) -> str:
    """That there may be credentials.

    Raises:
        ProviderError: of kind auth; there are none.
    """
    named = bool(settings.profile) or any(environment.get(name) for name in _VARIABLES)
    files = any(_path(variable, path, environment).is_file() for variable, path in _FILES)
    service = environment.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true"
    if named or files or (service and _on_ec2()):
        return "there may be some"
    raise ProviderError(none_found(environment), provider=PROVIDER, kind=ErrorKind.AUTH, hint=SIGN_IN)


def none_found(environment: Mapping[str, str] = os.environ) -> str:
    """Where credentials were looked for in vain; the half that is missing, where boto3 passes over the other."""
    if environment.get("AWS_SECRET_ACCESS_KEY") and not environment.get("AWS_ACCESS_KEY_ID"):
        return "only half of the credentials were found: AWS_ACCESS_KEY_ID is missing"
    looked = ", ".join(str(_path(variable, path, environment)) for variable, path in _FILES[:2])
    return f"no credentials were found: looked at AWS_ACCESS_KEY_ID, AWS_PROFILE, {looked} and what else boto3 knows"


def _path(variable: str, path: str, environment: Mapping[str, str]) -> Path:
    return Path(environment.get(variable) or path).expanduser()


def _on_ec2() -> bool:
    return any(_begins(Path(path), text) for path, text in _OF_EC2)


def _begins(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="ascii", errors="replace").startswith(text)
    except OSError:
        return False
