"""From live offers of Google Cloud to a plan: what one quota leaves another may take, and both count."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetops.app.plan import make_plan
from hetops.domain.plan import Plan
from tests.doubles import specs
from tests.plugins.gcp_cloud import project

SPEC = (
    specs.LISTED.replace("[providers.aws]\n", "") + '\n[offers]\ngpus = ["L4", "A100-40GB-SXM", "H100-SXM"]\n'
)


def planned(folder: Path, monkeypatch: pytest.MonkeyPatch, everywhere: int) -> Plan:
    """The plan of a project with so many GPUs over all regions, in a folder of its own: no cache answers."""
    folder = folder / str(everywhere)
    folder.mkdir()
    with project(folder, stock={"GPUS_ALL_REGIONS": everywhere}) as gcp:
        for name, value in gcp.surroundings.environment.items():
            monkeypatch.setenv(name, value)
        return make_plan(specs.asked(folder, SPEC))


def gpus(plan: Plan) -> int:
    return sum(pool.nodes * pool.offer.gpu_count for pool in plan.pools)


def test_the_quota_over_all_regions_holds_for_what_no_region_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = planned(tmp_path, monkeypatch, 64)
    least = gpus(free)
    limits = free.certificate.limits
    assert limits is not None
    assert limits.quotas["GPUS_ALL_REGIONS"] == 64
    assert "us-central1 NVIDIA_L4_GPUS" in limits.quotas, "a tighter one beside it does not hide it"
    bound = planned(tmp_path, monkeypatch, least - 1)
    assert gpus(bound) <= least - 1 < least
    assert bound.usd_per_hour > free.usd_per_hour
