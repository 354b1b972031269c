"""Edge: the Compute Engine and Cloud Billing APIs. One question a function; what their refusals mean.

Shapes: google-cloud-compute 1.57 and google-cloud-billing 1.21 in their JSON form. Google's own words are passed on only
where no rule knows the refusal: they may name projects and accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hetops.plugin import (
    Api,
    ErrorKind,
    HttpError,
    Meaning,
    Patience,
    Refused,
    Repeat,
    Scope,
    Service,
    Surroundings,
    understood,
)
from hetops_gcp.credentials import Access
from hetops_gcp.machines import zone_of
from hetops_gcp.offers import Chance
from hetops_gcp.settings import PROVIDER

COMPUTE_VARIABLE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"
BILLING_VARIABLE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBILLING"
"""As gcloud calls them."""

_COMPUTE_URL = "https://compute.googleapis.com/compute/v1/"
_BILLING_URL = "https://cloudbilling.googleapis.com/"
_SKUS = "v1/services/6F81-5844-456A/skus"
"""Of the service Compute Engine."""

_SKU_FIELDS = (
    "nextPageToken,skus(description,serviceRegions,category(usageType),"
    "pricingInfo(effectiveTime,pricingExpression(usageUnit,tieredRates)))"
)
"""Of an answer that is long otherwise."""

_WITH_GPUS = 'name eq "(a|g)[0-9]+[a-z]*-.*|n1-standard-.*"'
"""The accelerator series, those to come among them, and the hosts of attached GPUs."""

_MOST_PAGES = 60

COMPUTE, BILLING = "compute.googleapis.com", "cloudbilling.googleapis.com"

_PERMISSIONS = (
    ("/advice/capacity", "compute.advice.capacity"),
    ("/aggregated/machineTypes", "compute.machineTypes.list"),
    ("/aggregated/acceleratorTypes", "compute.acceleratorTypes.list"),
    ("/regions", "compute.regions.list"),
    ("projects/", "compute.projects.get"),
)
"""Path to the permission that it needs, the first that fits; all are in roles/compute.viewer."""

ROLE = "roles/compute.viewer"
QUOTA_ROLE = "roles/serviceusage.serviceUsageConsumer"

_DISABLED = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})


def meaning(refused: Refused) -> Meaning | None:
    """What a refusal means by the codes in it, else by its status; None leaves it to that alone."""
    codes = _codes(refused.said)
    by_code = next((found for known, found in _BY_CODE if codes & known), None)
    if codes & _DISABLED:
        return _disabled(BILLING if _SKUS in refused.path else COMPUTE)
    if refused.status == 404 and refused.path.startswith("projects/"):
        return _no_project(refused.path.split("/")[1])
    if by_code is not None or refused.status not in (401, 403):
        return by_code
    if _SKUS in refused.path and refused.status == 403:
        return _NO_QUOTA_PROJECT
    return _SIGNED_OUT if refused.status == 401 else _denied(_permission(refused), ROLE)


def _disabled(service: str) -> Meaning:
    return Meaning(
        kind=ErrorKind.AUTH,
        message=f"refused: {service} is not enabled for the project",
        hint=f"gcloud services enable {service}",
    )


def _no_project(name: str) -> Meaning:
    return Meaning(
        kind=ErrorKind.INVALID,
        message=f"there is no project {name}, or the credentials may not see it",
        hint=f"gcloud projects list shows the ids; set project under [providers.{PROVIDER}]",
    )


def _denied(permission: str, role: str) -> Meaning:
    return Meaning(
        kind=ErrorKind.AUTH,
        message=f"refused: PERMISSION_DENIED {permission}",
        hint=f"grant {role}, which has {permission}: docs/providers-gcp.md",
    )


REFUSED = "refused the credentials"
"""What a token that is wrong or has expired is told as."""

_SIGNED_OUT = Meaning(
    kind=ErrorKind.AUTH,
    message=REFUSED,
    hint="gcloud auth application-default login, or a new key for the service account",
)

_NO_QUOTA_PROJECT = Meaning(
    kind=ErrorKind.AUTH,
    message=f"refused: PERMISSION_DENIED {BILLING}",
    hint=f"gcloud services enable {BILLING}; signed in as a person: gcloud auth application-default "
    "set-quota-project PROJECT",
)
"""The catalogue needs no role: nobody answers for the question."""

_BY_CODE: tuple[tuple[frozenset[str], Meaning], ...] = (
    (
        frozenset(
            {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
        ),
        Meaning(kind=ErrorKind.THROTTLED),
    ),
    (
        frozenset({"BILLING_DISABLED", "billingNotEnabled", "UREQ_PROJECT_BILLING_NOT_FOUND"}),
        Meaning(
            kind=ErrorKind.BALANCE,
            message="refused: the project has no billing account",
            hint="link a billing account to the project",
        ),
    ),
    (
        frozenset({"USER_PROJECT_DENIED", "CONSUMER_INVALID"}),
        _denied("serviceusage.services.use", QUOTA_ROLE),
    ),
)
"""Codes of both generations of Google's errors."""


