"""Classes that others of their pool keep from their target, on this host's cores: kept apart where there is room, else warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetops.app.candidates import candidates
from hetops.app.plan import make_plan
from hetops.domain.performance import Measurement
from hetops.domain.plan import Plan
from hetops.state import host, measurements
from hetops.state.home import home
from tests.doubles import specs

TWO = """
[deployment]
name = "slots"

[model]
name = "gemma-3-270m"

[[workload.classes]]
name = "short"
requests_per_second = 0.27
input_tokens = 34
output_tokens = 10
ttft_seconds = 0.4

[[workload.classes]]
name = "long"
requests_per_second = 0.25
input_tokens = 188
output_tokens = 23

[targets]
ttft_seconds = 9.0
tpot_seconds = 0.3
ttft_percentile = 95

[engine]
names = ["llamacpp"]

[offers]
exclude = ["cpu-2"]

[providers.local]
cores = 2
"""
"""Of one slot a core, in which a short request waits for a long prompt."""


def planned(folder: Path, *overrides: str) -> Plan:
    """With what a benchmark told of one core and one slot."""
    asked = specs.asked(folder, TWO, *overrides)
    (one,) = (c for c in candidates(asked).enumeration.configurations if c.max_sequences == 1)
    told = ((34, 10, 2.77, 0.16, 0.0224), (188, 23, 0.84, 0.71, 0.0215))
    made = [
        Measurement(
            configuration=one.id,
            offer_sku="cpu-1",
            host=host.fingerprint(),
            input_tokens=inputs,
            output_tokens=outputs,
            concurrency=1,
            requests=10,
            requests_per_second=rate,
            ttft_seconds=(first,) * 4,
            tpot_seconds=(step,) * 4,
            measured_at="2026-11-24T00:00:00Z",
        )
        for inputs, outputs, rate, first, step in told
    ]
    measurements.append(home(asked.environment, beside=folder).measurements, made)
    return make_plan(asked)


def test_short_requests_behind_long_prompts_in_one_slot_are_warned_of(tmp_path: Path) -> None:
    plan = planned(tmp_path, "providers.local.cores=1", "offers.exclude=[]")
    assert {s.workload_class for s in plan.shares} == {"short", "long"}
    assert len(plan.pools) == 1
    (told,) = (w for w in plan.warnings if "hold it up" in w)
    assert told.startswith("short shares gemma-3-270m/llamacpp/CPU/tp1/")
    assert "p95 of its first token may come after " in told
    assert "beyond its 0.40 s" in told


def test_where_there_is_another_core_each_gets_one(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert {s.workload_class: plan.pool(s.pool).apart_from for s in plan.shares} == {
        "short": ("long",),
        "long": (),
    }
    assert not any("hold it up" in w for w in plan.warnings)
    (cost,) = plan.term_costs
    assert cost.usd_per_hour == 2 * (cost.usd_per_hour_without or 0)


@pytest.mark.parametrize(
    "alone", ["workload.classes[0].ttft_seconds=3.0", "workload.classes[1].input_tokens=20"]
)
def test_where_nobody_waits_too_long_nothing_is_said(tmp_path: Path, alone: str) -> None:
    assert not any("hold it up" in w for w in planned(tmp_path, alone).warnings)
