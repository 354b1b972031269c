"""Edge: who asks and for which project, found where Google's own tools keep it: environment first, then gcloud's files,
then the metadata server of a Google machine. Must not show a token or a key.
"""

from __future__ import annotations

import configparser
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hetops.plugin import ErrorKind, ProviderError, Secret, Surroundings
from hetops_gcp.settings import PROVIDER, GcpSettings

TOKEN_VARIABLES = ("GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN")
FILE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
METADATA_VARIABLE = "GCE_METADATA_HOST"

_SIGN_IN = (
    f"gcloud auth application-default login, or set {FILE_VARIABLE} to the key file of a service account"
)
_INSTALL = "pip install 'hetops[gcp]'"
_HARDWARE = Path("/sys/class/dmi/id/product_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who asks. `source` says where it was found, `quota_project` who answers for a person's questions."""

    token: Secret
    project: str
    source: str
    quota_project: str = ""


def open_access(settings: GcpSettings, around: Surroundings, *, seconds: float) -> Access:
    """A token and the project.

    Raises:
        ProviderError: of kind auth: no credentials, refused ones, or no project.
    """
    found = _found(around, seconds)
    named = (settings.project, *(around.environment.get(name, "") for name in PROJECT_VARIABLES))
    project = next((name for name in (*named, found.project, _configured(around)) if name), "")
    if not project:
        raise _auth(
            f"no project: looked at providers.{PROVIDER}.project, {', '.join(PROJECT_VARIABLES)}, "
            "the credentials and gcloud's configuration",
            f"set project under [providers.{PROVIDER}], or gcloud config set project ID",
        )
    return Access(token=found.token, project=project, source=found.source, quota_project=found.quota_project)


def _found(around: Surroundings, seconds: float) -> Access:
    for name in TOKEN_VARIABLES:
        token = around.environment.get(name, "").strip()
        if token:
            return Access(token=_checked(token, name), project="", source=name)
    for path, source in _files(around):
        if path.is_file():
            return _from_file(path, source, seconds)
        if source == FILE_VARIABLE:
            raise _auth(f"{source} names {path}, which is no file", _SIGN_IN)
    if around.environment.get(METADATA_VARIABLE) or _on_google():
        return _from_metadata(around, seconds)
    looked = ", ".join((*TOKEN_VARIABLES, FILE_VARIABLE, str(_gcloud(around) / _DEFAULT)))
    raise _auth(f"no credentials: looked at {looked}", _SIGN_IN)


_DEFAULT = "application_default_credentials.json"

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "service_account": ("client_email", "private_key", "token_uri"),
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
}
"""What google-auth cannot do without, by the type of the credentials."""


def _gcloud(around: Surroundings) -> Path:
    return Path(around.environment.get("CLOUDSDK_CONFIG") or around.home / ".config" / "gcloud")


def _files(around: Surroundings) -> Iterator[tuple[Path, str]]:
    named = around.environment.get(FILE_VARIABLE, "")
    if named:
        yield Path(named).expanduser(), FILE_VARIABLE
    yield _gcloud(around) / _DEFAULT, "gcloud's application default credentials"


def _checked(token: str, source: str) -> Secret:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise _auth(f"{source} holds characters that no token has", f"set {source} anew")
    return Secret(token)


def _from_file(path: Path, source: str, seconds: float) -> Access:
    """Whatever kind of credentials the file holds: a service account, a person, a federated identity."""
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise _auth(f"{source}: {path} cannot be read as JSON", _SIGN_IN) from fault
    if not isinstance(told, Mapping):
        raise _auth(f"{source}: {path} holds no credentials", _SIGN_IN)
    lacking = [name for name in _NEEDED.get(str(told.get("type")), ()) if not told.get(name)]
    if lacking:
        raise _auth(f"{source}: {path} lacks {', '.join(lacking)}", _SIGN_IN)
    token = _checked(_refreshed(told, source, seconds), source)
    person = told.get("type") == "authorized_user"
    project = str(told.get("project_id") or told.get("quota_project_id") or "")
    return Access(
        token=token,
        project=project,
        source=source,
        quota_project=str(told.get("quota_project_id") or "") if person else "",
    )


def _refreshed(told: Mapping[str, Any], source: str, seconds: float) -> str:
    if not importlib.util.find_spec("google") or not importlib.util.find_spec("google.auth"):
        raise ProviderError(
            "google-auth is not installed", provider=PROVIDER, kind=ErrorKind.INVALID, hint=_INSTALL
        )
    from hetops_gcp.tokens import refreshed

    return refreshed(told, source=source, seconds=seconds, hint=_SIGN_IN)


def _from_metadata(around: Surroundings, seconds: float) -> Access:
    """The service account of the Google machine that this runs on."""
    host = around.environment.get(METADATA_VARIABLE) or "metadata.google.internal"
    base = f"http://{host}/computeMetadata/v1"
    try:
        with httpx.Client(
            headers={"Metadata-Flavor": "Google"}, timeout=seconds / 2, trust_env=False
        ) as client:
            token = client.get(f"{base}/instance/service-accounts/default/token").raise_for_status().json()
            project = client.get(f"{base}/project/project-id").raise_for_status().text.strip()
        return Access(
            token=_checked(token["access_token"], "the metadata server"),
            project=project,
            source="the metadata server",
        )
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as fault:
        raise _auth("no token from the metadata server", _SIGN_IN) from fault


def _on_google() -> bool:
    try:
        return _HARDWARE.read_text(encoding="ascii", errors="replace").startswith("Google")
    except OSError:
        return False


def _configured(around: Surroundings) -> str:
    """The project of gcloud's active configuration; empty where there is none."""
    folder = _gcloud(around)
    try:
        active = around.environment.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or (
            folder / "active_config"
        ).read_text(encoding="utf-8")
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(folder / "configurations" / f"config_{active.strip()}", encoding="utf-8")
        return parser.get("core", "project", fallback="")
    except (OSError, ValueError, configparser.Error):
        return ""


def _auth(message: str, hint: str) -> ProviderError:
    return ProviderError(message, provider=PROVIDER, kind=ErrorKind.AUTH, hint=hint)
