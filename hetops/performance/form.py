"""The closed form: seconds of decode steps and prefills of many replicas, given coefficients. Pure and vectorised.

With tensor degree k, S stages, bandwidth W, peak F, link N, B sequences of c tokens of context each:

    weights    bytes touched by B tokens / (k W eta_w); of an expert with the compute of one tile of rows, however few its tokens
    compute    2 P_active B / (k F eta_c delta)              delta: decoding is less efficient than prefill
    KV         B c bytes a token / (shards W eta_kv), so many times as attention reads them;
               a state of constant size twice / (k W eta_kv): read, and written again
    links      2 all-reduces a layer: latency + 2 (k-1)/k hidden x 2 bytes x B / (N/2 eta_N); H/k where all pass the host's memory;
               with attention in groups one of B/groups tokens within each, and gathering and scattering B tokens, one's volume
    overhead   of the engine's generation, alpha a layer (more where it routes to experts), and sigma a sequence;
               of a mixture's hidden states 3 moves an expert through each GPU's memory
    step     = (weights^s + compute^s)^(1/s) + KV + links + overhead

eta_c is that of the GPU's family, times (power of the board / what its peak would take)^p: a part that is short of power
does not hold its peak, and one whose matrix units could do more than the vendor lets them comes nearer to it. Formulas and fit:
docs/performance-model.md. Coefficients: `coefficients.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hetops.performance.generation import Generation
from hetops.performance.physics import Floats, Names, Physics

MOST_COMPUTE = 0.9
"""No GPU's matrix kernels were seen above this share of the dense peak."""
MOST_BANDWIDTH = 0.95
_FEW_TILES = 181e12
"""Operations a second of the 104 compute units of an MI250's device. A product of few rows has fewer tiles of output than a larger chip has
units, and AMD's libraries of 2024 did not split sums to fill the others: decoding ran no faster on an MI300X's 304."""

_MOVES = 3.0
"""Times that `fused_moe` moves a token's hidden state through memory for each expert: gathered, written by the expert, read to be summed."""

Values = Mapping[str, float]
"""Coefficients by name, as `coefficients.json` has them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """Seconds per unit of each part of a step, of one whole replica each; arrays of one length."""

    weights: Floats
    """Reading all weights once."""
    shared: Floats
    expert_share: Floats
    sharpness: Floats
    compute: Floats
    """Per sequence and step."""
    kv: Floats
    """Per token of context and step."""
    step_link: Floats
    """Latency of a step's all-reduces."""
    link: Floats
    """Per token through all layers."""
    overhead: Floats
    per_sequence: Floats
    prefill: Floats
    """Per token."""
    prefill_squared: Floats
    window_share: Floats
    prompt_window_share: Floats
    window_tokens: Floats
    first_token: Floats
    """What the engine takes for a request besides its prefill, until its first token is out."""
    first_token_factor: Floats
    """How many times its own prefill a request waits when others are being served."""
    interference: Floats
    stages: Floats
    groups: Floats
    apart: Floats
    """Share of `prefill` that one group computes of a prompt, and the others not."""

    def step(self, sequences: Floats, context: Floats) -> Floats:
        """A decode step of so many sequences with so many tokens of context each; of n sequences the fullest of g groups
        attends to (n + g - 1) / g. Fewer sequences than stages go through all of these one by one, and the others idle."""
        sequences = np.maximum(sequences, self.stages)
        each = sequences / self.stages
        touched = self.shared + (1.0 - self.shared) * (1.0 - (1.0 - self.expert_share) ** each)
        read, done = self.weights * touched, self.compute * sequences
        both: Floats = (read**self.sharpness + done**self.sharpness) ** (1.0 / self.sharpness)
        return (
            both
            + self.kv * self.attended(context) * (sequences + (self.groups - 1.0) * self.stages)
            + self.step_link
            + self.overhead
            + (self.link + self.per_sequence) * sequences
        )

    def attended(self, context: Floats) -> Floats:
        """Tokens whose KV a token reads, by the mean of all its bytes: some are read of the newest or of chosen tokens alone."""
        found: Floats = context - self.window_share * np.maximum(context - self.window_tokens, 0.0)
        return found

    def prefill_seconds(
        self, tokens: Floats, together: Floats | float = 1.0, over_groups: Floats | float = 1.0
    ) -> Floats:
        """Prefill of one prompt: its operations, or the weights that they pass where it is short.

        Of prompts that pass `together`, each has its part of the weights and of the all-reduces' latency. Of m `over_groups` the fullest
        of g groups has (m + g - 1) / g: the others wait for it.
        """
        beyond = np.maximum(tokens - self.window_tokens, 0.0)
        squares = self.prefill_squared * (tokens**2 - self.prompt_window_share * beyond**2)
        waiting = (self.groups - 1.0) / over_groups * (self.apart * self.prefill * tokens + squares)
        done = self.prefill * tokens + squares + waiting
        missed = (1.0 - self.expert_share) ** (tokens * together)
        read = self.weights * (self.shared + (1.0 - self.shared) * (1.0 - missed)) / together
        both: Floats = (read**self.sharpness + done**self.sharpness) ** (1.0 / self.sharpness)
        return both + self.step_link / together + self.link * self.stages * tokens


