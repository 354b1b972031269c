"""Edge: Hyperbolic's API v2 (https://api.hyperbolic.xyz/v2/openapi.json). What it answers, what its refusals mean.

Version 1 is gone. Bodies of errors are not documented: statuses count, and words where they are plain.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from hetops.plugin import (
    CENTS,
    Api,
    ErrorKind,
    KeyFile,
    Meaning,
    Patience,
    ProviderError,
    Refused,
    Repeat,
    Scope,
    Secret,
    Service,
    Surroundings,
    read_credential,
    understood,
)
from hetops_hyperbolic.offers import PROVIDER

KEY_VARIABLES = ("HYPERBOLIC_API_KEY", "HYPERBOLIC_API_TOKEN")
KEY_FILES = (KeyFile(path=".hyperbolic/api_key", find=str),)
URL_VARIABLE = "HYPERBOLIC_API_URL"

_URL = "https://api.hyperbolic.xyz"
_KEYS_URL = "https://app.hyperbolic.ai/settings"
ADD_CREDIT = f"add credit at {_KEYS_URL}"
_RENTALS = "/v2/on-demand/virtual-machine-rentals"

_POOR = ("insufficient balance", "insufficient funds", "insufficient credit", "not enough balance")
_SOLD_OUT = (
    "not available",
    "unavailable",
    "no capacity",
    "out of stock",
    "sold out",
    "insufficient capacity",
)


def meaning(refused: Refused) -> Meaning | None:
    """What a refusal means by its status and, where that is not enough, its words."""
    words = refused.words.lower()
    if refused.status == HTTPStatus.PAYMENT_REQUIRED or any(each in words for each in _POOR):
        return Meaning(kind=ErrorKind.BALANCE, hint=ADD_CREDIT)
    if refused.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Meaning(
            kind=ErrorKind.AUTH, message="refused the API key", hint=f"make a new key at {_KEYS_URL}"
        )
    creates = (refused.method, refused.path) == ("POST", _RENTALS)
    client_error = refused.status < HTTPStatus.INTERNAL_SERVER_ERROR
    if creates and client_error and any(each in words for each in _SOLD_OUT):
        return Meaning(kind=ErrorKind.CAPACITY, scope=Scope.REGION, hint="another region or GPU, or later")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What the account has left to spend: Hyperbolic is paid in advance."""

    usd: Decimal
    overdraft_usd: Decimal


def api(surroundings: Surroundings, patience: Patience | None = None) -> Api:
    """A client, with the key as it is now. Raises ProviderError where there is none."""
    return _api(
        surroundings, patience, read_credential(PROVIDER, surroundings, KEY_VARIABLES, KEY_FILES).secret
    )


def open_api(surroundings: Surroundings, patience: Patience) -> Api:
    """A client for what needs no key: it sends one where there is one."""
    try:
        return api(surroundings, patience)
    except ProviderError:
        return _api(surroundings, patience, Secret(""))


def _api(surroundings: Surroundings, patience: Patience | None, key: Secret) -> Api:
    service = Service(
        provider=PROVIDER,
        base_url=surroundings.environment.get(URL_VARIABLE) or _URL,
        token=key,
        meaning=meaning,
        patience=patience or surroundings.patience,
        url_hint=f"is {URL_VARIABLE} right? A proxy or a captive network may answer in Hyperbolic's place",
    )
    return Api(service, clock=surroundings.clock)


async def rental_options(client: Api) -> list[Any]:
    """What can be rented on demand. Rows as they came."""
    said = await client.get("/v2/on-demand/rental-options")
    return understood(said, list[Any], provider=PROVIDER, what="the list of rental options")


async def balance(client: Api) -> Balance:
    """What the account has left."""
    said = await client.get("/v2/customer/balance")
    found = understood(said, dict[str, Any], provider=PROVIDER, what="the balance")
    cents = [found.get(name, 0) for name in ("balanceCents", "maxOverdraftCents")]
    left, overdraft = understood(
        cents, tuple[int | Decimal, int | Decimal], provider=PROVIDER, what="the balance"
    )
    return Balance(usd=left * CENTS, overdraft_usd=overdraft * CENTS)


async def rentals(client: Api) -> list[dict[str, Any]]:
    """Every virtual machine of the account."""
    said = await client.get(_RENTALS)
    return understood(said, list[dict[str, Any]], provider=PROVIDER, what="the list of rentals")


async def rent(client: Api, body: dict[str, Any]) -> Any:
    """A new virtual machine; asked for once."""
    return await client.post(_RENTALS, body)


async def terminate(client: Api, rental: int) -> None:
    """Ends a rental."""
    body = {"rentalId": rental, "reason": "hetops"}
    await client.post(f"{_RENTALS}/terminate", body, repeat=Repeat.SAFE)