def _permission(refused: Refused) -> str:
    """As the refusal names it, else by what was asked."""
    named = [
        detail["metadata"].get("permission")
        for detail in _details(refused.said)
        if isinstance(detail.get("metadata"), Mapping)
    ]
    asked = (permission for part, permission in _PERMISSIONS if part in refused.path)
    return next((str(name) for name in named if name), next(asked, "of what was asked"))


def _error(said: Any) -> Mapping[str, Any]:
    error = said.get("error") if isinstance(said, Mapping) else None
    return error if isinstance(error, Mapping) else {}


def _details(said: Any) -> list[Mapping[str, Any]]:
    details = _error(said).get("details")
    return [d for d in details if isinstance(d, Mapping)] if isinstance(details, list) else []


def _codes(said: Any) -> frozenset[str]:
    """Every code in an error, wherever it stands: status, reasons of both generations of errors."""
    error = _error(said)
    listed = error.get("errors")
    errors = [e for e in listed if isinstance(e, Mapping)] if isinstance(listed, list) else []
    found = (error.get("status"), *(d.get("reason") for d in (*errors, *_details(said))))
    return frozenset(code for code in found if isinstance(code, str))


def compute(access: Access, around: Surroundings, patience: Patience) -> Api:
    """A client of Compute Engine."""
    return _api(access, around, patience, COMPUTE_VARIABLE, _COMPUTE_URL)


def billing(access: Access, around: Surroundings, patience: Patience) -> Api:
    """A client of the Cloud Billing catalogue."""
    return _api(access, around, patience, BILLING_VARIABLE, _BILLING_URL)