def terms(p: Physics, values: Values) -> Terms:
    """The parts of a step for every replica."""
    sharpness = np.full(len(p), 1.0 + values["sharpness"])
    efficiency = compute_efficiency(p, values)
    flops = p.flops * efficiency * p.tensor
    few_rows = np.where(p.amd & ~p.tuned, np.minimum(p.flops, _FEW_TILES), p.flops) * efficiency * p.tensor
    passed, experts = _read(p, values, few_rows * values["decode"], sharpness)
    moved = _moved(p, values)
    slower = _vendor(p, values, "weight_bandwidth") / values["weight_bandwidth"]
    state_bandwidth = p.bandwidth * p.tensor * values["kv_bandwidth"] * np.where(p.amd, slower, 1.0)
    kv = p.kv_bytes * p.kv_reads * p.tensor / (state_bandwidth * p.kv_shards)
    attention_flops = p.flops_16 * p.tensor * values["attention"] * np.where(p.amd, 0.6, 1.0)
    volume, exchanges = _exchanged(p)
    chosen = p.expert_share * p.expert_parameters
    crowded = (p.fullest - 1.0) * chosen
    linked = (p.tensor > 1) & ~p.host
    apart, shared = p.link / 2.0 * values["link"], values["host_link"] / p.tensor
    link = p.layers * volume / np.where(p.through_host, shared, apart)
    return Terms(
        weights=passed + experts,
        shared=passed / (passed + experts),
        expert_share=p.expert_share,
        sharpness=sharpness,
        compute=2.0 * (p.active + crowded) / (few_rows * values["decode"]) / p.stages,
        kv=np.maximum(kv, p.kv_operations / (p.kv_flops * p.tensor * values["attention"])) / p.stages,
        step_link=np.where(linked, exchanges * p.layers * _latency(p, values), 0.0)
        + (p.stages - 1.0) * values["hop"],
        link=np.where(linked, link, 0.0) / p.stages,
        overhead=_of(p, values, "overhead")
        + (values["layer"] + np.where(p.mixture, values["mixture_layer"], 0.0)) * p.layers,
        per_sequence=_of(p, values, "sequence") * p.sequence_share
        + (moved + 2.0 * p.state_bytes / state_bandwidth) / p.stages,
        prefill=2.0 * (p.prompted + crowded) / flops + moved,
        prefill_squared=2.0 * p.layers * p.attention / attention_flops,
        window_share=p.window_share,
        prompt_window_share=p.prompt_window_share,
        window_tokens=p.window_tokens,
        first_token=_of(p, values, "first_token")
        + (values["prompt_layer"] + np.where(p.mixture, values["mixture_prompt_layer"], 0.0)) * p.layers,
        first_token_factor=_of(p, values, "first_token_factor"),
        interference=np.where(p.host, 1.0, values["interference"]),
        stages=p.stages,
        groups=p.groups,
        apart=2.0 * (p.prompted - chosen) / flops / (2.0 * (p.prompted + crowded) / flops + moved),
    )


