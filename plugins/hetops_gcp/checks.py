"""Edge: whether the project would answer: credentials, and each permission by its name and role. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from hetops.plugin import CheckResult, ErrorKind, ProviderError, Surroundings, Topic, finding
from hetops_gcp import cloud
from hetops_gcp.credentials import TOKEN_VARIABLES, Access, open_access
from hetops_gcp.settings import GcpSettings

CHECK_SECONDS = 1.4
"""All of it: `hetops doctor` waits little longer."""

_SHARE_OF_SIGNING_IN = 0.5

_WITHOUT: Mapping[str, str] = {
    "prices": "no offer at all",
    "compute.machineTypes.list": "no offer at all",
    "compute.acceleratorTypes.list": "no machines with attached GPUs (T4, V100)",
    "compute.regions.list": "how many can be had is not known",
    "compute.projects.get": "the quota over all regions is not known",
    "compute.advice.capacity": "no chances on the spot market",
}
"""What is lost without it."""


def checked(
    settings: GcpSettings, around: Surroundings, *, seconds: float = CHECK_SECONDS
) -> tuple[CheckResult, ...]:
    """The credentials with the project, and where there are some, each permission that the settings need."""
    access: list[Access] = []

    def opened() -> str:
        access.append(open_access(settings, around, seconds=seconds * _SHARE_OF_SIGNING_IN))
        return f"project {access[0].project}, from {access[0].source}"

    credentials = finding(
        "credentials",
        opened,
        fix="gcloud auth application-default login",
        topic=Topic.CREDENTIALS,
    )
    if not credentials.ok:
        return (credentials,)
    limit = seconds * (1 - _SHARE_OF_SIGNING_IN)
    permissions = asyncio.run(_permissions(access[0], settings, around, limit))
    if all(_refuses_the_token(each) for each in permissions):
        return (_refused(credentials, access[0], permissions[0]),)
    return (credentials, *permissions)


def _refuses_the_token(result: CheckResult) -> bool:
    return not result.ok and result.kind is ErrorKind.AUTH and cloud.REFUSED in result.detail


def _refused(credentials: CheckResult, access: Access, permission: CheckResult) -> CheckResult:
    """One finding for a token that nobody takes, not one for each permission."""
    token = access.source in TOKEN_VARIABLES
    renew = f"it holds for an hour: export {access.source}=$(gcloud auth print-access-token)"
    return replace(
        credentials,
        ok=False,
        detail=f"{cloud.REFUSED} of {access.source}: wrong, or expired",
        fix=renew if token else permission.fix,
        kind=ErrorKind.AUTH,
        clock_ahead_seconds=permission.clock_ahead_seconds,
    )


async def _permissions(
    access: Access, settings: GcpSettings, around: Surroundings, seconds: float
) -> tuple[CheckResult, ...]:
    patience = around.patience.within(seconds)
    async with (
        cloud.compute(access, around, patience) as compute,
        cloud.billing(access, around, patience) as billing,
    ):
        name = access.project
        asked: dict[str, Callable[[], Awaitable[Any]]] = {
            "prices": lambda: cloud.first_sku(billing),
            "compute.machineTypes.list": lambda: cloud.machine_types(compute, name, most=1, pages=1),
            "compute.acceleratorTypes.list": lambda: cloud.accelerator_types(compute, name, most=1, pages=1),
            "compute.regions.list": lambda: cloud.regions(compute, name, most=1, pages=1),
            "compute.projects.get": lambda: cloud.project(compute, name),
        }
        if settings.capacity_advice:
            asked["compute.advice.capacity"] = lambda: cloud.chances(
                compute, name, "us-central1", "g2-standard-4"
            )
        first, *others = await asyncio.gather(
            *(_one(subject, call, seconds) for subject, call in asked.items())
        )
        ahead = compute.clock_ahead_seconds
    return (replace(first, clock_ahead_seconds=ahead), *others)


async def _one(subject: str, call: Callable[[], Awaitable[Any]], seconds: float) -> CheckResult:
    lost = _WITHOUT[subject]
    try:
        async with asyncio.timeout(seconds):
            await call()
    except TimeoutError:
        fix = "run again; see whether the network reaches Google"
        return CheckResult(
            subject=subject,
            ok=False,
            detail="no answer in time",
            fix=fix,
            kind=ErrorKind.TRANSIENT,
            topic=Topic.PERMISSIONS,
        )
    except ProviderError as fault:
        detail = f"{fault.message}; without it, {lost}" if fault.kind is ErrorKind.AUTH else fault.message
        fix = fault.hint or f"grant {cloud.ROLE}: docs/providers-gcp.md"
        return CheckResult(
            subject=subject, ok=False, detail=detail, fix=fix, kind=fault.kind, topic=Topic.PERMISSIONS
        )
    return CheckResult(subject=subject, ok=True, detail="allowed", topic=Topic.PERMISSIONS)
