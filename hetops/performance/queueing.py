"""A replica as the queue of one class: how many requests are in flight, and what latencies that makes, at a rate. Pure.

A replica with n requests in flight completes mu(n) = 1 / (prefill / stages + output * step(n) / n) requests a second:
prompts of a batch share the compute, decoding shares one reading of the weights. Under Poisson arrivals at rate r the
number in flight is that of a queue with load-dependent processor sharing, pi(n) ~ r^n / (mu(1) ... mu(n)), whatever the
distribution of lengths (Kelly 1979, Reversibility and Stochastic Networks, ch. 3); beyond the places requests wait.
TPOT is held with as many in flight as an arrival finds at the target's percentile. Between nobody and one more that is no whole
number: who finds nobody may be joined, who finds another may soon be alone (`Queue.company`). TTFT is the prefill of the prompt at
that percentile, one decode step, and the longer of two waits: for a place, and for the prompts ahead, an M/G/1 queue
(Pollaczek-Khinchine mean, exponential tail). Who waited for a place finds few prompts ahead: the waits do not add.
Sums over n take the numbers of `Crowd`; where they are more than one apart the distribution between them is a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from statistics import NormalDist

import numpy as np

from hetops.domain.workload import TokenLengths, WorkloadClass
from hetops.performance.replicas import Crowd, Floats, Integers, Replicas

IDLE = 1e-6
"""Part of the highest rate at which a replica is as good as idle."""
HIGHEST_USE = 0.98
"""Utilisation above which a wait is taken as endless."""
_NOTHING = 1e-300
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the formulas need of a class."""

    input_mean: float
    input_high: float
    prefix_share: float
    input_spread: float
    """Squared coefficient of variation of the input length."""
    output_spread: float
    output_mean: float
    context: float
    """Mean tokens that a running request holds: its input and half its output."""
    tpot_share: float
    """Share of requests whose TPOT must keep the bound."""
    ttft_bound: float
    """Endless where there is none, as for TPOT."""
    tail: float
    """Share of requests that may be slower to their first token than the bound."""
    tpot_bound: float

    @classmethod
    def of(cls, c: WorkloadClass) -> Load:
        """The class's."""
        return cls(
            input_mean=c.input_tokens.mean,
            input_high=max(c.input_tokens.percentile(c.target.ttft_percentile), c.input_tokens.mean),
            prefix_share=c.prefix_share,
            input_spread=_spread(c.input_tokens),
            output_spread=_spread(c.output_tokens),
            output_mean=c.output_tokens.mean,
            context=c.input_tokens.mean + c.output_tokens.mean / 2.0,
            tpot_share=c.target.tpot_percentile / 100.0,
            ttft_bound=_bound(c.target.ttft_seconds),
            tail=1.0 - c.target.ttft_percentile / 100.0,
            tpot_bound=_bound(c.target.tpot_seconds),
        )

    def among(self, mixture: Mixture) -> Load:
        """The class's own percentiles and bounds in the queue of all classes."""
        of_all = {
            f.name: getattr(mixture, f.name) for f in fields(mixture) if f.name != "requests_per_second"
        }
        return replace(self, **of_all)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """What shares a replica, as one class: the fields of `Load` that are the queue's and no single class's."""

    requests_per_second: float
    input_mean: float
    input_spread: float
    prefix_share: float
    output_mean: float
    output_spread: float
    context: float

    @classmethod
    def of(cls, rates: Sequence[tuple[WorkloadClass, float]]) -> Mixture:
        """Of classes with their requests a second.

        Raises:
            ValueError: nothing comes.
        """
        whole = sum(rate for _, rate in rates)
        if not whole > 0:
            raise ValueError("no mixture without requests")
        shares = [(c, rate / whole) for c, rate in rates]
        inputs = _together([(c.input_tokens, share) for c, share in shares])
        outputs = _together([(c.output_tokens, share) for c, share in shares])
        cached = sum(share * c.input_tokens.mean * c.prefix_share for c, share in shares)
        held = sum(share * c.output_tokens.mean * Load.of(c).context for c, share in shares)
        return cls(
            requests_per_second=whole,
            input_mean=inputs[0],
            input_spread=inputs[1],
            prefix_share=cached / inputs[0],
            output_mean=outputs[0],
            output_spread=outputs[1],
            context=held / outputs[0],
        )


def _together(shares: Sequence[tuple[TokenLengths, float]]) -> tuple[float, float]:
    """Mean and squared coefficient of variation of lengths that have these shares of the requests."""
    mean = sum(share * tokens.mean for tokens, share in shares)
    squares = sum(share * tokens.mean**2 * (1.0 + _spread(tokens)) for tokens, share in shares)
    return mean, squares / mean**2 - 1.0


def _bound(seconds: float | None) -> float:
    return np.inf if seconds is None else seconds


