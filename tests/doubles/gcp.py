"""Google's Compute Engine and Cloud Billing APIs in small (shapes of google-cloud-compute 1.57, google-cloud-billing 1.21).

    python -m tests.doubles.gcp --scenario denied

Prices are constructed so that sums come out as Google's own pages and calculator print them; SKU texts are the catalogue's,
with the neighbours that must not be taken for them. Serves the token endpoint of OAuth as well.
"""

from __future__ import annotations

import base64
import fnmatch
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.doubles.fake_api import TOKEN, Answer, FakeApi, Fault, FaultKind, Scenario, Seen, main
from tests.doubles.gcp_skus import NETHERLANDS, SINGAPORE, skus

PROJECT = "acme-inference-1"
COMPUTE = "/compute/v1/"
SKUS = "/v1/services/6F81-5844-456A/skus"

_MOST_SKEW_SECONDS = 300.0

ZONES: Mapping[str, tuple[str, ...]] = {
    "us-central1": ("us-central1-a", "us-central1-b", "us-central1-c"),
    "europe-west4": ("europe-west4-a", "europe-west4-b"),
    "asia-southeast1": ("asia-southeast1-c",),
}

_MACHINES: Mapping[str, tuple[int, int, str, int, int | None]] = {
    "g2-standard-4": (4, 16384, "nvidia-l4", 1, None),
    "g2-standard-24": (24, 98304, "nvidia-l4", 2, None),
    "a2-highgpu-1g": (12, 87040, "nvidia-tesla-a100", 1, None),
    "a2-highgpu-8g": (96, 696320, "nvidia-tesla-a100", 8, None),
    "a2-ultragpu-1g": (12, 174080, "nvidia-a100-80gb", 1, 1),
    "a3-highgpu-1g": (26, 239616, "nvidia-h100-80gb", 1, 2),
    "a3-highgpu-8g": (208, 1916928, "nvidia-h100-80gb", 8, None),
    "a3-megagpu-8g": (208, 1916928, "nvidia-h100-mega-80gb", 8, 16),
    "a3-ultragpu-8g": (224, 3022848, "nvidia-h200-141gb", 8, 32),
    "a4-highgpu-8g": (224, 4063232, "nvidia-b200", 8, 32),
    "a4x-highgpu-4g": (140, 905216, "nvidia-gb200", 4, 32),
    "g4-standard-6": (6, 22528, "nvidia-rtx-pro-6000", 1, None),
    "g4-standard-48": (48, 184320, "nvidia-rtx-pro-6000", 1, None),
    "a9-highgpu-8g": (256, 4063232, "nvidia-r500", 8, None),
}
"""Cores, memory in MiB, accelerator, how many, and bundled SSDs where the API tells them."""

_HOSTS = {"n1-standard-4": (4, 15360), "n1-standard-8": (8, 30720), "n1-standard-16": (16, 61440)}

_ELSEWHERE: Mapping[str, frozenset[str]] = {
    NETHERLANDS: frozenset({"g2-standard-4", "a3-highgpu-8g", "a3-megagpu-8g", "n1-standard-8"}),
    SINGAPORE: frozenset({"g2-standard-4", "a2-highgpu-1g"}),
}
"""What the smaller regions have; us-central1 has everything."""

_ATTACHABLE = ("nvidia-tesla-t4", "nvidia-tesla-t4-vws", "nvidia-tesla-p100", "nvidia-l4-vws", "ct5lp")


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpScenario(Scenario):
    """How Google behaves. `prices` replaces parts' prices on demand, `stock` quotas by `METRIC@region`."""

    denied: tuple[str, ...] = ()
    """Permissions that the account lacks, or patterns."""
    disabled: tuple[str, ...] = ()
    """Services that the project has not enabled."""
    unreachable: tuple[str, ...] = ()
    """Zones that an aggregated list leaves out."""
    dark: tuple[str, ...] = ()
    """Regions whose advice fails."""
    advice: Mapping[str, Any] = field(default_factory=dict)
    """What every question for capacity gets, where not the usual."""
    empty: bool = False
    """Whether everything is answered with an object that says nothing."""
    page: int = 60
    """SKUs on a page, whatever is asked for."""


SCENARIOS: Mapping[str, GcpScenario] = {
    "plain": GcpScenario(),
    "denied": GcpScenario(denied=("compute.*",)),
    "disabled": GcpScenario(disabled=("cloudbilling.googleapis.com",)),
    "no_quota": GcpScenario(stock={"GPUS_ALL_REGIONS": 0}),
    "zone_down": GcpScenario(unreachable=("europe-west4-a",)),
    "throttled": GcpScenario(faults=(Fault(kind=FaultKind.THROTTLED, seconds=12, times=10**6),)),
    "login_page": GcpScenario(faults=(Fault(kind=FaultKind.LOGIN_PAGE, times=10**6),)),
    "dead": GcpScenario(faults=(Fault(kind=FaultKind.DEAD, times=10**6),)),
}

