"""Prefix caches, KV precision and speculative decoding of a spec: what they change in the plan, and that it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetops.app.plan import make_plan
from hetops.app.pose import pose
from hetops.domain.model import Precision
from hetops.errors import HetopsError
from tests.app.test_bench import asked, spec
from tests.end_to_end.person import Person

EMULATED = '[providers.local]\nemulate = true\n[offers]\ngpus = ["L40S"]\n'
SPECULATIVE = "[engine.speculative]\ndraft_tokens = 3\nacceptance = 0.8\n"


def write(folder: Path, *, workload: str = "", model: str = "", more: str = "") -> None:
    text = spec(EMULATED + more).replace("output_tokens = 6\n", f"output_tokens = 6\n{workload}\n")
    Person(folder).write(text.replace("[model]\n", f"[model]\n{model}\n"))


def test_a_class_whose_prompts_are_cached_gets_more_of_each_replica_and_the_evidence_says_why(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    free = pose(asked(tmp_path)).table
    write(tmp_path, workload="prefix_share = 0.9")
    cached = pose(asked(tmp_path)).table
    for key, row in free.rows.items():
        assert cached.rows[key].requests_per_second >= row.requests_per_second * (1 - 1e-3)
        assert ("from the prefix cache" in cached.rows[key].evidence.source) == (key[1] == "short")


def test_kv_and_speculation_of_the_spec_reach_the_chosen_configuration(tmp_path: Path) -> None:
    write(tmp_path, model='kv_precision = "fp8"', more=SPECULATIVE)
    plan = make_plan(asked(tmp_path))
    assert {p.configuration.kv for p in plan.pools} == {Precision.FP8}
    drafting = [p for p in plan.pools if p.configuration.speculation]
    for row in plan.performance:
        assert ("3 tokens drafted" in row.evidence.source) == ("/spec3x0.8" in row.configuration)
    assert drafting


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ("[engine.speculative]\ndraft_tokens = 0\nacceptance = 0.8\n", "engine.speculative.draft_tokens"),
        ("[engine.speculative]\ndraft_tokens = 3\nacceptance = 1.0\n", "engine.speculative.acceptance"),
        ("[engine.speculative]\ndraft_tokens = 3\n", "acceptance"),
    ],
)
def test_impossible_speculation_is_an_error_of_its_field(tmp_path: Path, more: str, field: str) -> None:
    write(tmp_path, more=more)
    with pytest.raises(HetopsError) as caught:
        make_plan(asked(tmp_path))
    assert field in str(caught.value)


def set_estimator(folder: Path, name: str) -> None:
    write(folder)
    file = folder / "hetops.toml"
    text = file.read_text(encoding="utf-8").replace("[engine]\n", f'[engine]\nestimator = "{name}"\n')
    file.write_text(text, encoding="utf-8")


def test_an_estimator_that_is_named_is_asked_and_says_what_it_lacks(tmp_path: Path) -> None:
    set_estimator(tmp_path, "aiconfigurator")
    with pytest.raises(
        HetopsError, match="aiconfigurator cannot be used: its package is not installed"
    ) as caught:
        make_plan(asked(tmp_path))
    assert "hetops[aiconfigurator]" in caught.value.hint
    set_estimator(tmp_path, "aiconfig")
    with pytest.raises(HetopsError, match="unknown estimator 'aiconfig'") as caught:
        make_plan(asked(tmp_path))
    assert "aiconfigurator" in caught.value.hint