def _api(access: Access, around: Surroundings, patience: Patience, variable: str, url: str) -> Api:
    service = Service(
        provider=PROVIDER,
        base_url=around.environment.get(variable) or url,
        token=access.token,
        headers={"X-Goog-User-Project": access.quota_project} if access.quota_project else {},
        meaning=meaning,
        patience=patience,
        url_hint=f"is {variable} right? A proxy or a captive network may answer in Google's place",
    )
    return Api(service, clock=around.clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """What a list told page by page, and why it broke off; None where it did not."""

    answers: tuple[dict[str, Any], ...]
    broke: HttpError | None = None


async def skus(api: Api) -> Pages:
    """The catalogue of Compute Engine, priced in dollars."""
    query = {"pageSize": "5000", "currencyCode": "USD", "fields": _SKU_FIELDS}
    return await _pages(api, _SKUS, query, "the catalogue of prices")


async def first_sku(api: Api) -> None:
    """Whether the catalogue answers at all."""
    await api.get(_SKUS, {"pageSize": "1", "currencyCode": "USD", "fields": _SKU_FIELDS})


async def machine_types(api: Api, project: str, *, most: int = 500, pages: int = _MOST_PAGES) -> Pages:
    """Machine types of every zone that may have GPUs; `most` on a page."""
    query = {"filter": _WITH_GPUS, "maxResults": str(most), "returnPartialSuccess": "true"}
    return await _pages(api, f"projects/{project}/aggregated/machineTypes", query, "the machine types", pages)


async def accelerator_types(api: Api, project: str, *, most: int = 500, pages: int = _MOST_PAGES) -> Pages:
    """GPUs of every zone that can be attached to a host; `most` on a page."""
    query = {"maxResults": str(most), "returnPartialSuccess": "true"}
    return await _pages(
        api, f"projects/{project}/aggregated/acceleratorTypes", query, "the accelerator types", pages
    )


async def regions(api: Api, project: str, *, most: int = 500, pages: int = _MOST_PAGES) -> Pages:
    """Every region with its quotas; `most` on a page."""
    query = {"maxResults": str(most), "returnPartialSuccess": "true"}
    return await _pages(api, f"projects/{project}/regions", query, "the regions", pages)


async def project(api: Api, name: str) -> dict[str, Any]:
    """The project with the quotas that count everywhere."""
    said = await api.get(f"projects/{name}")
    return understood(said, dict[str, Any], provider=PROVIDER, what="the project")


async def chances(api: Api, project: str, region: str, machine_type: str) -> dict[str, Chance]:
    """How likely one machine of a type can be had on the spot market, by the zones that are recommended for it."""
    body = {
        "size": 1,
        "distributionPolicy": {"targetShape": "ANY_SINGLE_ZONE"},
        "instanceFlexibilityPolicy": {"instanceSelections": {"only": {"machineTypes": [machine_type]}}},
        "instanceProperties": {"scheduling": {"provisioningModel": "SPOT"}},
    }
    said = await api.post(f"projects/{project}/regions/{region}/advice/capacity", body, repeat=Repeat.SAFE)
    advice = understood(said, _Advice, provider=PROVIDER, what=f"the advice on {machine_type} in {region}")
    return {
        zone_of(shard.zone): Chance(
            obtainability=min(1.0, max(0.0, each.scores.obtainability)),
            uptime_seconds=_seconds(each.scores.estimatedUptime),
        )
        for each in reversed(advice.recommendations)
        for shard in each.shards
        if shard.machineType.rpartition("/")[2] == machine_type
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scores:
    obtainability: float
    estimatedUptime: str = ""  # noqa: N815 - as the API spells it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shard:
    machineType: str  # noqa: N815 - as the API spells it
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recommendation:
    scores: _Scores
    shards: tuple[_Shard, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Advice:
    """Of `advice.capacity`; the first recommendation is the best."""

    recommendations: tuple[_Recommendation, ...] = ()


def _seconds(text: str) -> float | None:
    """A duration of protobuf: `3600s`."""
    try:
        return float(text.removesuffix("s")) or None
    except ValueError:
        return None


async def _pages(api: Api, path: str, query: Mapping[str, str], what: str, most: int = _MOST_PAGES) -> Pages:
    """All pages, or the first so many; what came before a page that failed is kept. Raises where the first one fails."""
    answers: list[dict[str, Any]] = []
    token, seen = "", set[str]()
    while len(answers) < most:
        try:
            said = await api.get(path, {**query, **({"pageToken": token} if token else {})})
            answers.append(understood(said, dict[str, Any], provider=PROVIDER, what=what))
        except HttpError as fault:
            if not answers:
                raise
            return Pages(answers=tuple(answers), broke=fault)
        token = str(answers[-1].get("nextPageToken") or "")
        if not token:
            return Pages(answers=tuple(answers))
        if token in seen:
            break
        seen.add(token)
    if len(answers) == most < _MOST_PAGES:
        return Pages(answers=tuple(answers))
    endless = f"{what} has no end: the same page comes again, or there are over {_MOST_PAGES}"
    broke = HttpError(endless, provider=PROVIDER, kind=ErrorKind.INVALID, scope=Scope.PROVIDER)
    return Pages(answers=tuple(answers), broke=broke)
