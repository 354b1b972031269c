"""Lambda Cloud in small: instance types, SSH keys, firewall rulesets, instances (shapes of its OpenAPI 1.10.0).

An instance boots by its cloud-init script: each `docker run` in it starts an engine on an address of its own, reachable
where a firewall ruleset of its region lets this host in.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

from tests.doubles.engines import Engine
from tests.doubles.fake_api import TOKEN, Answer, FakeApi, Fault, FaultKind, Scenario, Seen

TYPES: Mapping[str, tuple[str, int, int]] = {
    "gpu_1x_a10": ("A10 (24 GB PCIe)", 1, 129),
    "gpu_1x_a6000": ("A6000 (48 GB)", 1, 109),
    "gpu_4x_a6000": ("A6000 (48 GB)", 4, 436),
    "gpu_1x_rtx6000": ("RTX 6000 (24 GB)", 1, 69),
    "gpu_8x_v100_n": ("Tesla V100 (16 GB)", 8, 632),
    "gpu_1x_a100_sxm4": ("A100 (40 GB SXM4)", 1, 199),
    "gpu_2x_a100": ("A100 (40 GB PCIe)", 2, 398),
    "gpu_1x_h100_pcie": ("H100 (80 GB PCIe)", 1, 329),
    "gpu_1x_h100_sxm5": ("H100 (80 GB SXM5)", 1, 429),
    "gpu_8x_h100_sxm5": ("H100 (80 GB SXM5)", 8, 3192),
    "gpu_1x_gh200": ("GH200 (96 GB)", 1, 229),
    "gpu_8x_b200_sxm6": ("B200 (180 GB SXM6)", 8, 5352),
}
"""Name to description, GPUs and cents."""

STOCK = {
    "gpu_1x_a10@us-west-1": 4,
    "gpu_1x_a10@us-east-1": 1,
    "gpu_1x_a6000@us-south-1": 2,
    "gpu_1x_a100_sxm4@us-east-1": 2,
    "gpu_2x_a100@us-west-2": 3,
    "gpu_1x_h100_pcie@us-west-1": 2,
    "gpu_8x_h100_sxm5@us-east-1": 1,
    "gpu_1x_gh200@us-east-3": 8,
}

PLACES = {
    "us-west-1": "California, USA",
    "us-west-2": "Arizona, USA",
    "us-east-1": "Virginia, USA",
    "us-east-3": "Washington DC, USA",
    "us-south-1": "Texas, USA",
}

LAUNCH = "/api/v1/instance-operations/launch"

SCENARIOS = {
    "plain": Scenario(),
    "strict": Scenario(seconds_between_requests=1.0, seconds_between_creates=12.0),
    "sold_out": Scenario(stock=dict.fromkeys(STOCK, 0)),
    "taken": Scenario(taken_before_create=True),
    "quota": Scenario(quota_exceeded=True),
    "lost_launch": Scenario(faults=(Fault(kind=FaultKind.LOST_ANSWER, path=LAUNCH),)),
    "login_page": Scenario(faults=(Fault(kind=FaultKind.LOGIN_PAGE, times=10**6),)),
    "dead": Scenario(faults=(Fault(kind=FaultKind.DEAD, times=10**6),)),
}


class LambdaCloud(FakeApi):
    """The account with its instances. Each has an address on loopback."""

    def __init__(self, scenario: Scenario, *, clock: Any = None, port: int = 0) -> None:
        super().__init__(scenario, clock=clock, port=port)
        self.stock = {**STOCK, **scenario.stock}
        self.keys = ["hetops"]
        self.rulesets: dict[str, dict[str, Any]] = {}
        self.instances: dict[str, dict[str, Any]] = {}
        self.booted_at: dict[str, float] = {}
        self.engines: dict[str, list[Engine]] = {}
        self.launched = 0

    def environment(self) -> dict[str, str]:
        return {
            "LAMBDA_API_URL": self.url,
            "LAMBDA_API_KEY": TOKEN,
            "HETOPS_ROUTER_NETWORKS": "127.0.0.1",
        }

    def is_create(self, seen: Seen) -> bool:
        return seen.path == LAUNCH

    def unauthorized(self) -> Answer:
        return _error(401, "global/invalid-api-key", "API key was invalid, expired, or deleted.")

    def throttled(self) -> Answer:
        return _error(429, "global/rate-limited", "Too many requests.")

    def answer(self, seen: Seen) -> Answer:
        routes = {
            ("GET", "/api/v1/instance-types"): self._types,
            ("GET", "/api/v1/ssh-keys"): lambda _: [
                {"id": str(i), "name": k} for i, k in enumerate(self.keys)
            ],
            ("GET", "/api/v1/firewall-rulesets"): lambda _: list(self.rulesets.values()),
            ("POST", "/api/v1/firewall-rulesets"): self._new_ruleset,
            ("GET", "/api/v1/instances"): lambda _: [self._now(i) for i in self.instances],
            ("POST", LAUNCH): self._launch,
            ("POST", "/api/v1/instance-operations/terminate"): self._terminate,
        }
        if (seen.method, seen.path) in routes:
            said = routes[seen.method, seen.path](seen.body)
        elif seen.path.startswith("/api/v1/instances/"):
            said = self._one(seen.path.rpartition("/")[2])
        else:
            said = _error(404, "global/not-found", "The requested resource was not found.")
        return said if isinstance(said, Answer) else Answer(said={"data": said})

    def close(self) -> None:
        for instance in tuple(self.engines):
            self._stop(instance)
        super().close()

    def _types(self, _body: Any) -> Any:
        rows = {name: self._type(name) for name in TYPES}
        return rows | {row["instance_type"]["name"]: row for row in self.scenario.rows}

    def _type(self, name: str) -> dict[str, Any]:
        description, gpus, cents = TYPES[name]
        there = [
            key.partition("@")[2] for key, left in self.stock.items() if key.startswith(f"{name}@") and left
        ]
        kind = {
            "name": name,
            "description": f"{gpus}x {description}",
            "gpu_description": description,
            "price_cents_per_hour": self.scenario.prices.get(name, cents),
            "specs": {"vcpus": 30 * gpus, "memory_gib": 200 * gpus, "storage_gib": 1400, "gpus": gpus},
        }
        return {"instance_type": kind, "regions_with_capacity_available": [_region(name) for name in there]}

    def _new_ruleset(self, body: Any) -> Any:
        ruleset = {
            "id": f"ruleset-{len(self.rulesets)}",
            "name": body["name"],
            "region": _region(body["region"]),
            "rules": body["rules"],
            "created": "2026-11-24T12:00:00Z",
            "instance_ids": [],
        }
        self.rulesets[ruleset["id"]] = ruleset
        return ruleset

    def _launch(self, body: Any) -> Any:
        name, region = body["instance_type_name"], body["region_name"]
        if self.scenario.quota_exceeded:
            return _error(400, "global/quota-exceeded", "Quota exceeded.", "Contact Support.")
        if wrong := self._wrong(body):
            return _error(400, "global/invalid-parameters", wrong)
        if self.scenario.taken_before_create or not self.stock.get(f"{name}@{region}", 0):
            code = "instance-operations/launch/insufficient-capacity"
            return _error(400, code, "Not enough capacity to fulfill launch request.")
        self.stock[f"{name}@{region}"] -= 1
        self.launched += 1
        instance = f"{self.launched:032x}"
        self.instances[instance] = {
            "id": instance,
            "name": body["name"],
            "private_ip": "10.0.2.100",
            "ssh_key_names": body["ssh_key_names"],
            "file_system_names": [],
            "region": _region(region),
            "instance_type": self._type(name)["instance_type"],
            "tags": body["tags"],
            "firewall_rulesets": body["firewall_rulesets"],
            "jupyter_token": "a-secret-of-the-instance",
        }
        self.booted_at[instance] = self.clock.now() + self.scenario.boot_seconds
        self.instances[instance]["user_data"] = body["user_data"]
        return {"instance_ids": [instance]}

    def _wrong(self, body: Any) -> str:
        """What the API itself would not take."""
        tags = body["tags"]
        if len(body["ssh_key_names"]) != 1 or body["ssh_key_names"][0] not in self.keys:
            return "Currently, exactly one SSH key must be specified."
        if len(body["name"]) > 64 or not body["user_data"].startswith("#"):
            return "name or user_data"
        if not all(re.fullmatch("[a-z][a-z0-9-:]+", tag["key"]) and len(tag["value"]) <= 128 for tag in tags):
            return "tags"
        regions = {self.rulesets[each["id"]]["region"]["name"] for each in body["firewall_rulesets"]}
        return "" if regions <= {body["region_name"]} else "firewall_rulesets"

    def _terminate(self, body: Any) -> Any:
        gone = [i for i in body["instance_ids"] if i in self.instances]
        if not gone:
            return _error(404, "global/object-does-not-exist", "Specified instance does not exist.")
        for instance in gone:
            self._stop(instance)
            del self.instances[instance]
        return {"terminated_instances": [{"id": instance} for instance in gone]}

    def _one(self, instance: str) -> Any:
        if instance not in self.instances:
            return _error(404, "global/object-does-not-exist", "Specified instance does not exist.")
        return self._now(instance)

    def _now(self, instance: str) -> dict[str, Any]:
        """The instance as it is told now. It has its address once it is active."""
        shown = {k: v for k, v in self.instances[instance].items() if k != "user_data"}
        if self.clock.now() < self.booted_at[instance]:
            return {**shown, "status": "booting"}
        if self.scenario.fails_to_boot:
            return {**shown, "status": "unhealthy"}
        self._start(instance)
        return {**shown, "status": "active", "ip": self.address(int(instance, 16))}

    def _start(self, instance: str) -> None:
        if instance in self.engines:
            return
        script = self.instances[instance]["user_data"]
        ports = [int(port) for port in re.findall(r"docker run .*--publish 0\.0\.0\.0:(\d+):", script)]
        open_ports = [port for port in ports if self._lets_us_in(instance, port)]
        self.engines[instance] = [Engine(self.address(int(instance, 16)), port) for port in open_ports]

    def _lets_us_in(self, instance: str, port: int) -> bool:
        rules = [
            rule
            for each in self.instances[instance]["firewall_rulesets"]
            for rule in self.rulesets[each["id"]]["rules"]
        ]
        return any(
            low <= port <= high and rule["source_network"] == "127.0.0.1/32"
            for rule in rules
            for low, high in [rule["port_range"]]
        )

    def _stop(self, instance: str) -> None:
        for engine in self.engines.pop(instance, []):
            with contextlib.suppress(OSError):
                engine.close()


def _region(name: str) -> dict[str, str]:
    return {"name": name, "description": PLACES.get(name, name)}


def _error(status: int, code: str, message: str, suggestion: str = "") -> Answer:
    return Answer(status=status, said={"error": {"code": code, "message": message, "suggestion": suggestion}})
