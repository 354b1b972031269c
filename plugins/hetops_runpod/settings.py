"""`[providers.runpod]` of the spec, checked. Decides what the words mean; reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from hetops.plugin import invalid_setting, refuse_unknown

PROVIDER = "runpod"


class Tier(StrEnum):
    """Whose machines they are, as the API names it."""

    SECURE = "SECURE"
    """RunPod's own data centres."""
    COMMUNITY = "COMMUNITY"
    """Anybody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPodSettings:
    """What of RunPod is asked for."""

    tiers: tuple[Tier, ...] = (Tier.SECURE,)
    gpu_counts: tuple[int, ...] = (1, 2, 4, 8)
    """The machines asked for: availability is told for one count at a time."""
    account_usd_per_hour: Decimal = Decimal(80)
    """What RunPod lets the account spend: 80 unless its support raised it. The API does not tell it."""
    public_ports: bool = False
    """Agrees that anybody who learns a pod's address may call its engine: RunPod has no firewall."""


def read_settings(given: Mapping[str, Any]) -> RunPodSettings:
    """The settings of a table, with their defaults.

    Raises:
        ProviderError: of kind invalid, naming the field.
    """
    refuse_unknown(PROVIDER, given, ("clouds", "gpu_counts", "account_usd_per_hour", "public_ports"))
    default = RunPodSettings()
    return RunPodSettings(
        tiers=_tiers(given["clouds"]) if "clouds" in given else default.tiers,
        gpu_counts=_counts(given["gpu_counts"]) if "gpu_counts" in given else default.gpu_counts,
        account_usd_per_hour=_price(given.get("account_usd_per_hour", default.account_usd_per_hour)),
        public_ports=_yes_or_no(given.get("public_ports", default.public_ports)),
    )


def _tiers(value: Any) -> tuple[Tier, ...]:
    known = {str(tier).lower(): tier for tier in Tier}
    if not _is_list(value) or not value or any(each not in known for each in value):
        raise invalid_setting(PROVIDER, "clouds", f"must be a list of {' and '.join(known)}, not {value!r}")
    return tuple(dict.fromkeys(known[each] for each in value))


def _counts(value: Any) -> tuple[int, ...]:
    if not _is_list(value) or not value or any(type(each) is not int or each < 1 for each in value):
        raise invalid_setting(PROVIDER, "gpu_counts", f"must be whole numbers above zero, not {value!r}")
    return tuple(sorted(set(value)))


def _price(value: Any) -> Decimal:
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        price = Decimal("NaN")
    if isinstance(value, bool) or not price.is_finite() or price <= 0:
        raise invalid_setting(PROVIDER, "account_usd_per_hour", f"must be a price above zero, not {value!r}")
    return price


def _yes_or_no(value: Any) -> bool:
    if type(value) is not bool:
        raise invalid_setting(PROVIDER, "public_ports", f"must be true or false, not {value!r}")
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
