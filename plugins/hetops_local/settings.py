"""`[providers.local]` of the spec, checked. Decides what the words mean; reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from hetops.plugin import ErrorKind, ProviderError, nearest

PROVIDER = "local"
_DEFAULT_USD_PER_CORE_HOUR = Decimal("0.04")
"""About what the clouds' list prices come to for a core with its memory on a general-purpose machine."""
_OWN = ("cores", "emulate", "usd_per_core_hour")
_OF_EVERY_PROVIDER = ("enabled", "usd_per_hour")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """What of this machine is offered, and at what price."""

    cores: int
    emulate: bool
    usd_per_core_hour: Decimal


def read_settings(given: Mapping[str, Any], machine_cores: int) -> LocalSettings:
    """The settings of a table, with their defaults.

    Raises:
        ProviderError: of kind invalid, naming the field.
    """
    unknown = sorted(given.keys() - {*_OWN, *_OF_EVERY_PROVIDER})
    if unknown:
        near = nearest(unknown[0], _OWN, most=1)
        known = f"known are {', '.join(_OWN)}"
        raise _invalid(unknown[0], "no such field", f"did you mean {near[0]!r}?" if near else known)
    cores = given.get("cores", machine_cores)
    if type(cores) is not int or cores < 1:
        raise _invalid("cores", f"must be a whole number above zero, not {cores!r}")
    if cores > machine_cores:
        raise _invalid("cores", f"{cores} is more than the {machine_cores} that this machine has")
    emulate = given.get("emulate", False)
    if type(emulate) is not bool:
        raise _invalid("emulate", f"must be true or false, not {emulate!r}")
    return LocalSettings(cores=cores, emulate=emulate, usd_per_core_hour=_price(given))


def _price(given: Mapping[str, Any]) -> Decimal:
    value = given.get("usd_per_core_hour", _DEFAULT_USD_PER_CORE_HOUR)
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        raise _invalid("usd_per_core_hour", f"must be a price, not {value!r}") from None
    if isinstance(value, bool) or not price.is_finite() or price <= 0:
        raise _invalid("usd_per_core_hour", f"must be above zero, not {value!r}")
    return price


def _invalid(field: str, problem: str, hint: str = "") -> ProviderError:
    return ProviderError(
        f"providers.{PROVIDER}.{field}: {problem}",
        provider=PROVIDER,
        kind=ErrorKind.INVALID,
        hint=hint or f"change {field} under [providers.{PROVIDER}]",
    )
