"""Amazon EC2 as a provider: what it rents out in every region, on which terms, and how much of it the account may have.

For planning only: it declares no pools yet, so `up` refuses its offers. Imports the SDK when it is asked something, so
that a plan of other clouds does not wait for it.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from typing import Any

from hetops.plugin import (
    Capability,
    CheckResult,
    ErrorKind,
    OfferOrReason,
    OfferQuery,
    ProviderError,
    Quota,
    Topic,
    finding,
)
from hetops_aws.settings import PROVIDER, read_settings
from hetops_aws.signs import SIGN_IN, require_signs

_SDK = "boto3"
_INSTALL = "pip install 'hetops[aws]'"
_QUOTA_SECONDS = 10.0

_CHECK_SECONDS = 1.4
"""For all of it, loading the SDK included: `hetops doctor` waits little longer."""
_LEAST_CHECK_SECONDS = 0.6
"""To ask in, however long the loading took."""


class AwsProvider:
    """EC2 of one account, over all regions that it has enabled or the settings name."""

    name = PROVIDER
    capabilities = frozenset(
        {
            Capability.USER_DATA,
            Capability.SPOT,
            Capability.STOP,
            Capability.TAGS,
            Capability.FIREWALL,
            Capability.AUTOSCALING_GROUP,
            Capability.MULTI_GPU_NVLINK,
            Capability.GPU_SLICES,  # EC2 hands the whole GPU to the machine; SageMaker HyperPod cuts those of p4d, p5 and p5e (AcceleratorPartitionConfig)
        }
    )

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """The settings, the SDK, the credentials and each permission, asked by dry runs that change nothing."""
        try:
            read = read_settings(settings)
        except ProviderError as fault:
            return (CheckResult(subject="settings", ok=False, detail=fault.message, fix=fault.hint),)
        understood = CheckResult(subject="settings", ok=True, detail="understood")
        if not importlib.util.find_spec(_SDK):
            missing = f"{_SDK} is not installed"
            return (understood, CheckResult(subject="SDK", ok=False, detail=missing, fix=_INSTALL))
        signs = finding("credentials", lambda: require_signs(read), fix=SIGN_IN, topic=Topic.CREDENTIALS)
        if not signs.ok:
            return (understood, signs)
        end = time.monotonic() + _CHECK_SECONDS
        from hetops_aws.checks import checked

        left = max(_LEAST_CHECK_SECONDS, end - time.monotonic())
        return (understood, *checked(read, seconds=left))

    async def fetch_offers(self, query: OfferQuery) -> tuple[OfferOrReason, ...]:
        """Offers of all regions, one for each zone on the spot market, with what failed of AWS among them."""
        read = read_settings(query.settings)
        _require_sdk()
        require_signs(read)
        from hetops_aws.fan_out import on_a_thread
        from hetops_aws.fetch import fetch_offers

        return await on_a_thread(lambda: fetch_offers(query, read))

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
        """The vCPU quotas of every region of the settings."""
        read = read_settings(settings)
        _require_sdk()
        require_signs(read)
        from hetops_aws.fan_out import on_a_thread
        from hetops_aws.fetch import fetch_quotas

        return await on_a_thread(lambda: tuple(fetch_quotas(read, seconds=_QUOTA_SECONDS)))


def _require_sdk() -> None:
    if not importlib.util.find_spec(_SDK):
        raise ProviderError(
            f"{_SDK} is not installed", provider=PROVIDER, kind=ErrorKind.INVALID, hint=_INSTALL
        )
