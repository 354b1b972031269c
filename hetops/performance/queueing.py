"""A replica as the queue of one class: how many requests are in flight, and what latencies that makes, at a rate. Pure.

A replica with n requests in flight completes mu(n) = 1 / (prefill / stages + (output * step(n) + ripening) / n) requests a second:
prompts of a batch share the compute, those of one step its overhead, decoding shares one reading of the weights, and a request keeps
its place until its first token has come out. Under Poisson arrivals at rate r the
number in flight is that of a queue with load-dependent processor sharing, pi(n) ~ r^n / (mu(1) ... mu(n)), whatever the
distribution of lengths (Kelly 1979, Reversibility and Stochastic Networks, ch. 3); beyond the places requests wait.
TPOT is held with as many in flight as an arrival finds at the target's percentile. Between nobody and one more that is no whole
number: who finds nobody may be joined, who finds another may soon be alone (`Queue.accompanied`). TTFT is the prefill of the prompt at
that percentile, one decode step, and the longer of two waits: for a place, and for the prompts ahead, an M/G/1 queue
(Pollaczek-Khinchine mean, exponential tail). Who waited for a place finds few prompts ahead: the waits do not add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from statistics import NormalDist

import numpy as np

from hetops.domain.workload import TokenLengths, WorkloadClass
from hetops.performance.first_token import HIGHEST_USE, FirstToken, Wait
from hetops.performance.generation import PASS_TOKENS
from hetops.performance.in_flight import InFlight, Levels
from hetops.performance.replicas import Crowd, Floats, Integers, Replicas

IDLE = 1e-6
"""Part of the highest rate at which a replica is as good as idle."""
_NOTHING = 1e-300


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
    """Mean tokens that a running request holds: its input and half its output, of answers each as often as it is long."""
    tpot_share: float
    """Share of requests whose TPOT must keep the bound."""
    tpot_deviates: float
    """Standard deviations of a normal number below which that share of it lies."""
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
            context=c.input_tokens.mean + c.output_tokens.mean * (1.0 + _spread(c.output_tokens)) / 2.0,
            tpot_share=c.target.tpot_percentile / 100.0,
            tpot_deviates=max(NormalDist().inv_cdf(c.target.tpot_percentile / 100.0), 0.0),
            ttft_bound=_bound(c.target.ttft_seconds),
            tail=1.0 - c.target.ttft_percentile / 100.0,
            tpot_bound=_bound(c.target.tpot_seconds if c.output_tokens.mean > 1.0 else None),
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
        inputs = _lengths([(c.input_tokens, share) for c, share in shares])
        outputs = _lengths([(c.output_tokens, share) for c, share in shares])
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


def _lengths(shares: Sequence[tuple[TokenLengths, float]]) -> tuple[float, float]:
    """Mean and squared coefficient of variation of lengths that have these shares of the requests."""
    mean = sum(share * tokens.mean for tokens, share in shares)
    squares = sum(share * tokens.mean**2 * (1.0 + _spread(tokens)) for tokens, share in shares)
    return mean, squares / mean**2 - 1.0


def _bound(seconds: float | None) -> float:
    return np.inf if seconds is None else seconds


def _spread(lengths: TokenLengths) -> float:
    """Squared coefficient of variation of a log-normal with these median and 90th percentile; no more than lengths up to the 99th have
    that are either none or all of it (Bhatia and Davis 2000)."""
    if lengths.p50 <= 0 or lengths.p90 <= lengths.p50:
        return 0.0
    sigma = np.log(lengths.p90 / lengths.p50) / NormalDist().inv_cdf(0.9)
    return float(min(np.expm1(sigma**2), max(lengths.p99 / lengths.mean - 1.0, 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Queue:
    """Replicas as queues of one class."""

    replicas: Replicas
    load: Load
    places: Floats
    """Requests that can be in flight at once: sequences allowed, or what the KV cache has room for."""
    levels: Levels
    prompt_high: Floats
    """Seconds that the prompt at the TTFT percentile takes from its first stage to its last."""
    decoding: Floats
    """Seconds that a request decodes alone."""

    @classmethod
    def of(cls, crowd: Crowd, load: Load) -> Queue:
        """The queues of a class at all replicas."""
        r, numbers = crowd.replicas, crowd.numbers[:, None]
        places = np.floor(np.minimum(r.max_sequences, r.kv_capacity / r.kept(load.context)))
        served = np.maximum(places, 1.0)
        busy = np.minimum(numbers, served)
        step = np.where(numbers < served, crowd.fixed, r.fixed(served))
        step += r.reading(busy, load.context)
        prompt = _prompt(r, load, busy)
        return cls(
            replicas=r,
            load=load,
            places=places,
            levels=Levels.of(busy, prompt + _own(r, load, step) / np.maximum(busy, 1.0)),
            prompt_high=r.prefill_seconds(load.input_high, load.prefix_share * load.input_high),
            decoding=load.output_mean * step[1],
        )

    @property
    def most(self) -> Floats:
        """Completions a second with all places taken."""
        return self.levels.most

    def rows(self, which: Integers) -> Queue:
        """Some of the replicas."""
        return Queue(
            replicas=self.replicas.rows(which),
            load=self.load,
            levels=self.levels.rows(which),
            **{name: getattr(self, name)[which] for name in ("places", "prompt_high", "decoding")},
        )

    def completed(self, in_flight: Floats) -> Floats:
        """Requests a second with so many in flight."""
        step = self.replicas.decode(in_flight, self.load.context)
        own = _own(self.replicas, self.load, step)
        rate: Floats = in_flight / (in_flight * self.prompt(in_flight) + own)
        return rate

    def tpot(self, in_flight: Floats) -> Floats:
        """With so many in flight at the target's percentile, the request itself among them."""
        stalls = self.replicas.interference * self._met(in_flight - 1.0)
        return self.replicas.decode(in_flight, self.load.context) + stalls * self.prompt(in_flight)

    def _met(self, others: Floats) -> Floats:
        """Prompts in each of a request's steps at the target's percentile, where it finds so many others at that.

        Both are taken for Poisson's, z deviations over their mean: a request of many tokens meets as many as it found, one of two
        tokens has a single step, which may hold several or none. Less than one is another for a part of its life.
        """
        z, steps = self.load.tpot_deviates, max(self.load.output_mean - 1.0, 1.0)
        several = np.maximum(others, 1.0)
        mean = (np.sqrt(z * z / 4.0 + several) - z / 2.0) ** 2 * (steps / self.load.output_mean)
        found: Floats = np.minimum(others, 1.0) * (mean + z * np.sqrt(mean)) / steps
        return found

    def prompt(self, in_flight: Floats | float) -> Floats:
        """Seconds that a prompt of mean length takes of the replica with so many in flight."""
        return _prompt(self.replicas, self.load, in_flight)

    def most_in_flight(self) -> Floats:
        """The most with which TPOT keeps its bound, up to the places; 0 where a lone one breaks it."""
        low, high = np.zeros(len(self.places)), np.maximum(self.places, 1.0) + 1.0
        while (high - low).max(initial=0.0) > 1.0:
            middle = np.maximum(np.floor((low + high) / 2.0), 1.0)
            ok = self.tpot(middle) <= self.load.tpot_bound
            low, high = np.where(ok, middle, low), np.where(ok, high, middle)
        return low

    def latencies(self, rate: Floats) -> tuple[Floats, Floats]:
        """TTFT and TPOT at the target's percentiles at these rates; endless where the queue would be."""
        now = self.levels.at(rate)
        found = self.found(now, rate)
        return self.first_token(now, rate, found).seconds, self.tpot(found)

    def found(self, now: InFlight, rate: Floats) -> Floats:
        """In flight at the TPOT percentile as a request runs, itself counted; between one and two an average over its life."""
        share = self.load.tpot_share
        found = np.minimum(now.percentile(share) + 1.0, self.levels.busy[-1])
        never, partly = self._company(now, rate)
        part = np.clip((share - never) / np.maximum(partly - never, _NOTHING), 0.0, 1.0)
        whole: Floats = np.where(found <= 2.0, np.minimum(1.0 + part, self.levels.busy[-1]), found)
        return whole

    def accompanied(self, rate: Floats, part: Floats) -> tuple[Floats, Floats]:
        """At these rates the share of requests that have another beside them for more than such a part of their life, and how
        fast its logarithm rises with the rate's.

        From those that never have to those that have for a part the share falls as a line: some are joined while they run
        (Poisson arrivals), some find one that leaves before they do (its time left taken as exponential, as long as a life).
        """
        now = self.levels.at(rate)
        never, partly = self._company(now, rate)
        share, one_leaves = 1.0 - never - part * (partly - never), partly - now.mass[0] / now.whole
        never_falls = never * (now.mean + rate * self.decoding)
        partly_falls = partly * now.mean - one_leaves
        rise = (1.0 - part) * never_falls + part * partly_falls
        return share, rise / np.maximum(share, _NOTHING)

    def _company(self, now: InFlight, rate: Floats) -> tuple[Floats, Floats]:
        """Shares of requests that meet nobody while they decode, and that meet at most one, for a part of that time."""
        leaves = -np.expm1(-self.decoding / (self.decoding + self.prompt(1.0)))
        nobody, one = now.mass[0] / now.whole, now.mass[1] / now.whole
        return nobody * np.exp(-rate * self.decoding), nobody + one * leaves

    def first_token(self, now: InFlight, rate: Floats, found: Floats) -> FirstToken:
        """TTFT and what it is made of: the prompt's own prefill, a step and what else this takes in, and the longer wait."""
        load, r = self.load, self.replicas
        step = r.decode(found, load.context)
        together, prompt = _together(r, load, found), self.prompt(found)
        service = prompt + r.interference * step / together
        behind = np.log(np.maximum(np.minimum(rate * service, HIGHEST_USE) / load.tail, 1.0))
        taken = np.log(np.maximum(now.waiting / load.tail, 1.0))
        prompts = Wait(
            seconds=service * (1.0 + load.input_spread) / 2.0,
            tail=behind,
            rise=np.where(behind > 0, 1.0, 0.0),
            use=rate * service,
        )
        place = Wait(
            seconds=(1.0 + load.output_spread) / (2.0 * self.most),
            tail=taken,
            rise=np.where(taken > 0, now.waiting_rise, 0.0),
            use=rate / self.most,
        )
        beside = r.interference * (together - 1.0) * prompt
        own = r.first_token_factor * self.prompt_high + step + beside + r.first_token
        return FirstToken(own=own, prompts=prompts, place=place)