_QUOTAS: Mapping[str, int] = {
    "GPUS_ALL_REGIONS": 64,
    "NVIDIA_T4_GPUS@us-central1": 4,
    "NVIDIA_L4_GPUS@us-central1": 8,
    "PREEMPTIBLE_NVIDIA_L4_GPUS@us-central1": 16,
    "NVIDIA_L4_GPUS@europe-west4": 1,
    "NVIDIA_A100_GPUS@us-central1": 0,
    "NVIDIA_A100_80GB_GPUS@us-central1": 128,
    "CPUS@us-central1": 1000,
}
_USED = {"NVIDIA_L4_GPUS@us-central1": 2}

_PERMISSIONS = (
    (r"regions/[^/]+/advice/capacity", "compute.advice.capacity"),
    (r"aggregated/machineTypes", "compute.machineTypes.list"),
    (r"aggregated/acceleratorTypes", "compute.acceleratorTypes.list"),
    (r"regions", "compute.regions.list"),
    (r"", "compute.projects.get"),
)


class Gcp(FakeApi):
    """The project."""

    scenario: GcpScenario

    def environment(self) -> dict[str, str]:
        return {
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{self.url}{COMPUTE}",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBILLING": f"{self.url}/",
            "GOOGLE_OAUTH_ACCESS_TOKEN": TOKEN,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }

    def is_create(self, seen: Seen) -> bool:
        del seen
        return False

    def is_open(self, seen: Seen) -> bool:
        return seen.path.startswith(("/token", "/computeMetadata/"))

    def unauthorized(self) -> Answer:
        return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", "authError")

    def throttled(self) -> Answer:
        return _error(
            403, "PERMISSION_DENIED", "Rate Limit Exceeded", "rateLimitExceeded", {"Retry-After": "12"}
        )

    def answer(self, seen: Seen) -> Answer:
        if seen.path == "/token" and abs(self._now() - _signed_at(seen)) > _MOST_SKEW_SECONDS:
            return Answer(status=400, said={"error": "invalid_grant", "error_description": "Invalid JWT"})
        if seen.path.startswith(("/token", "/computeMetadata/")):
            return Answer(said={"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})
        if self.scenario.empty:
            return Answer(said={})
        billing = seen.path == SKUS
        service = "cloudbilling.googleapis.com" if billing else "compute.googleapis.com"
        if service in self.scenario.disabled:
            return _disabled(service)
        if billing:
            return self._skus(seen.query)
        return self._of_project(seen)

    def _of_project(self, seen: Seen) -> Answer:
        if not f"{seen.path}/".startswith(f"{COMPUTE}projects/{PROJECT}/"):
            return _error(404, "NOT_FOUND", "The resource was not found", "notFound")
        rest = seen.path.removeprefix(f"{COMPUTE}projects/{PROJECT}").lstrip("/")
        needed = next(name for pattern, name in _PERMISSIONS if re.fullmatch(pattern, rest))
        if any(fnmatch.fnmatchcase(needed, pattern) for pattern in self.scenario.denied):
            return _denied(needed)
        return self._compute(rest, seen)

    def _now(self) -> float:
        """Google's time, which may be another than this machine's."""
        skews = (f.seconds for f in self.scenario.faults if f.kind is FaultKind.CLOCK_SKEW)
        return time.time() + next(skews, 0.0)

    def _compute(self, rest: str, seen: Seen) -> Answer:
        if rest == "":
            return Answer(said={"name": PROJECT, "quotas": self._quotas("")})
        if rest == "regions":
            rows = [{"name": name, "status": "UP", "quotas": self._quotas(name)} for name in ZONES]
            return Answer(said={"items": rows})
        if rest.endswith("/advice/capacity"):
            return self._advice(rest.split("/")[1], seen.body)
        name = rest.partition("/")[2]
        rows = {zone: _types(zone) if name == "machineTypes" else _attachable(zone) for zone in _all_zones()}
        return Answer(said=self._aggregated(name, rows, seen.query))

    def _aggregated(
        self, name: str, rows: Mapping[str, list[Any]], query: Mapping[str, str]
    ) -> dict[str, Any]:
        """Two pages of zones, one that fails with its warning."""
        zones = sorted(rows)
        half = zones[: len(zones) // 2] if query.get("pageToken") != "second" else zones[len(zones) // 2 :]
        items: dict[str, Any] = {}
        for zone in half:
            if zone in self.scenario.unreachable:
                items[f"zones/{zone}"] = {"warning": {"code": "UNREACHABLE", "message": "zone is down"}}
            elif rows[zone]:
                items[f"zones/{zone}"] = {name: rows[zone]}
            else:
                items[f"zones/{zone}"] = {"warning": {"code": "NO_RESULTS_ON_PAGE"}}
        more = {"nextPageToken": "second"} if half == zones[: len(zones) // 2] else {}
        return {"kind": f"compute#{name}AggregatedList", "items": items, **more}

    def _quotas(self, region: str) -> list[dict[str, Any]]:
        told = {**_QUOTAS, **self.scenario.stock}
        here = {key: limit for key, limit in told.items() if key.partition("@")[2] == region}
        return [
            {"metric": key.partition("@")[0], "limit": float(limit), "usage": float(_USED.get(key, 0))}
            for key, limit in here.items()
        ]

    def _advice(self, region: str, body: Any) -> Answer:
        if region in self.scenario.dark:
            return Answer(status=503, said={"error": {"code": 503, "message": "backend error"}})
        if self.scenario.advice:
            return Answer(said=self.scenario.advice)
        (selection,) = body["instanceFlexibilityPolicy"]["instanceSelections"].values()
        assert body["instanceProperties"]["scheduling"]["provisioningModel"] == "SPOT"
        zone = ZONES[region][0]
        shard = {
            "machineType": selection["machineTypes"][0],
            "zone": f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/zones/{zone}",
            "instanceCount": body["size"],
            "provisioningModel": "SPOT",
        }
        scores = {"obtainability": 0.8, "estimatedUptime": "7200s"}
        return Answer(said={"recommendations": [{"scores": scores, "shards": [shard]}]})

    def _skus(self, query: Mapping[str, str]) -> Answer:
        if query.get("currencyCode") != "USD":
            return _error(400, "INVALID_ARGUMENT", "this double speaks dollars only", "badRequest")
        rows = [*skus(self.scenario.prices), *self.scenario.rows]
        start = int(query.get("pageToken") or 0)
        end = start + min(self.scenario.page, int(query.get("pageSize", "5000")))
        return Answer(said={"skus": rows[start:end], "nextPageToken": str(end) if end < len(rows) else ""})


def _all_zones() -> list[str]:
    return [zone for zones in ZONES.values() for zone in zones] + ["us-west8-a"]


def _types(zone: str) -> list[dict[str, Any]]:
    region = zone.rpartition("-")[0]
    if region not in ZONES:
        return []
    here = _ELSEWHERE.get(region, frozenset((*_MACHINES, *_HOSTS)))
    with_gpus = [_type(name, row) for name, row in _MACHINES.items() if name in here]
    hosts = [{"name": n, "guestCpus": c, "memoryMb": m} for n, (c, m) in _HOSTS.items() if n in here]
    return [*with_gpus, *hosts, {"name": "n1-standard-1", "guestCpus": 1, "memoryMb": 3840}]


def _type(name: str, machine: tuple[int, int, str, int, int | None]) -> dict[str, Any]:
    cores, memory, gpu, count, ssds = machine
    row: dict[str, Any] = {
        "name": name,
        "guestCpus": cores,
        "memoryMb": memory,
        "architecture": "ARM64" if name.startswith("a4x") else "X86_64",
        "accelerators": [{"guestAcceleratorType": gpu, "guestAcceleratorCount": count}],
    }
    if ssds is not None:
        row["bundledLocalSsds"] = {"defaultInterface": "NVME", "partitionCount": ssds}
    return row


def _attachable(zone: str) -> list[dict[str, Any]]:
    names = _ATTACHABLE if zone in ("us-central1-a", "us-central1-b", "europe-west4-b") else ()
    return [{"name": name, "maximumCardsPerInstance": 4} for name in names]


def _error(
    code: int,
    status: str,
    message: str,
    reason: str,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    told = {
        "code": code,
        "message": message,
        "status": status,
        "errors": [{"reason": reason, "message": message}],
    }
    return Answer(status=code, said={"error": told}, headers=headers or {})


def _signed_at(seen: Seen) -> float:
    """When the assertion of a service account says that it was signed; now for whoever sends none."""
    claims = str((seen.body or {}).get("assertion", "")).split(".")[1:2]
    padded = (claim + "=" * (-len(claim) % 4) for claim in claims)
    return next((float(json.loads(base64.urlsafe_b64decode(p))["iat"]) for p in padded), time.time())


def _denied(permission: str) -> Answer:
    answer = _error(
        403,
        "PERMISSION_DENIED",
        f"Required '{permission}' permission for 'projects/{PROJECT}'",
        "forbidden",
    )
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED"}
    answer.said["error"]["details"] = [{**info, "metadata": {"permission": permission}}]
    return answer


def _disabled(service: str) -> Answer:
    answer = _error(
        403, "PERMISSION_DENIED", f"{service} has not been used in project 42", "accessNotConfigured"
    )
    answer.said["error"]["details"] = [{"reason": "SERVICE_DISABLED", "metadata": {"service": service}}]
    return replace(answer)


if __name__ == "__main__":
    main(Gcp, SCENARIOS, GcpScenario)