def _spread(lengths: TokenLengths) -> float:
    """Squared coefficient of variation of a log-normal with these median and 90th percentile."""
    if lengths.p50 <= 0 or lengths.p90 <= lengths.p50:
        return 0.0
    sigma = np.log(lengths.p90 / lengths.p50) / NormalDist().inv_cdf(0.9)
    return float(np.expm1(min(sigma**2, 4.0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Occupancy:
    """How full replicas are at a rate."""

    found: Floats
    """In flight at the TPOT percentile as a request runs, itself counted; between one and two an average over its life."""
    waiting: Floats
    """Chance that all places are taken."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Queue:
    """Replicas as queues of one class: rows are replicas, columns numbers of requests in flight, none to all places."""

    replicas: Replicas
    load: Load
    places: Floats
    """Requests that can be in flight at once: sequences allowed, or what the KV cache has room for."""
    busy: Floats
    """Numbers in flight, at most the places; the last column is all of them."""
    span: Floats
    """How many numbers a column stands for."""
    overhang: Floats
    """How many of these are above it."""
    log_work: Floats
    """Logarithm of 1 / (mu(1) ... mu(n)); mu stays that of all places beyond them."""
    most: Floats
    """Completions a second with all places taken."""
    prompt: Floats
    """Seconds that a prompt of mean length takes of the replica."""
    prompt_high: Floats
    """Seconds that the prompt at the TTFT percentile takes from its first stage to its last."""
    tpot: Floats
    """With so many in flight, for each column."""

    @classmethod
    def of(cls, crowd: Crowd, load: Load) -> Queue:
        """The queues of a class at all replicas."""
        r, numbers = crowd.replicas, crowd.numbers[None, :]
        places = np.floor(np.minimum(r.max_sequences, r.kv_capacity / r.kept(load.context)))
        served = np.maximum(places, 1.0)[:, None]
        busy = np.minimum(numbers, served)
        step = np.where(numbers < served, crowd.fixed, r.fixed(served))
        step += (r.kv * r.attended(load.context))[:, None] * busy
        prompt = r.prefill_seconds(load.input_mean, load.prefix_share * load.input_mean) / r.stages
        work = np.log(prompt[:, None] + load.output_mean * step / np.maximum(busy, 1.0))
        gaps, one = np.diff(busy, axis=1), np.ones((len(busy), 1))
        before, after = np.hstack([one, gaps]), np.hstack([gaps, one])
        return cls(
            replicas=r,
            load=load,
            places=places,
            busy=busy,
            span=(before + after) / 2.0,
            overhang=(after - 1.0) / 2.0,
            log_work=_summed(work, gaps),
            most=np.exp(-work[:, -1]),
            prompt=prompt,
            prompt_high=r.prefill_seconds(load.input_high, load.prefix_share * load.input_high),
            tpot=step + (r.interference * prompt)[:, None] * (busy - 1.0) / load.output_mean,
        )

    def rows(self, which: Integers) -> Queue:
        """Some of the replicas."""
        arrays = {
            f.name: getattr(self, f.name)[which] for f in fields(self) if f.name not in ("replicas", "load")
        }
        return Queue(replicas=self.replicas.rows(which), load=self.load, **arrays)

    def latencies(self, rate: Floats) -> tuple[Floats, Floats]:
        """TTFT and TPOT at the target's percentiles at these rates; endless where the queue would be."""
        full = self.occupancy(rate)
        return self.ttft(rate, full), self.tpot_of(full.found)

    def occupancy(self, rate: Floats) -> Occupancy:
        """How full the replicas are at these rates."""
        mass, last, beyond = self._masses(rate)
        below = np.cumsum(mass * self.span, axis=1)
        whole = below[:, -1] + beyond
        below -= mass * self.overhang
        found, share = self._found(mass, below, whole), self.load.tpot_share
        never, partly = self._company(mass, whole, rate)
        part = np.clip((share - never) / np.maximum(partly - never, _NOTHING), 0.0, 1.0)
        found = np.where(found <= 2.0, np.minimum(1.0 + part, self.busy[:, -1]), found)
        return Occupancy(found=found, waiting=(last + beyond) / whole)

    def company(self, rate: Floats, part: Floats) -> Floats:
        """At these rates the share of requests that have another beside them for no more than such a part of their life.

        From those that never have to those that have for a part the share rises as a line: some are joined while they run
        (Poisson arrivals), some find one that leaves before they do (its time left taken as exponential, as long as a life).
        """
        mass, _, beyond = self._masses(rate)
        never, partly = self._company(mass, np.einsum("ij,ij->i", mass, self.span) + beyond, rate)
        share: Floats = never + part * (partly - never)
        return share

    def _company(self, mass: Floats, whole: Floats, rate: Floats) -> tuple[Floats, Floats]:
        """Shares of requests that meet nobody while they decode, and that meet at most one, for a part of that time."""
        decoding = self.load.output_mean * self.tpot[:, 1]
        leaves = -np.expm1(-decoding / (decoding + self.prompt))
        nobody, one = mass[:, 0] / whole, mass[:, 1] / whole
        return nobody * np.exp(-rate * decoding), nobody + one * leaves

    def _found(self, mass: Floats, below: Floats, whole: Floats) -> Floats:
        """The smallest number with enough of the distribution at or below it, and the request itself."""
        share, each = self.load.tpot_share * whole, np.arange(len(below))
        column = (below < share[:, None]).sum(axis=1)
        high = np.clip(column, 1, below.shape[1] - 1)
        low = high - 1
        gap, lacking = self.busy[each, high] - self.busy[each, low], share - below[each, low]
        rise = mass[each, high] - mass[each, low]
        slope = gap * mass[each, low] + rise / 2.0
        root = np.sqrt(np.maximum(slope**2 + 2.0 * gap * rise * lacking, 0.0))
        part = np.clip(2.0 * lacking / np.maximum(slope + root, _NOTHING), 0.0, 1.0)
        number = np.ceil(self.busy[each, low] + part * gap - _ROUNDING)
        return np.minimum(np.where(column == 0, 0.0, number) + 1.0, self.busy[:, -1])

    def chance(self, rate: Floats, weights: Floats) -> Floats:
        """At these rates the chance of what the weights count, and of more requests than there are places."""
        mass, _, beyond = self._masses(rate)
        whole = np.einsum("ij,ij->i", mass, self.span) + beyond
        found: Floats = (np.einsum("ij,ij->i", mass, weights) + beyond) / whole
        return found

    def above(self, numbers: Floats) -> Floats:
        """Weights that make of `chance` the chance of more than so many in flight; one number a replica."""
        each, last = np.arange(len(numbers)), self.busy.shape[1] - 2
        column = np.clip((self.busy <= numbers[:, None]).sum(axis=1) - 1, 0, last)
        low, gap = self.busy[each, column], self.busy[each, column + 1] - self.busy[each, column]
        part = np.clip((numbers - low) / np.maximum(gap, 1.0), 0.0, 1.0)
        weights = np.where(np.arange(last + 2)[None, :] < column[:, None], 0.0, self.span)
        half, square = (1.0 - part) / 2.0, part**2 / 2.0
        weights[each, column] = gap * (0.5 - part + square) - half + 0.5 * (gap == 0)
        weights[each, column + 1] -= gap * square + part / 2.0
        return weights

    def _masses(self, rate: Floats) -> tuple[Floats, Floats, Floats]:
        """Of the distribution, up to a factor of each replica: the columns, the last of them, and all beyond it."""
        mass = self.busy * np.log(rate)[:, None]
        mass += self.log_work
        mass -= mass.max(axis=1)[:, None]
        np.exp(mass, out=mass)
        last, use = mass[:, -1].copy(), np.minimum(rate / self.most, HIGHEST_USE)
        return mass, last, last * use / (1.0 - use)

    def tpot_of(self, found: Floats) -> Floats:
        """TPOT with so many in flight."""
        stalls = self.replicas.interference * (found - 1.0) / self.load.output_mean
        return self.replicas.decode(found, self.load.context) + stalls * self.prompt

    def ttft(self, rate: Floats, full: Occupancy) -> Floats:
        """The prompt's own prefill, a step, and the longer wait."""
        load, tail, r = self.load, self.load.tail, self.replicas
        step = r.decode(full.found, load.context)
        service = self.prompt + r.interference * step
        use = np.minimum(rate * service, HIGHEST_USE)
        behind = service * (1.0 + load.input_spread) / (2.0 * (1.0 - use))
        free = (1.0 + load.output_spread) / (2.0 * (self.most - np.minimum(rate, HIGHEST_USE * self.most)))
        for_prompts = behind * np.log(np.maximum(use / tail, 1.0))
        for_a_place = free * np.log(np.maximum(full.waiting / tail, 1.0))
        own = r.first_token_factor * self.prompt_high + step + r.first_token
        endless = (rate * service > HIGHEST_USE) | (rate > HIGHEST_USE * self.most * (1 + 1e-9))
        return np.where(endless, np.inf, own + np.maximum(for_prompts, for_a_place))


def _summed(values: Floats, gaps: Floats) -> Floats:
    """Sums over the numbers 1 to each column's, from the values at the columns alone; none at the first, which is 0."""
    low, high = values[:, :-1], values[:, 1:]
    between = np.where(gaps > 0, gaps * (low + high) / 2.0 + (high - low) / 2.0, 0.0)
    return np.cumsum(np.hstack([np.zeros((len(values), 1)), between]), axis=1)
