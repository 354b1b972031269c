"""A fleet that runs is planned from: what is dear to change stays, in `plan`, `diff` and `up`; nothing runs, nothing to plan from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.ports import free_port
from tests.end_to_end import specs
from tests.end_to_end.person import Person

pytestmark = pytest.mark.road

DEAR = "[policy.migration]\nusd_per_removed_node = 100\nusd_per_added_node = 100\n"


def test_a_node_that_is_dear_to_remove_stays_where_a_plan_from_nothing_does_without_it(
    tmp_path: Path,
) -> None:
    person = Person(tmp_path)
    port = free_port()
    person.write(specs.emulated(port))
    nothing = person.hetops("plan", "--from-running", "--json")
    assert nothing.code == 64
    assert "road does not run" in nothing.document["message"]
    try:
        assert person.hetops("up", "-y", "--json").code == 0
        less = specs.mixed_rate() / 4
        person.write(specs.emulated(port, rate=less))
        free = person.hetops("plan", "--json").document
        assert len(free["pools"]) == 1
        person.write(specs.emulated(port, rate=less, more=DEAR))
        kept = person.hetops("plan", "--from-running", "--json").document
        assert len(kept["pools"]) == 2
        assert kept["migration"]["usd_per_hour_from_nothing"] == free["usd_per_hour"]
        assert {p["change"] for p in person.hetops("diff", "--json").document["pools"]} == {"unchanged"}
        before = person.processes
        again = person.hetops("up", "-y", "--json")
        assert again.code == 0, again.stderr
        assert person.processes == before
    finally:
        assert person.hetops("down", "-y").code == 0
    assert person.processes == {}
