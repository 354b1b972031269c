"""A service beside a fleet, from the spec to its answers: asked with the key of the environment, which stands in no file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest

from tests.doubles.ports import free_port
from tests.end_to_end import specs
from tests.end_to_end.person import Person
from tests.router.stand import answer, engines

KEY = "sk-of-the-account"

OVERFLOW = """
[[overflow]]
name = "paygo"
url = "{url}/v1"
api_key_variable = "PAYGO_KEY"
model = "vendor/llama-8b"
usd_per_million_input_tokens = 0.001
usd_per_million_output_tokens = 0.001
requests_per_minute = 100
ttft_seconds = 0.5
tpot_seconds = 0.02
"""


def asked_for(workload_class: str, url: str, key: str) -> tuple[int, str]:
    """One request of a class: status, and the pool that answered."""
    body = {"model": "llama-3.1-8b", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    headers = {"Authorization": f"Bearer {key}", "x-hetops-class": workload_class}
    found = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30)
    return found.status_code, found.headers.get("x-hetops-pool", "")


@pytest.mark.slow
@pytest.mark.road
def test_a_share_of_the_requests_is_answered_by_the_service_and_its_key_stands_in_no_file(
    tmp_path: Path,
) -> None:
    more = {n: os.environ[n] for n in ("PYTHONPATH",) if n in os.environ}
    lacking, person = Person(tmp_path, more), Person(tmp_path, {**more, "PAYGO_KEY": KEY})
    port = free_port()
    with engines(answer) as (service,):
        person.write(specs.emulated(port, rate=2.0, more=OVERFLOW.format(url=service.url)))
        refused = lacking.hetops("up", "-y", "--json")
        assert (refused.code, lacking.processes) == (3, {})
        try:
            up = person.hetops("up", "-y", "--json")
            assert up.code == 0, up.stderr
            url = f"http://127.0.0.1:{port}"
            key = (person.state("road") / "router" / "api_keys").read_text(encoding="utf-8").strip()
            answers = [asked_for(name, url, key) for name in ("short", "quick") for _ in range(10)]
            assert {status for status, _ in answers} == {200}
            assert len({pool for _, pool in answers}) > 1, "nodes and the service"
            status = person.hetops("status", "--json").document
            (paygo,) = (pool for pool in status["pools"] if pool["name"] == "paygo")
            assert paygo["health"] == "healthy"
            assert paygo["requests_per_second"]["measured"] > 0
            assert service.asked
            for asked in service.asked:
                assert asked.headers["authorization"] == f"Bearer {KEY}"
                assert json.loads(asked.body)["model"] == "vendor/llama-8b"
            assert not person.hetops("diff", "--json").document["has_changes"]
            for path in (p for p in tmp_path.rglob("*") if p.is_file()):
                assert KEY.encode() not in path.read_bytes(), path
        finally:
            person.hetops("down", "-y")
        assert person.processes == {}
