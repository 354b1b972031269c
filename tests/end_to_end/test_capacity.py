"""Where an offer has no capacity left, `up` plans without it and says so; where nothing else will do, it says that."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.doubles.ports import free_port
from tests.end_to_end import scarcity, specs
from tests.end_to_end.person import Person

pytestmark = pytest.mark.road


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """Somebody who rents from a provider that is short of its cheap machines."""
    work = tmp_path / "work"
    work.mkdir()
    person = Person(work, scarcity.installed(tmp_path))
    yield person
    assert person.hetops("down", "-y").code == 0
    assert person.processes == {}


def spec(settings: str = "") -> str:
    """A workload for an L40S of that provider, and for an L4 where there is one."""
    return specs.emulated(free_port()).replace(
        "[providers.local]\nemulate = true", f"[providers.scarce]\n{settings}"
    )


def test_without_capacity_another_fleet_is_planned_and_brought_up(person: Person) -> None:
    person.write(spec())
    cheap = person.hetops("plan", "--json").document["usd_per_hour"]
    done = person.hetops("up", "-y", "--json")
    assert done.code == 0, done.stderr
    assert "no capacity left for scarce/cheap/l40s/on_demand: planning without" in done.stderr
    assert Decimal(done.document["usd_per_hour"]) / Decimal("1.05") == Decimal(cheap) / Decimal("0.95")
    assert set(person.processes.values()) == person.known("road")


def test_of_a_sold_out_offer_the_nodes_that_were_had_are_kept_and_the_rest_comes_from_elsewhere(
    person: Person, tmp_path: Path
) -> None:
    scarcity.restock(tmp_path, 1)
    person.write(spec().replace(specs.classes(specs.mixed_rate()), specs.classes(2 * specs.mixed_rate())))
    wanted = person.hetops("plan", "--json").document["pools"]
    assert [p["offer"]["region"] for p in wanted] == ["cheap"]
    assert wanted[0]["nodes"] > 1
    done = person.hetops("up", "-y", "--json")
    assert done.code == 0, done.stderr
    assert "no more than 1 of scarce/cheap/l40s/on_demand can be had: planning with so many" in done.stderr
    assert sorted(done.document["nodes"].values())[0] == 1
    assert len(done.document["nodes"]) == 2
    assert set(person.processes.values()) == person.known("road")


def test_where_no_other_fleet_exists_the_shortage_and_the_reason_are_told(person: Person) -> None:
    person.write(spec('regions = ["cheap"]'))
    done = person.hetops("up", "-y", "--json")
    assert done.code == 4
    assert "no L40S is left in cheap" in done.document["message"]
    assert any(d.startswith("with what is left: no offer may be chosen") for d in done.document["details"])
    assert person.processes == {}


def test_a_plan_of_the_user_s_own_is_never_replaced_by_another(person: Person) -> None:
    person.write(spec())
    assert person.hetops("plan", "-o", "plan.json").code == 0
    done = person.hetops("up", "plan.json", "-y", "--json")
    assert done.code == 4
    assert "no L40S is left in cheap" in done.document["message"]
    assert "planning without" not in done.stderr


def test_what_a_first_up_made_before_it_failed_is_kept_named_and_gone_on_with(person: Person) -> None:
    person.write(spec("[providers.local]\nemulate = true"))
    assert person.hetops("plan", "-o", "plan.json").code == 0
    failed = person.hetops("up", "plan.json", "-y", "--json")
    assert failed.code == 4
    (kept,) = person.processes.values()
    assert kept.startswith("road-l4-")
    assert f"kept: {kept}" in failed.document["details"]
    assert person.known("road") == {kept}
    status = person.hetops("status", "--json")
    assert (status.code, status.document["health"]) == (1, "down")
    assert any("an up stopped part-way" in note for note in status.document["notes"])
    diff = person.hetops("diff", "plan.json", "--json").document
    assert {p["change"] for p in diff["pools"]} == {"added", "unchanged"}
    assert 0 < float(diff["usd_per_hour_before"]) < float(diff["usd_per_hour_after"])
    again = person.hetops("up", "-y", "--json")
    assert again.code == 0, again.stderr
    assert kept in person.processes.values()
    assert set(person.processes.values()) == person.known("road")
