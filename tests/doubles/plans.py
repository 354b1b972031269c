"""A small whole plan, built through the real types: two pools on emulated offers, two classes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hetops.domain import codec
from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.domain.offer import Offer, PriceBasis
from hetops.domain.performance import Binding, Evidence, EvidenceLayer, PerformanceRow, StepTimes
from hetops.domain.plan import (
    Alternative,
    Certificate,
    ClassForecast,
    ClassShare,
    Plan,
    PlanLimits,
    PlannedPool,
    Refusal,
)
from hetops.domain.service import PlannedService, Service
from hetops.domain.workload import LatencyTarget, TokenLengths, Workload, WorkloadClass
from hetops.solver.recheck.plan import seal

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

STEP_TIMES = StepTimes(
    weights_seconds=0.005,
    compute_seconds_per_sequence=0.0001,
    kv_seconds_per_token=1e-8,
    overhead_seconds=0.002,
    prefill_seconds_per_token=0.00005,
    kv_capacity_tokens=100_000,
    max_sequences=16,
)


def offer(gpu: str = "L4", usd_per_hour: str = "0.80", sku: str = "g2-standard-8") -> Offer:
    """An emulated offer of one GPU."""
    return Offer(
        provider="local",
        sku=f"gcp/{sku}",
        gpu=gpu,
        gpu_count=1,
        region="local",
        usd_per_hour=Decimal(usd_per_hour),
        basis=PriceBasis.LIST,
        observed_at=NOW,
        source="list price of 2026-11-20",
        emulated=True,
    )


def configuration(gpu: str = "L4", max_sequences: int = 16) -> Configuration:
    """An 8B model on one GPU."""
    return Configuration(
        model="llama-3.1-8b",
        engine="vllm",
        gpu=gpu,
        weights=Precision.FP8,
        kv=Precision.BF16,
        checkpoint="RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8",
        max_sequences=max_sequences,
        max_context_tokens=8192,
    )


def pool(name: str = "l4-fp8", gpu: str = "L4", usd_per_hour: str = "0.80", nodes: int = 2) -> PlannedPool:
    """A pool of emulated nodes."""
    return PlannedPool(
        name=name,
        offer=offer(gpu, usd_per_hour, sku=name),
        configuration=configuration(gpu),
        nodes=nodes,
        replicas_per_node=1,
        step_times=STEP_TIMES,
    )


def workload_class(
    name: str, requests_per_second: float, input_tokens: float, output_tokens: float
) -> WorkloadClass:
    """A class whose requests all have one length."""
    return WorkloadClass(
        name=name,
        requests_per_second=requests_per_second,
        input_tokens=TokenLengths.fixed(input_tokens),
        output_tokens=TokenLengths.fixed(output_tokens),
        target=LatencyTarget(ttft_seconds=1.0, tpot_seconds=0.05),
    )


def row(pool_of: PlannedPool, class_name: str, requests_per_second: float) -> PerformanceRow:
    """What the closed form would say of the pool's configuration."""
    return PerformanceRow(
        configuration=pool_of.configuration.id,
        workload_class=class_name,
        requests_per_second=requests_per_second,
        requests_per_second_low=requests_per_second * 0.8,
        requests_per_second_high=requests_per_second * 1.2,
        ttft_seconds=0.4,
        tpot_seconds=0.03,
        concurrency=8,
        binding=Binding.TPOT,
        evidence=Evidence(layer=EvidenceLayer.CALIBRATED, source="closed form", margin=0.1),
    )