def _prompt(r: Replicas, load: Load, in_flight: Floats | float) -> Floats:
    """Seconds that a prompt of mean length takes of replicas. Those whose places came free in one step go over the parts of a replica
    together, and those that one step takes in share its overhead."""
    found = _alone(r, load, _came(load, in_flight)) - r.overhead * (1.0 - 1.0 / _together(r, load, in_flight))
    return found / r.stages


def _alone(r: Replicas, load: Load, together: Floats | float = 1.0) -> Floats:
    """Seconds of the prefill of a prompt of mean length."""
    return r.prefill_seconds(
        load.input_mean, load.prefix_share * load.input_mean, together, load.input_spread
    )


def _came(load: Load, in_flight: Floats | float) -> Floats:
    """Prompts whose places came free in one step, one at least."""
    return np.maximum(in_flight / load.output_mean, 1.0)


def _together(r: Replicas, load: Load, in_flight: Floats | float) -> Floats:
    """Of these, those that a step takes in: as many as its tokens hold, and as many in each part that attends to requests of its own."""
    held = max(PASS_TOKENS / (load.input_mean * (1.0 - load.prefix_share)), 1.0)
    return np.minimum(_came(load, in_flight), r.groups * held)


def _own(r: Replicas, load: Load, step: Floats) -> Floats:
    """Seconds that a request has its place for besides those of prompts: its steps, and from the end of its prefill to its first token."""
    ripening = r.first_token + (r.first_token_factor - 1.0 / r.stages) * _alone(r, load)
    found: Floats = load.output_mean * step + np.maximum(ripening, 0.0)
    return found
