"""Edge: Lambda's API (https://docs.lambda.ai/api/cloud). One question a method; what its refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetops.plugin import (
    Api,
    ErrorKind,
    KeyFile,
    Meaning,
    Pace,
    Patience,
    Refused,
    Scope,
    Service,
    Surroundings,
    read_credential,
    understood,
)
from hetops_lambda.offers import PROVIDER

KEY_VARIABLES = ("LAMBDA_API_KEY",)
URL_VARIABLE = "LAMBDA_API_URL"

_URL = "https://cloud.lambda.ai"
_KEYS_URL = "https://cloud.lambda.ai/api-keys"
"""Where keys are made."""

REQUEST_SECONDS = 1.05
"""Lambda allows one request a second, whatever it is."""
LAUNCH_SECONDS = 12.0
"""And one launch in so many."""


def _key_in(text: str) -> str:
    """`api_key = ...`, as tools of the field keep it (SkyPilot, dstack)."""
    pairs = (line.partition("=") for line in text.splitlines())
    return next((value.strip() for name, _, value in pairs if name.strip() == "api_key"), "")


KEY_FILES = (KeyFile(path=".lambda_cloud/lambda_keys", find=_key_in),)

_MEANINGS: Mapping[str, Meaning] = {
    "instance-operations/launch/insufficient-capacity": Meaning(
        kind=ErrorKind.CAPACITY, scope=Scope.REGION, hint="another region or type, or later"
    ),
    "global/quota-exceeded": Meaning(
        kind=ErrorKind.QUOTA, hint="ask Lambda's support for a higher quota, or run fewer instances"
    ),
    "global/account-inactive": Meaning(
        kind=ErrorKind.BALANCE, hint="verify the account's email address and payment method"
    ),
    "global/invalid-billing-address": Meaning(
        kind=ErrorKind.BALANCE, hint="correct the account's billing address"
    ),
    "global/invalid-api-key": Meaning(kind=ErrorKind.AUTH, hint=f"make a new key at {_KEYS_URL}"),
    "global/forbidden": Meaning(kind=ErrorKind.AUTH, hint=f"make a key that may do this at {_KEYS_URL}"),
    "global/object-does-not-exist": Meaning(kind=ErrorKind.INVALID, scope=Scope.OFFER),
    "global/invalid-parameters": Meaning(kind=ErrorKind.INVALID, scope=Scope.OFFER),
    "provider/internal-unavailable": Meaning(kind=ErrorKind.TRANSIENT),
}
"""Error codes of the API."""


def meaning(refused: Refused) -> Meaning | None:
    """What a code means; a code that nobody knows is left to its status."""
    error = refused.said.get("error") if isinstance(refused.said, Mapping) else None
    code = error.get("code") if isinstance(error, Mapping) else None
    return _MEANINGS.get(code) if isinstance(code, str) else None


class Line:
    """The way to one account. Every client on it keeps to the same pace."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self._pace = Pace(REQUEST_SECONDS, surroundings.clock)
        self.launches = Pace(LAUNCH_SECONDS, surroundings.clock)

    def api(self, patience: Patience | None = None) -> Api:
        """A client, with the key as it is now. Raises ProviderError where there is none."""
        key = read_credential(PROVIDER, self.surroundings, KEY_VARIABLES, KEY_FILES)
        service = Service(
            provider=PROVIDER,
            base_url=self.surroundings.environment.get(URL_VARIABLE) or _URL,
            token=key.secret,
            meaning=meaning,
            patience=patience or self.surroundings.patience,
            url_hint=f"is {URL_VARIABLE} right? A proxy or a captive network may answer in Lambda's place",
        )
        return Api(service, clock=self.surroundings.clock, pace=self._pace)


async def instance_types(api: Api) -> Mapping[str, Any]:
    """Every instance type with the regions that have it now, by name."""
    return data(await api.get("/api/v1/instance-types"), "the list of instance types")


async def instances(api: Api) -> list[dict[str, Any]]:
    """Every instance of the account."""
    return rows(await api.get("/api/v1/instances"), "the list of instances")


async def ssh_keys(api: Api) -> tuple[str, ...]:
    """The names of the account's SSH keys."""
    keys = rows(await api.get("/api/v1/ssh-keys"), "the list of SSH keys")
    return tuple(str(key.get("name", "")) for key in keys)


async def rulesets(api: Api) -> list[dict[str, Any]]:
    """Every firewall ruleset of the account."""
    return rows(await api.get("/api/v1/firewall-rulesets"), "the list of firewall rulesets")


def data(said: Any, what: str) -> dict[str, Any]:
    """The object under `data`, where answers of this API have everything."""
    return understood(_below(said, what), dict[str, Any], provider=PROVIDER, what=what)


def rows(said: Any, what: str) -> list[dict[str, Any]]:
    """The array under `data`."""
    return understood(_below(said, what), list[dict[str, Any]], provider=PROVIDER, what=what)


def _below(said: Any, what: str) -> Any:
    return understood(said, dict[str, Any], provider=PROVIDER, what=what).get("data")
