"""What a mixture of experts does beside a dense model: a tile of rows for each expert that has a token, and hidden states that
move among experts; and prompts that hold up others share their pass. Reckoned by hand from public shapes and datasheets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetops.catalog import tables
from hetops.domain.model import Precision
from hetops.performance.cases import Cases, Metric, predict
from hetops.performance.estimate import calibration
from hetops.performance.form import Terms, compute_efficiency, terms
from hetops.performance.generation import Generation
from hetops.performance.physics import physics
from hetops.performance.replica import Replica
from tests.performance.test_calibration import a_case

CATALOG = tables.load()
H200 = next(g for g in CATALOG.gpu_types if g.name == "H200-SXM")
VALUES = calibration().values


def on_an_h200(model: str, **changed: object) -> Replica:
    plain = Replica(gpu=H200, model=CATALOG.model(model), weights=Precision.BF16)
    return replace(plain, **changed)  # type: ignore[arg-type]


def parts(*replicas: Replica) -> Terms:
    return terms(physics(replicas), VALUES)


def test_an_expert_that_has_a_token_computes_sixteen_rows() -> None:
    """Qwen3-30B-A3B: 128 experts of three matrices of 2,048 x 768 in each of 48 layers are 29.0 billion parameters."""
    experts = 128 * 3 * 2048 * 768 * 48
    replica = on_an_h200("qwen3-30b-a3b")
    found, efficiency = parts(replica), compute_efficiency(physics([replica]), VALUES)
    read = 2.0 * experts / (4.8e12 * VALUES["weight_bandwidth"] * VALUES["mixture_bandwidth"])
    tiles = 2.0 * 16 * experts / (989e12 * efficiency[0] * VALUES["decode"])
    sharpness = found.sharpness[0]
    both = (read**sharpness + tiles**sharpness) ** (1.0 / sharpness)
    assert found.weights[0] * (1.0 - found.shared[0]) == pytest.approx(both, rel=0.03)
    assert read < both < read + tiles


def test_unpacking_four_bits_costs_a_mixture_more_than_their_bytes() -> None:
    """Weights of 4 bits alone are multiplied in 16: experts of gpt-oss take as long for their tiles as for their bytes."""
    packed = parts(on_an_h200("gpt-oss-120b", weights=Precision.FP4))
    one_by_one = parts(on_an_h200("gpt-oss-120b", weights=Precision.FP4, generation=Generation.LLAMACPP))
    bytes_alone = one_by_one.weights * VALUES["llamacpp_hbm"]
    assert packed.weights[0] > 1.2 * bytes_alone[0]


def test_hidden_states_move_for_every_expert_however_many_gpus_share_the_work() -> None:
    """Three times 8 experts, 48 layers, 2,048 values of two bytes, at the bandwidth of one GPU; nothing of it in dense models."""
    alone, eight = parts(*(on_an_h200("qwen3-30b-a3b", tensor_parallel=k) for k in (1, 8))).prefill
    moved = 3 * 8 * 48 * 2048 * 2.0 / (4.8e12 * VALUES["kv_bandwidth"])
    assert (alone - moved) / 8 == pytest.approx(eight - moved)
    dense = parts(*(on_an_h200("qwen3-8b", tensor_parallel=k) for k in (1, 8))).prefill
    assert dense[0] / 8 == pytest.approx(dense[1])


def test_short_prompts_that_hold_others_up_share_a_pass() -> None:
    """Of 256 requests with 32 tokens in and out, none waits for 255 readings of the weights."""
    case = a_case(gpu="A6000", metric=Metric.TPOT, concurrency=256)
    short = Cases.of([replace(case, input_tokens=32.0, output_tokens=32.0)])
    step = parts(case.replica).step(np.array([256.0]), np.array([48.0]))[0]
    assert 1.0 < predict(short, VALUES)[0] / 1e3 / step < 3.0
