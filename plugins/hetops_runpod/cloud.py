"""Edge: RunPod's REST API v2 (https://docs.runpod.io/api-reference-v2). What it answers, and what its refusals mean.

Version 1 and GraphQL are retired or about to be: nothing here speaks them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from hetops.plugin import (
    Api,
    ErrorKind,
    KeyFile,
    Meaning,
    Patience,
    Refused,
    Scope,
    Service,
    Surroundings,
    read_credential,
    understood,
)
from hetops_runpod.settings import PROVIDER, Tier

KEY_VARIABLES = ("RUNPOD_API_KEY",)
URL_VARIABLE = "RUNPOD_API_URL"

_URL = "https://api.runpod.io"
_KEYS_URL = "https://console.runpod.io/user/settings"

_SOLD_OUT = (
    "no longer any instances",
    "no instances",
    "not enough",
    "insufficient",
    "out of stock",
    "no capacity",
)
"""What a 400 says where there is no stock: it has no code of its own, and rules that are broken get the same."""

_SPENT = ("spend limit", "spending limit")


def _key_in(text: str) -> str:
    """`apikey` of runpodctl, or `api_key` of the SDK's default profile."""
    config = tomllib.loads(text)
    profile = config.get("default", {})
    return str(config.get("apikey") or (profile.get("api_key") if isinstance(profile, dict) else "") or "")


KEY_FILES = (KeyFile(path=".runpod/config.toml", find=_key_in),)


_BY_STATUS: Mapping[int, Meaning] = {
    HTTPStatus.UNAUTHORIZED: Meaning(
        kind=ErrorKind.AUTH, message="refused the API key", hint=f"make a new key at {_KEYS_URL}"
    ),
    HTTPStatus.PAYMENT_REQUIRED: Meaning(
        kind=ErrorKind.BALANCE, hint="add credit at https://console.runpod.io/user/billing"
    ),
}


def meaning(refused: Refused) -> Meaning | None:
    """What a refusal means by its status and, where that is not enough, its words."""
    if any(each in refused.words.lower() for each in _SPENT):
        return Meaning(kind=ErrorKind.QUOTA, hint="ask RunPod's support for a higher spend limit")
    return _of_create(refused) or _of_access(refused) or _BY_STATUS.get(refused.status)


def _of_create(refused: Refused) -> Meaning | None:
    """What only the refusal of a new pod can mean."""
    words = refused.words.lower()
    if (refused.method, refused.path) != ("POST", "/v2/pods"):
        return None
    if refused.status == HTTPStatus.BAD_REQUEST and any(each in words for each in _SOLD_OUT):
        return Meaning(
            kind=ErrorKind.CAPACITY, scope=Scope.REGION, hint="another data centre or GPU, or later"
        )
    if refused.status == HTTPStatus.FORBIDDEN and "pool" in words:
        hint = "the account may not use this pool of GPUs: ask RunPod's support"
        return Meaning(kind=ErrorKind.QUOTA, scope=Scope.OFFER, hint=hint)
    return None


def _of_access(refused: Refused) -> Meaning | None:
    """A key that is good, and not for this: the missing permission by name."""
    if refused.status != HTTPStatus.FORBIDDEN:
        return None
    need = "read" if refused.method == "GET" else "read and write"
    return Meaning(kind=ErrorKind.AUTH, hint=f"give the key {need} access to {refused.path} at {_KEYS_URL}")


def api(surroundings: Surroundings, patience: Patience | None = None) -> Api:
    """A client, with the key as it is now. Raises ProviderError where there is none."""
    key = read_credential(PROVIDER, surroundings, KEY_VARIABLES, KEY_FILES)
    service = Service(
        provider=PROVIDER,
        base_url=surroundings.environment.get(URL_VARIABLE) or _URL,
        token=key.secret,
        meaning=meaning,
        patience=patience or surroundings.patience,
        url_hint=f"is {URL_VARIABLE} right? A proxy or a captive network may answer in RunPod's place",
    )
    return Api(service, clock=surroundings.clock)


async def gpu_types(client: Api, tier: Tier, count: int) -> list[Any]:
    """Every GPU type, with the availability of machines that have so many in that tier. Rows as they came."""
    query = {"include": "AVAILABILITY", "product": "POD", "count": str(count), "cloud": str(tier)}
    return _rows(await client.get("/v2/catalog/gpus", query), ("gpus",), "the list of GPU types")


async def pods(client: Api) -> list[dict[str, Any]]:
    """Every pod of the account. The API answers with `pods`; its documentation also shows `items`."""
    what = "the list of pods"
    rows = _rows(await client.get("/v2/pods"), ("pods", "items"), what)
    return understood(rows, list[dict[str, Any]], provider=PROVIDER, what=what)


def _rows(said: Any, names: tuple[str, ...], what: str) -> list[Any]:
    envelope: Mapping[str, Any] = understood(said, dict[str, Any], provider=PROVIDER, what=what)
    found = next((envelope[name] for name in names if name in envelope), None)
    return understood(found, list[Any], provider=PROVIDER, what=what)
