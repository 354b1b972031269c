"""Slices of GPUs: whatever parts add up to a GPU can be placed on it, by NVIDIA's own placements."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import pytest

from hetops.catalog import tables
from hetops.domain.parts import misfit

ROWS = tables.rows("mig")
GPUS = sorted({row["gpu"] for row in ROWS})
CATALOG = tables.load()


def own(gpu: str) -> dict[str, dict[str, str]]:
    """The rows of a GPU type by profile."""
    return {row["profile"]: row for row in ROWS if row["gpu"] == gpu}


def placed(gpu: str, profiles: Sequence[str]) -> bool:
    """Whether slices of these profiles lie on one GPU, none over another, with no more compute slices than it has."""
    rows = own(gpu)
    each = [rows[profile] for profile in profiles]
    memory = int(next(iter(rows.values()))["memory_slices_of_gpu"])
    compute = sum(int(profile.partition("g")[0]) for profile in profiles)
    starts = [[int(s) for s in row["starts"].split()] for row in each]
    return compute <= min(memory, 7) and _free(starts, [int(r["memory_slices"]) for r in each], frozenset())


def _free(starts: list[list[int]], sizes: list[int], taken: frozenset[int]) -> bool:
    if not starts:
        return True
    spans = (frozenset(range(start, start + sizes[0])) for start in starts[0])
    return any(_free(starts[1:], sizes[1:], taken | span) for span in spans if not span & taken)


@pytest.mark.parametrize("gpu", GPUS)
def test_whatever_parts_add_up_to_a_gpu_can_be_placed_on_it(gpu: str) -> None:
    parts = {profile: int(row["parts"]) for profile, row in own(gpu).items()}
    assert misfit([1, *parts.values()]) is None
    tried = 0
    for number in range(1, max(parts.values()) + 1):
        for profiles in itertools.combinations_with_replacement(parts, number):
            if sum(Fraction(1, parts[profile]) for profile in profiles) <= 1:
                tried += 1
                assert placed(gpu, profiles), profiles
    assert tried >= 6


def test_what_cannot_be_placed_adds_up_to_more() -> None:
    """Two halves leave no memory for a seventh compute slice, four thirds no compute for the fourth."""
    for profiles in (
        ("3g.40gb", "3g.40gb", "1g.10gb"),
        ("2g.20gb",) * 4,
        ("3g.40gb", "2g.20gb", "2g.20gb", "1g.10gb"),
    ):
        assert not placed("H100-SXM", profiles)
        assert sum(Fraction(1, int(own("H100-SXM")[p]["parts"])) for p in profiles) > 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['gpu']}-{row['profile']}")
def test_a_slice_has_its_part_of_the_gpu(row: dict[str, str]) -> None:
    whole = CATALOG.gpu(row["gpu"])
    one = CATALOG.devices[f"{row['gpu']}-{row['profile']}"]
    parts = int(row["parts"])
    assert one.mig is not None
    assert (one.mig.of, one.mig.parts) == (whole.name, parts)
    assert (
        0.8
        < one.memory_gb / (whole.memory_gb * int(row["memory_slices"]) / int(row["memory_slices_of_gpu"]))
        < 1
    )
    assert one.fp16_tflops * parts <= whole.fp16_tflops
    assert one.bandwidth_gb_per_second * parts <= whole.bandwidth_gb_per_second
    assert one.board_watts is None or one.board_watts * parts <= (whole.board_watts or 0.0)
    assert (one.architecture, one.compute_capability) == (whole.architecture, whole.compute_capability)
    assert row["source"]
