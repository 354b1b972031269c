"""A day as a person lives it: the fleet of its busy period up, then that of the quiet one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.ports import free_port
from tests.end_to_end import specs
from tests.end_to_end.person import Person, ask

pytestmark = [pytest.mark.road, pytest.mark.slow]

DAY = """
[policy.day]
boot_minutes = 5

[[policy.day.periods]]
name = "day"
hours = 14

[[policy.day.periods]]
name = "night"
hours = 10
factor = 0.25
"""


def test_the_fleet_of_a_period_comes_up_and_the_next_one_changes_it(tmp_path: Path) -> None:
    person, port = Person(tmp_path), free_port()
    person.write(specs.emulated(port, more=DAY))
    planned = person.hetops("plan", "-o", "day.json", "--json")
    assert planned.code == 0, planned.stderr
    fleets = {
        p["name"]: {q["name"]: q["nodes"] for q in p["plan"]["pools"]} for p in planned.document["periods"]
    }
    assert sum(fleets["day"].values()) > sum(fleets["night"].values())
    try:
        first = person.hetops("up", "day.json", "--period", "day", "-y", "--json")
        assert first.code == 0, first.stderr
        assert first.document["nodes"] == fleets["day"]
        change = person.hetops("diff", "day.json", "--period", "night", "--json").document
        assert float(change["usd_per_hour_after"]) < float(change["usd_per_hour_before"])
        second = person.hetops("up", "--period", "night", "-y", "--json")
        assert second.code == 0, second.stderr
        assert second.document["nodes"] == fleets["night"]
        key = (person.state("road") / "router" / "api_keys").read_text(encoding="utf-8").strip()
        status, pool, _ = ask(f"http://127.0.0.1:{port}", key, model="llama-3.1-8b")
        assert (status, pool in fleets["night"]) == (200, True)
    finally:
        assert person.hetops("down", "-y").code == 0
    assert person.processes == {}
