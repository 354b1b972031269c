"""Hyperbolic's API v2 in small: rental options, balance, virtual machines (field names of payloads that clients show).

    python -m tests.doubles.hyperbolic --scenario poor

A machine's shell is `tests.doubles.ssh`, found as `ssh` on the PATH that the fake gives out. What the script that came
through it starts is what then answers at the machine's address.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.doubles.engines import Engine
from tests.doubles.fake_api import TOKEN, Answer, FakeApi, Fault, FaultKind, Scenario, Seen, main

OPTIONS = "/v2/on-demand/rental-options"
RENTALS = "/v2/on-demand/virtual-machine-rentals"

CATALOG: dict[str, tuple[str, int, str, int]] = {
    "h100 x1": ("sxm5", 1, "us-east-1", 319),
    "h100 x8": ("sxm5", 8, "us-east-1", 2552),
    "h200 x8": ("sxm5", 8, "us-central-1", 3192),
    "b200 x1": ("sxm6", 1, "us-east-1", 549),
}
"""GPU type and count to form factor, count, region and cents for the whole option."""

STOCK = {"h100 x1": 6, "h100 x8": 8, "h200 x8": 16, "b200 x1": 0}

SCENARIOS = {
    "plain": Scenario(),
    "sold_out": Scenario(stock=dict.fromkeys(STOCK, 0)),
    "taken": Scenario(taken_before_create=True),
    "poor": Scenario(balance_cents=100),
    "lost_create": Scenario(faults=(Fault(kind=FaultKind.LOST_ANSWER, method="POST", path=RENTALS),)),
    "login_page": Scenario(faults=(Fault(kind=FaultKind.LOGIN_PAGE, times=10**6),)),
    "dead": Scenario(faults=(Fault(kind=FaultKind.DEAD, times=10**6),)),
}


class Hyperbolic(FakeApi):
    """The account with its rentals. Each has an address on loopback."""

    def __init__(self, scenario: Scenario, *, clock: Any = None, port: int = 0) -> None:
        super().__init__(scenario, clock=clock, port=port)
        self.stock = {**STOCK, **scenario.stock}
        self.rentals: dict[int, dict[str, Any]] = {}
        self.runs_at: dict[int, float] = {}
        self.engines: dict[int, list[Engine]] = {}
        self.rented = 0
        self._folder = tempfile.TemporaryDirectory(prefix="hetops-ssh-")
        self.shells = Path(self._folder.name)
        ssh = self.shells / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("ssh.py")} "$@"\n')
        ssh.chmod(0o755)

    def environment(self) -> dict[str, str]:
        return {
            "HYPERBOLIC_API_URL": self.url,
            "HYPERBOLIC_API_KEY": TOKEN,
            "HETOPS_ROUTER_NETWORKS": "127.0.0.1",
            "FAKE_SSH_FOLDER": str(self.shells),
            "PATH": f"{self.shells}:{os.environ['PATH']}",
        }

    def is_create(self, seen: Seen) -> bool:
        return (seen.method, seen.path) == ("POST", RENTALS)

    def is_open(self, seen: Seen) -> bool:
        return seen.path == OPTIONS and not seen.authorization

    def unauthorized(self) -> Answer:
        return Answer(status=401, said={"message": "Unauthorized"})

    def throttled(self) -> Answer:
        return Answer(status=429, said={"message": "Too many requests"})

    def answer(self, seen: Seen) -> Answer:
        if seen.path == OPTIONS:
            return Answer(said=[*(self._option(key) for key in CATALOG), *self.scenario.rows])
        if seen.path == "/v2/customer/balance":
            return Answer(said={"balanceCents": self.scenario.balance_cents, "maxOverdraftCents": 0})
        if seen.path == f"{RENTALS}/terminate":
            return self._terminate(seen.body)
        if seen.path == RENTALS:
            return self._rent(seen.body) if seen.method == "POST" else Answer(said=self._all())
        return Answer(status=404, said={"message": "Not found"})

    def close(self) -> None:
        for rental in tuple(self.engines):
            self._stop(rental)
        super().close()
        self._folder.cleanup()

    def _option(self, key: str) -> dict[str, Any]:
        form, count, region, cents = CATALOG[key]
        return {
            "machineType": "virtual-machine",
            "gpuType": key.partition(" ")[0],
            "gpuCount": count,
            "gpuFormFactor": form,
            "region": region,
            "connectionType": "ethernet",
            "costPerHourCents": self.scenario.prices.get(key, cents),
            "enabled": True,
            "totalAvailable": self.stock[key],
            "nodes": [
                {"cpuModel": "Xeon", "vcpuCount": 26, "ramGb": 225, "storageGb": 800, "gpuCount": count}
            ],
        }

    def _rent(self, body: Any) -> Answer:
        key = f"{body['gpuType']} x{body['gpuCount']}"
        if key not in CATALOG or CATALOG[key][2] != body["region"] or body["termType"] != "on-demand":
            return Answer(status=400, said={"message": "no such option"})
        if self.scenario.taken_before_create:
            self.stock[key] = 0
        if self.stock[key] < CATALOG[key][1]:
            return Answer(status=400, said={"message": "request could not be processed"})
        self.stock[key] -= CATALOG[key][1]
        self.rented += 1
        rental = self.rented
        self.rentals[rental] = {
            **{name: body[name] for name in ("gpuType", "gpuCount", "region", "label")},
            "id": rental,
            "createdAt": "2026-11-24 12:00:00.123+00",
            "currentTerm": {"costPerHourCents": CATALOG[key][3]},
            "taken_from": key,
        }
        self.runs_at[rental] = self.clock.now() + self.scenario.boot_seconds
        return Answer(status=201, said=self._now(rental))

    def _terminate(self, body: Any) -> Answer:
        rental = body["rentalId"]
        if rental not in self.rentals:
            return Answer(status=400, said={"message": "Rental is not active"})
        self._stop(rental)
        gone = self.rentals.pop(rental)
        self.stock[gone["taken_from"]] += gone["gpuCount"]
        return Answer(said={"message": "Terminated"})

    def _all(self) -> list[dict[str, Any]]:
        return [self._now(rental) for rental in self.rentals]

    def _now(self, rental: int) -> dict[str, Any]:
        shown = {name: value for name, value in self.rentals[rental].items() if name != "taken_from"}
        if self.clock.now() < self.runs_at[rental]:
            return {**shown, "status": "Pending", "providerData": None}
        if self.scenario.fails_to_boot:
            return {**shown, "status": "Failed", "providerData": None}
        self._start(rental)
        ip = self.address(rental)
        data = {
            "sshNetworking": [{"host": ip, "port": 31022, "user": "ubuntu"}],
            "nodeNetworking": [{"publicIp": ip}],
        }
        return {**shown, "status": "Running", "providerData": data}

    def _start(self, rental: int) -> None:
        """What the script that came through the machine's shell has started."""
        ip = self.address(rental)
        script = self.shells / f"{ip}.script"
        if rental in self.engines or not script.exists():
            return
        text = script.read_text()
        closed = "iptables -A HETOPS -s 127.0.0.1/32 -j RETURN" not in text
        ports = [int(port) for port in re.findall(r"docker run .*--publish 0\.0\.0\.0:(\d+):", text)]
        self.engines[rental] = [] if closed else [Engine(ip, port) for port in ports]

    def _stop(self, rental: int) -> None:
        for engine in self.engines.pop(rental, []):
            with contextlib.suppress(OSError):
                engine.close()
        (self.shells / f"{self.address(rental)}.script").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Hyperbolic, SCENARIOS)
