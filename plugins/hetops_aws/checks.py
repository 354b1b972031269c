"""Edge: whether the account would answer: credentials, and each permission by its name. Changes nothing, costs nothing.

EC2 is asked by dry runs, which it answers with whether they would have been allowed; the others for one row each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from hetops.plugin import CheckResult, ErrorKind, Market, ProviderError, Topic
from hetops_aws import calls
from hetops_aws.failures import Meaning, meaning_of, provider_error
from hetops_aws.fan_out import FanOut
from hetops_aws.inquiry import Action
from hetops_aws.session import Session
from hetops_aws.settings import AwsSettings

_ALLOWED = frozenset({"DryRunOperation"})
_REGIONS = "ec2:DescribeRegions"
_ONE_TYPE = {"Type": "TERM_MATCH", "Field": "instanceType", "Value": "g6.xlarge"}
_IDENTITY = "sts:GetCallerIdentity"

_WITHOUT: Mapping[str, str] = {
    Action.ZONES: "no offer at all",
    Action.SHAPES: "no offer at all",
    Action.PRICES: "no on-demand offers",
    Action.SPOT: "no spot offers",
    Action.QUOTAS: "how many can be had is not known",
    Action.RUNNING: "quotas count as wholly left",
    Action.SCORES: "no placement scores",
    Action.BLOCKS: "no capacity blocks",
    _REGIONS: "regions must be named one by one",
}
"""What is lost without a permission."""


def checked(settings: AwsSettings, *, seconds: float) -> tuple[CheckResult, ...]:
    """The credentials, and where there are some, the account and each permission that the settings need.

    What stands in the way of the identity would be said again of each permission, and is not.
    """
    end = time.monotonic() + seconds
    try:
        session = Session(settings, seconds=seconds)
        method = session.require_credentials()
    except Exception as fault:
        return (_result("credentials", meaning_of(fault, _IDENTITY, settings)),)
    fan: FanOut[str] = FanOut(threads=len(_WITHOUT) + 1, deadline_seconds=end - time.monotonic())
    asked = _questions(session, settings)
    for action, question in asked.items():
        fan.submit(action, question)
    answers = dict(fan.outcomes())
    identity, *permissions = (_answered(action, answers, settings, method) for action in asked)
    identity = replace(identity, clock_ahead_seconds=session.clock_ahead_seconds)
    same = [p for p in permissions if not (identity.ok or p.ok) and p.kind is identity.kind]
    return (identity, *(p for p in permissions if p not in same))


def _questions(session: Session, settings: AwsSettings) -> dict[str, Callable[[], object]]:
    """One question for each permission that is needed, the identity first."""
    home = settings.regions[0] if settings.names_regions else settings.home_region
    ec2, sts = session.client("ec2", home), session.client("sts", home)
    pricing = session.client("pricing", settings.pricing_region)
    quotas = session.client("service-quotas", home)
    zones = {"LocationType": "availability-zone-id", "DryRun": True}
    asked: dict[str, Callable[[], object]] = {
        _IDENTITY: lambda: calls.caller(sts),
        Action.ZONES: lambda: ec2.describe_instance_type_offerings(**zones),
        Action.SHAPES: lambda: ec2.describe_instance_types(DryRun=True),
        Action.PRICES: lambda: pricing.get_products(
            ServiceCode="AmazonEC2", MaxResults=1, Filters=[_ONE_TYPE]
        ),
        Action.QUOTAS: lambda: quotas.list_service_quotas(ServiceCode="ec2", MaxResults=1),
        Action.RUNNING: lambda: ec2.describe_instances(DryRun=True),
    }
    if not settings.names_regions:
        asked[_REGIONS] = lambda: ec2.describe_regions(DryRun=True)
    if Market.SPOT in settings.markets:
        asked[Action.SPOT] = lambda: ec2.describe_spot_price_history(DryRun=True)
    if settings.placement_scores:
        asked[Action.SCORES] = lambda: ec2.get_spot_placement_scores(
            DryRun=True, TargetCapacity=1, InstanceTypes=list(settings.placement_scores)
        )
    if Market.CAPACITY_BLOCK in settings.markets:
        asked[Action.BLOCKS] = lambda: ec2.describe_capacity_block_offerings(
            DryRun=True, CapacityDurationHours=settings.capacity_block_hours
        )
    return asked


def _answered(action: str, answers: Mapping[str, Any], settings: AwsSettings, method: str) -> CheckResult:
    subject = "credentials" if action == _IDENTITY else str(action)
    if action not in answers:
        return CheckResult(
            subject=subject,
            ok=False,
            detail="no answer in time",
            fix="run again; see whether the network reaches AWS",
            kind=ErrorKind.TRANSIENT,
            topic=_topic(subject),
        )
    answer = answers[action]
    if isinstance(answer, Exception) and not _would_have_run(answer):
        return _result(subject, meaning_of(answer, action, settings), _WITHOUT.get(action, ""))
    told = f"of account {answer}, from {method}" if action == _IDENTITY else "allowed"
    return CheckResult(subject=subject, ok=True, detail=told, topic=_topic(subject))


def _topic(subject: str) -> Topic:
    return Topic.CREDENTIALS if subject == "credentials" else Topic.PERMISSIONS


def _would_have_run(fault: Exception) -> bool:
    return isinstance(fault, ClientError) and fault.response.get("Error", {}).get("Code") in _ALLOWED


def _result(subject: str, meaning: Meaning, without: str = "") -> CheckResult:
    error: ProviderError = provider_error(meaning)
    parts = (error.message, without if meaning.kind is ErrorKind.AUTH else "")
    return CheckResult(
        subject=subject,
        ok=False,
        detail="; without it, ".join(part for part in parts if part),
        fix=error.hint or "see what the message names",
        kind=error.kind,
        topic=_topic(subject),
    )
