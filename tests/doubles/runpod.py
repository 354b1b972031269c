"""RunPod's REST API v2 in small: its GPU catalogue and pods (shapes of its OpenAPI 2.0.0).

    python -m tests.doubles.runpod --scenario taken

A pod's engine answers behind the fake's own proxy once the pod runs. A 400 is the same for a rule that is broken and
for stock that is gone, as RunPod's is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.doubles.engines import CHAT
from tests.doubles.fake_api import TOKEN, Answer, FakeApi, Fault, FaultKind, Scenario, Seen, main

GPUS: Mapping[str, tuple[int, Any, Any, int]] = {
    "NVIDIA L4": (24, 0.39, 0, 4),
    "NVIDIA L40S": (48, 1.09, 0.79, 8),
    "NVIDIA GeForce RTX 4090": (24, 0.69, 0.34, 8),
    "NVIDIA A100 80GB PCIe": (80, 1.59, 1.19, 8),
    "NVIDIA A100-SXM4-80GB": (80, 1.59, 0, 8),
    "NVIDIA H100 80GB HBM3": (80, 3.49, 2.69, 8),
    "NVIDIA H100 NVL": (94, 3.19, 0, 4),
    "NVIDIA H200": (141, 4.59, 0, 8),
    "NVIDIA B200": (180, 5.98, 0, 8),
}
"""Id to memory, the price of one GPU in the secure and in the community cloud, and the largest machine."""

STOCK = {
    "NVIDIA L4@EU-RO-1": 9,
    "NVIDIA L40S@US-KS-2": 9,
    "NVIDIA L40S@EU-RO-1": 3,
    "NVIDIA GeForce RTX 4090@US-KS-2": 20,
    "NVIDIA A100 80GB PCIe@US-TX-3": 8,
    "NVIDIA A100-SXM4-80GB@US-TX-3": 16,
    "NVIDIA H100 80GB HBM3@US-TX-3": 8,
    "NVIDIA H200@EU-RO-1": 1,
}
"""GPUs left in each data centre."""

PODS = "/v2/pods"
CATALOG = "/v2/catalog/gpus"

SCENARIOS = {
    "plain": Scenario(),
    "sold_out": Scenario(stock=dict.fromkeys(STOCK, 0)),
    "taken": Scenario(taken_before_create=True),
    "poor": Scenario(balance_cents=0),
    "lost_create": Scenario(faults=(Fault(kind=FaultKind.LOST_ANSWER, method="POST", path=PODS),)),
    "throttled": Scenario(faults=(Fault(kind=FaultKind.THROTTLED, seconds=12, times=10**6),)),
    "login_page": Scenario(faults=(Fault(kind=FaultKind.LOGIN_PAGE, times=10**6),)),
    "dead": Scenario(faults=(Fault(kind=FaultKind.DEAD, times=10**6),)),
}


class RunPod(FakeApi):
    """The account with its pods."""

    def __init__(self, scenario: Scenario, *, clock: Any = None, port: int = 0) -> None:
        super().__init__(scenario, clock=clock, port=port)
        self.stock = {**STOCK, **scenario.stock}
        self.pods: dict[str, dict[str, Any]] = {}
        self.runs_at: dict[str, float] = {}
        self.created = 0

    def environment(self) -> dict[str, str]:
        return {
            "RUNPOD_API_URL": self.url,
            "RUNPOD_API_KEY": TOKEN,
            "RUNPOD_PROXY_URL": f"{self.url}/proxy/{{pod}}/{{port}}",
            "HETOPS_RUNPOD_PUBLIC_PORTS": "yes",
        }

    def is_create(self, seen: Seen) -> bool:
        return (seen.method, seen.path) == ("POST", PODS)

    def is_open(self, seen: Seen) -> bool:
        return seen.path.startswith("/proxy/")

    def unauthorized(self) -> Answer:
        return _problem(401, "Unauthorized", "missing bearer token")

    def throttled(self) -> Answer:
        return _problem(
            429, "Too Many Requests", "rate limit exceeded for the minute window", {"Retry-After": "12"}
        )

    def answer(self, seen: Seen) -> Answer:
        if seen.path == CATALOG:
            return self._catalog(seen.query)
        if seen.path == PODS:
            return self._create(seen.body) if seen.method == "POST" else Answer(said={"pods": self._all()})
        if seen.path.startswith("/proxy/"):
            return self._proxied(*seen.path.split("/")[2:4], seen.path)
        pod = seen.path.removeprefix(f"{PODS}/")
        if pod not in self.pods:
            return _problem(404, "Not Found", "resource not found")
        if seen.method == "DELETE":
            self._remove(pod)
            return Answer(status=204)
        return Answer(said=self._now(pod))

    def _catalog(self, query: Mapping[str, str]) -> Answer:
        if (query.get("include") == "AVAILABILITY") != ("product" in query):
            return _problem(400, "Bad Request", "product is required with include=AVAILABILITY")
        count = int(query.get("count", "1"))
        rows = [self._row(gpu, count, query.get("cloud", "SECURE")) for gpu in GPUS]
        return Answer(said={"gpus": [*rows, *self.scenario.rows]}, headers=_RATES)

    def _row(self, gpu: str, count: int, cloud: str) -> dict[str, Any]:
        memory, secure, community, most = GPUS[gpu]
        price = {"secure": self.scenario.prices.get(gpu, secure), "community": community, "serverless": 9}
        there = {key.partition("@")[2]: left for key, left in self.stock.items() if key.startswith(f"{gpu}@")}
        words = {place: _word(left // count if count <= most else 0) for place, left in there.items()}
        row = {
            "id": gpu,
            "name": gpu.removeprefix("NVIDIA "),
            "pool": "POOL",
            "manufacturer": "NVIDIA",
            "memory": memory,
            "secure": bool(secure),
            "community": bool(community),
            "price": price,
            "maxCount": {"secure": most, "community": most if community else 0},
            "availability": max(words.values(), key=_WORDS.index, default="NONE"),
        }
        if cloud == "COMMUNITY":
            return row
        centres = [{"id": place, "name": place, "availability": word} for place, word in words.items()]
        return {**row, "dataCenters": centres} if centres else row

    def _create(self, body: Any) -> Answer:
        if wrong := _wrong(body):
            return _problem(400, "Bad Request", wrong)
        if self.scenario.balance_cents <= 0:
            return _problem(402, "Payment Required", "balance is too low")
        gpu, count = body["gpu"]["id"], body["gpu"]["count"]
        places = [
            key
            for key, left in self.stock.items()
            if key.startswith(f"{gpu}@")
            and left >= count
            and key.partition("@")[2] in body.get("dataCenterIds", [key])
        ] or [key for key in self.stock if key.startswith(f"{gpu}@") and "dataCenterIds" not in body]
        if self.scenario.taken_before_create or not places or self.stock[places[0]] < count:
            return _problem(400, "Bad Request", _NONE_LEFT)
        self.stock[places[0]] -= count
        self.created += 1
        pod = f"pod{self.created:06d}"
        self.pods[pod] = {
            **{
                name: body.get(name)
                for name in ("name", "image", "args", "ports", "env", "gpu", "cloud", "disk")
            },
            "id": pod,
            "dataCenterId": places[0].partition("@")[2],
            "cost": GPUS[gpu][1] * count,
            "actions": [],
            "taken_from": places[0],
        }
        self.runs_at[pod] = self.clock.now() + self.scenario.boot_seconds
        return Answer(status=201, said=self._now(pod), headers=_RATES)

    def _now(self, pod: str) -> dict[str, Any]:
        shown = {name: value for name, value in self.pods[pod].items() if name != "taken_from"}
        if self.clock.now() < self.runs_at[pod]:
            return {**shown, "status": "PROVISIONING", "runtime": None}
        if self.scenario.fails_to_boot:
            return {**shown, "status": "ERROR", "runtime": None}
        return {**shown, "status": "RUNNING", "runtime": {"uptime": 1, "ports": []}}

    def _all(self) -> list[dict[str, Any]]:
        return [self._now(pod) for pod in self.pods]

    def _remove(self, pod: str) -> None:
        gone = self.pods.pop(pod)
        self.stock[gone["taken_from"]] += gone["gpu"]["count"]

    def _proxied(self, pod: str, port: str, path: str) -> Answer:
        """What stands behind the proxy: an engine that is healthy on the port that the pod serves."""
        runs = pod in self.pods and self._now(pod)["status"] == "RUNNING"
        if not runs or f"{port}/http" not in self.pods[pod]["ports"]:
            return Answer(status=502, said={"detail": "no engine"})
        if path.endswith("/chat/completions"):
            return Answer(said=CHAT)
        return Answer(status=200 if path.endswith("/health") else 404, said={})


_NONE_LEFT = "There are no longer any instances available with the requested specifications. Please refresh and try again."
_RATES = {
    "RateLimit": '"minute";r=59;t=60, "hour";r=2800;t=1812',
    "RateLimit-Policy": '"minute";q=60;w=60, "hour";q=3000;w=3600',
}
_WORDS = ("NONE", "LOW", "MEDIUM", "HIGH")


def _word(machines: int) -> str:
    return _WORDS[min(machines, 3)]


def _wrong(body: Any) -> str:
    """The rules of a create that the API itself keeps."""
    if not body.get("name") or not body.get("image"):
        return "name and image are required"
    gpu = body.get("gpu") or {}
    if gpu.get("id") not in GPUS or not 1 <= gpu.get("count", 0) <= GPUS[gpu["id"]][3]:
        return "request could not be processed"
    if not all(re.fullmatch(r"\d+/(http|tcp)", port) for port in body.get("ports", [])):
        return "request could not be processed"
    known = {"name", "image", "args", "gpu", "cloud", "disk", "ports", "env", "startSsh", "dataCenterIds"}
    return "unknown fields" if body.keys() - known else ""


def _problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as RFC 9457 has it."""
    told = {"Content-Type": "application/problem+json", **(headers or {})}
    return Answer(status=status, said={"title": title, "status": status, "detail": detail}, headers=told)


if __name__ == "__main__":
    main(RunPod, SCENARIOS)