def plan(deployment: str = "chat", *, l4_nodes: int = 2) -> Plan:
    """Two pools, two classes; `chat` is split over both pools."""
    l4, l40s = pool(nodes=l4_nodes), pool("l40s-fp8", "L40S", "1.90", nodes=1)
    classes = (workload_class("chat", 3.0, 1000, 200), workload_class("code", 1.0, 2000, 30))
    return Plan(
        deployment=deployment,
        model="llama-3.1-8b",
        created_at=NOW,
        hetops_version="0.1.0",
        spec_digest="0" * 64,
        workload=Workload(classes=classes, source="two inline classes"),
        pools=(l4, l40s),
        shares=(
            ClassShare(workload_class="chat", pool=l4.name, share=0.6, requests_per_second=1.8),
            ClassShare(workload_class="chat", pool=l40s.name, share=0.4, requests_per_second=1.2),
            ClassShare(workload_class="code", pool=l40s.name, share=1.0, requests_per_second=1.0),
        ),
        forecasts=(
            ClassForecast(
                workload_class="chat",
                ttft_seconds=0.41,
                ttft_seconds_low=0.3,
                ttft_seconds_high=0.8,
                tpot_seconds=0.022,
                tpot_seconds_low=0.018,
                tpot_seconds_high=0.026,
                tokens_per_second=600,
            ),
            ClassForecast(workload_class="code", ttft_seconds=0.35, tpot_seconds=0.02, tokens_per_second=30),
        ),
        performance=(row(l4, "chat", 1.1), row(l40s, "chat", 2.4), row(l40s, "code", 4.0)),
        certificate=Certificate(
            objective=float(l4.usd_per_hour + l40s.usd_per_hour),
            bound=3.49,
            gap=0.0029,
            problem_digest="ab" * 32,
            checks=("demand", "capacity", "availability"),
            solver="HiGHS 1.16.0",
            solve_seconds=0.4,
        ),
        alternatives=(
            Alternative(description="only L40S", usd_per_hour=Decimal("3.80"), difference_share=0.0857),
            Alternative(description="only L4", usd_per_hour=None, difference_share=None),
        ),
        refusals=(
            Refusal(subject="T4", reason="weights of 16.1 GB leave no room for KV in 16 GB", count=12),
        ),
        offers_considered=31,
        configurations_considered=104,
        coverage="list prices of 2026-01-19 to 2026-11-20, plan only",
        warnings=("8 offers have no known stock",),
    )


def certified(of: Plan) -> Plan:
    """The plan with the limits and loads that it is checked against, and sealed: as it stands it keeps them all."""
    loads = {pool.name: 0.0 for pool in of.pools}
    margin = {r.configuration: r.evidence.margin for r in of.performance}
    rates = {(r.configuration, r.workload_class): r.requests_per_second for r in of.performance}
    for share in (s for s in of.loads if s.pool in loads):
        pool = of.pool(share.pool)
        replica = rates[pool.configuration.id, share.workload_class] * (1 - margin[pool.configuration.id])
        loads[share.pool] += share.requests_per_second / replica / pool.replicas
    usd = float(of.counted_usd_per_hour)
    bound = of.certificate.bound * usd / of.certificate.objective
    certificate = replace(
        of.certificate,
        objective=usd,
        bound=bound,
        gap=(usd - bound) / usd,
        limits=PlanLimits(assumed_max_nodes=64),
        utilisation=loads,
    )
    as_read = codec.decode(Plan, codec.encode(replace(of, certificate=certificate)), source="doubles")
    return seal(as_read)


def with_service(of: Plan, name: str = "paygo", usd_per_hour: str = "0.25") -> Plan:
    """The plan with a service that takes the place of the last pool in all shares of it, and stays beside it."""
    last = of.pools[-1].name
    service = Service(
        name=name,
        url=f"https://{name}.example.com/v1",
        api_key_variable=f"{name.upper()}_KEY",
        model="vendor/llama-8b",
        usd_per_million_input_tokens=Decimal("0.10"),
        usd_per_million_output_tokens=Decimal("0.30"),
        requests_per_minute=600,
        ttft_seconds=0.5,
        tpot_seconds=0.02,
        max_context_tokens=8192,
    )
    planned = PlannedService(
        service=service,
        serves=("chat", "code"),
        usd_per_hour=Decimal(usd_per_hour),
        usd_per_hour_at_limits=Decimal("9.36"),
    )
    shares = tuple(replace(s, pool=name) if s.pool == last else s for s in of.shares)
    return replace(of, services=(*of.services, planned), shares=shares)


def renamed(original: Plan, deployment: str) -> Plan:
    """The same plan for another deployment."""
    return replace(original, deployment=deployment)
