"""Edge: offers and quotas of the account, asked now. What fails of AWS is named beside what it did tell.

Raises only where nothing was told: no credentials, no region, or every request refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from hetops.plugin import ErrorKind, Offer, OfferOrReason, OfferQuery, ProviderError, Quota, invalid_setting
from hetops_aws import calls
from hetops_aws.failures import meaning_of, provider_error, told_together, unknown_region
from hetops_aws.inquiry import Inquiry
from hetops_aws.session import Session
from hetops_aws.settings import PROVIDER, AwsSettings

_SHARE_OF_DEADLINE = 0.9
"""The rest is for handing over."""

_SHARE_OF_READ = 0.5
"""A request that hangs is given up while there is time to try again."""


def fetch_offers(query: OfferQuery, settings: AwsSettings) -> tuple[OfferOrReason, ...]:
    """Every offer, everything that is none, and every part of AWS that failed."""
    end = time.monotonic() + query.deadline_seconds * _SHARE_OF_DEADLINE
    session = open_session(settings, seconds=query.deadline_seconds * _SHARE_OF_READ)
    regions = regions_of(session, settings)
    inquiry = Inquiry(session, settings, regions, query.now)
    inquiry.run(seconds=end - time.monotonic())
    told = tuple(inquiry.offers())
    failed = told_together(inquiry.failures(), regions)
    if failed and not any(isinstance(thing, Offer) for thing in told):
        raise _gravest(failed)
    return (*told, *failed)


def fetch_quotas(settings: AwsSettings, *, seconds: float) -> Iterator[Quota]:
    """The limits of every region.

    Raises:
        ProviderError: a region did not tell its own: a limit that is not known is not "none".
    """
    session = open_session(settings, seconds=seconds * _SHARE_OF_READ)
    regions = regions_of(session, settings)
    inquiry = Inquiry(session, settings, regions, datetime.now(UTC))
    inquiry.run_quotas(seconds=seconds)
    failed = told_together(inquiry.failures(), regions)
    if failed:
        raise _gravest(failed)
    return (quota for region in inquiry.quotas() for quota in region.told())


def open_session(settings: AwsSettings, *, seconds: float) -> Session:
    """A session with credentials; ProviderError where there are none."""
    try:
        session = Session(settings, seconds=seconds)
        session.require_credentials()
    except Exception as fault:
        raise provider_error(meaning_of(fault, "sts:GetCallerIdentity", settings)) from fault
    return session


def regions_of(session: Session, settings: AwsSettings) -> tuple[str, ...]:
    """The regions that are asked.

    Raises:
        ProviderError: a name that boto3 does not know, a pattern that no enabled region meets, or regions untold.
    """
    known = session.known_regions()
    for at, name in enumerate(settings.regions):
        if not {"*", "?"} & set(name) and name not in known:
            raise unknown_region(name, at, known)
    if settings.names_regions:
        return settings.regions
    try:
        enabled = calls.enabled_regions(session.client("ec2", settings.home_region))
    except Exception as fault:
        raise provider_error(
            meaning_of(fault, "ec2:DescribeRegions", settings), settings.home_region
        ) from fault
    wanted = settings.regions or ("*",)
    found = tuple(r for r in enabled if any(fnmatchcase(r, pattern) for pattern in wanted))
    if not found:
        raise invalid_setting(
            PROVIDER,
            "regions",
            f"no enabled region is like {', '.join(wanted)}",
            hint=f"enabled are {', '.join(enabled)}" if enabled else "the account has no region enabled",
        )
    return found


_GRAVITY = (ErrorKind.AUTH, ErrorKind.INVALID, ErrorKind.THROTTLED, ErrorKind.TRANSIENT)


def _gravest(failed: tuple[ProviderError, ...]) -> ProviderError:
    """What must be put right first; the others are its details."""

    def gravity(error: ProviderError) -> int:
        return _GRAVITY.index(error.kind) if error.kind in _GRAVITY else len(_GRAVITY)

    first, *others = sorted(failed, key=gravity)
    first.details = tuple(other.message for other in others)
    return first