def _exchanged(p: Physics) -> tuple[Floats, Floats]:
    """Bytes a token and layer that each device sends, and how often: the all-reduce of attention, within a group that has several
    devices, and that of the experts, over all. Over groups the latter is an all-gather before and a reduce-scatter after (vLLM's
    `allgather_reducescatter`, SGLang's default), each half of its bytes."""
    within, state = p.tensor / p.groups, 2.0 * p.hidden * 2.0
    attention, experts = (within - 1.0) / within / p.groups, (p.tensor - 1.0) / p.tensor
    exchanges = np.where(within > 1.0, 1.0, 0.0) + np.where(p.groups > 1.0, 2.0, 1.0)
    return state * (attention + experts), exchanges


def _read(p: Physics, values: Values, flops: Floats, sharpness: Floats) -> tuple[Floats, Floats]:
    """Seconds of reading the weights that every token passes, and all experts: one of these that has a token is read, and
    computes all rows of a tile."""
    seconds = p.weight_bytes / (p.bandwidth * p.tensor * _weight_bandwidth(p, values))
    tiles = 2.0 * p.expert_rows * p.expert_parameters / flops
    read = seconds * (1.0 - p.shared)
    return seconds * p.shared * p.groups, (read**sharpness + tiles**sharpness) ** (1.0 / sharpness)


def _moved(p: Physics, values: Values) -> Floats:
    """Seconds a token of its hidden states among experts: each of the ranks holds them whole, or, where experts lie whole on one,
    those of its own."""
    ranks = np.where(p.groups > 1.0, p.tensor / p.fullest, 1.0)
    states = np.where(p.host, 0.0, p.chosen_experts * p.layers * p.hidden * 2.0) / ranks
    seconds: Floats = _MOVES * states / (p.bandwidth * values["kv_bandwidth"])
    return seconds


def compute_efficiency(p: Physics, values: Values) -> Floats:
    """Share of the format's dense peak that matrix kernels reach in prefill."""
    families = _by_name(p.family, lambda family: values.get(f"family.{family}", 1.0))
    formats = (
        np.where(p.fp8, values["fp8"], 1.0)
        * np.where(p.weight_only_4bit, values["weight_only_4bit"], 1.0)
        * np.where(p.mixture, values["mixture"], 1.0)
        * np.where(p.fp4, values["fp4"], 1.0)
    )
    efficiency = _vendor(p, values, "compute") * families * p.power ** values["power"] * formats * p.spare
    held: Floats = np.minimum(efficiency, MOST_COMPUTE)
    return held


def _weight_bandwidth(p: Physics, values: Values) -> Floats:
    share = _vendor(p, values, "weight_bandwidth") * np.where(
        p.graphics_memory, values["graphics_memory"], 1.0
    )
    own_kernels = p.stacked_memory & (p.generation == str(Generation.LLAMACPP))
    share = share * np.where(own_kernels, values["llamacpp_hbm"], 1.0)
    held: Floats = np.minimum(share * np.where(p.mixture, values["mixture_bandwidth"], 1.0), MOST_BANDWIDTH)
    return held


def _vendor(p: Physics, values: Values, name: str) -> Floats:
    """A share of a peak: AMD's kernels of 2024 and those of today are told apart."""
    amd = np.where(p.tuned, values[f"{name}.amd_new"], values[f"{name}.amd"])
    found: Floats = np.where(p.amd, amd, values[name])
    return found


def _latency(p: Physics, values: Values) -> Floats:
    fabric = np.where(p.tuned, values["all_reduce.infinity_fabric_new"], values["all_reduce.infinity_fabric"])
    fast = np.where(p.amd, fabric, values["all_reduce.nvlink"])
    found: Floats = np.where(p.fast_link, fast, values["all_reduce.pcie"])
    return found


def _of(p: Physics, values: Values, name: str) -> Floats:
    """A coefficient of the engine's generation."""
    return _by_name(p.generation, lambda generation: values[f"{name}.{generation}"])


def _by_name(names: Names, value_of: Callable[[str], float]) -> Floats:
    # Without the inverse it would load numpy's masked arrays.
    known, where = np.unique(names, return_inverse=True)
    return np.array([value_of(name) for name in known])[where]
