"""Problems that the solver is measured on: the grids of two papers, with rates of the performance model.

Prices, stocks, mixes and budgets of the paper grid are those printed in arXiv:2502.00722, tables 1, 4 and 5. The paper
publishes no table of rates, so rates are the closed form's for the same GPUs (16-bit weights, vLLM, no latency target,
no margin), one GPU type a replica: throughputs and gains can be compared among the answers here, not with those in the paper.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from hetops.catalog import tables
from hetops.catalog.tables import Catalog
from hetops.configurations.engines import BUILT_IN
from hetops.configurations.enumerate import Rules, Space, enumerate_configurations
from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance.foundations import Basis
from hetops.performance.memory import fit
from hetops.performance.table import PerformanceTable, build
from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem, QuotaGroup

GPUS = {
    "RTX4090": "0.53",
    "A40": "0.55",
    "A6000": "0.83",
    "L40": "0.83",
    "A100-80GB-SXM": "1.75",
    "H100-SXM": "2.99",
}
"""USD per GPU hour: table 1."""
STOCKS = tuple(
    dict(zip(GPUS, counts, strict=True))
    for counts in (
        (16, 12, 8, 12, 6, 8),
        (32, 8, 16, 16, 7, 12),
        (32, 16, 8, 8, 32, 8),
        (24, 24, 24, 16, 4, 8),
    )
)
"""GPUs to be had of each type: table 4."""
LENGTHS = tuple((i, o) for i in (2455, 496, 824) for o in (18, 253, 510))
"""Input and output tokens of the nine workload types, in the order of table 5."""
MIXES = {
    "trace 1": (33, 7, 8, 7, 27, 6, 6, 3, 3),
    "trace 2": (22, 5, 5, 21, 5, 5, 19, 6, 12),
    "trace 3": (4, 1, 4, 3, 20, 27, 1, 25, 15),
}
"""Per cent of the requests that each workload type has: table 5."""
BUDGETS = (15, 30, 60)
MODELS: Mapping[str, Mapping[str, float]] = {
    "70B": {"llama-3.1-70b": 1.0},
    "8B": {"llama-3.1-8b": 1.0},
    "80/20": {"llama-3.1-8b": 0.8, "llama-3.1-70b": 0.2},
}
"""Share of the requests that each model gets. Llama 3.1 has the shape of the paper's Llama 3, and known checkpoints of
several precisions."""
NODE_GPUS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A model's configurations on some GPU types, and their rates."""

    model: Model
    configurations: tuple[Configuration, ...]
    table: PerformanceTable


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperCell:
    """A place in the paper grid; `stock` is an entry of `STOCKS`."""

    models: str
    trace: str
    budget: int
    stock: int

    def __str__(self) -> str:
        return f"{self.models}, {self.trace}, ${self.budget}, availability {self.stock + 1}"


PAPER_GRID = tuple(
    PaperCell(models=models, trace=trace, budget=budget, stock=stock)
    for models, trace, budget, stock in itertools.product(MODELS, MIXES, BUDGETS, range(len(STOCKS)))
)
"""All 108 cells."""


def paper_problem(
    cell: PaperCell, *, precisions: Sequence[Precision] = (Precision.BF16,), gap: float = 1e-4
) -> Problem:
    """Replicas of one GPU type, GPUs rented one by one and shared by a quota of the type; most throughput."""
    stock = STOCKS[cell.stock]
    rated = [(paper_rates(name, tuple(precisions)), share) for name, share in MODELS[cell.models].items()]
    offers = tuple(_gpus_together(stock))
    return Problem(
        mode=Mode.MAX_THROUGHPUT,
        offers=offers,
        quota_groups=tuple(QuotaGroup(id=gpu, limit=Decimal(n), unit="GPUs") for gpu, n in stock.items()),
        configurations=tuple(c.id for r, _ in rated for c in r.configurations),
        classes=tuple(
            Demand(name=f"{r.model.name} {_name(*lengths)}", requests_per_second=share * percent)
            for r, share in rated
            for lengths, percent in zip(LENGTHS, MIXES[cell.trace], strict=True)
        ),
        columns=tuple(column for r, _ in rated for column in whole_node_columns(r, offers)),
        budget_usd_per_hour=Decimal(cell.budget),
        gap=gap,
    )


def _gpus_together(stock: Mapping[str, int]) -> Iterator[PricedOffer]:
    """Any number of GPUs that a replica can have, as a node."""
    for gpu, gpus in itertools.product(GPUS, (1, 2, 4, 8)):
        if gpus <= stock[gpu]:
            yield PricedOffer(
                id=f"{gpu}x{gpus}",
                usd_per_hour=Decimal(GPUS[gpu]) * gpus,
                max_nodes=stock[gpu] // gpus,
                quota_per_node={gpu: Decimal(gpus)},
                gpu=gpu,
                gpu_count=gpus,
            )


def whole_node_columns(rated: Rated, offers: Sequence[PricedOffer]) -> Iterator[Column]:
    """Every configuration that takes a node's GPUs, all of them."""
    names = sorted({row.workload_class for row in rated.table.rows.values()})
    for offer, one in itertools.product(offers, rated.configurations):
        if (one.gpu, one.gpu_count) != (offer.gpu, offer.gpu_count):
            continue
        rates = {
            f"{rated.model.name} {name}": rated.table.row(one.id, name).requests_per_second for name in names
        }
        yield Column(
            offer=offer.id,
            configuration=one.id,
            requests_per_second={name: rate for name, rate in rates.items() if rate > 0},
        )


@cache
def paper_rates(model: str, precisions: tuple[Precision, ...]) -> Rated:
    """Rates of the nine workload types on the paper's GPUs."""
    classes = [
        WorkloadClass(
            name=_name(i, o),
            requests_per_second=1.0,
            input_tokens=TokenLengths.fixed(i),
            output_tokens=TokenLengths.fixed(o),
            target=LatencyTarget(),
        )
        for i, o in LENGTHS
    ]
    return rates(model, tuple(GPUS), classes, precisions=precisions)


def rates(
    model_name: str, gpus: Sequence[str], classes: Sequence[WorkloadClass], *, precisions: Sequence[Precision]
) -> Rated:
    """Every configuration of a model that vLLM runs on nodes of up to eight of these GPUs, and its rates."""
    data = catalog()
    model = data.model(model_name)
    known = {gpu: data.gpu(gpu) for gpu in gpus}

    def reason(configuration: Configuration, gpu: GpuType) -> str:
        return fit(configuration, model, gpu).reason

    space = Space(
        model=model,
        checkpoints=data.checkpoints_of(model_name),
        engines={"vllm": BUILT_IN["vllm"]},
        gpus=known,
        largest_node=dict.fromkeys(gpus, NODE_GPUS),
    )
    longest = max(c.input_tokens.p99 + c.output_tokens.p99 for c in classes)
    rules = Rules(precisions=tuple(precisions), max_context_tokens=256 * (int(longest) // 256 + 1))
    found = enumerate_configurations(space, rules, reason).configurations
    return Rated(
        model=model, configurations=found, table=build(found, classes, Basis(model=model, gpus=known))
    )


def _name(input_tokens: int, output_tokens: int) -> str:
    return f"{input_tokens}/{output_tokens}"


@cache
def catalog() -> Catalog:
    """The data that ships."""
    return tables.load()
