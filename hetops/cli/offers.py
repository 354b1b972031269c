"""`hetops offers`: what can be rented, and what its money buys."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from hetops.cli import options

_MARKETS = ("on_demand", "spot", "reserved", "capacity_block", "token")
_ORDERS = ("node", "gpu", "memory", "compute", "bandwidth")


class _Price(click.ParamType[Decimal]):
    """An amount of money above zero."""

    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """The amount; a usage error where it is none."""
        try:
            price = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is no price", param, ctx)
        if not (price.is_finite() and price > 0):
            self.fail(f"{value!r} is not above zero", param, ctx)
        return price


@click.command("offers")
@options.file_option
@click.option("--provider", "providers", multiple=True, metavar="NAME", help="Ask this provider. Repeatable.")
@click.option("--gpu", "gpus", multiple=True, metavar="GPU[:COUNT]", help="H100-SXM, H100-SXM:8. Repeatable.")
@click.option("--region", "regions", multiple=True, metavar="PATTERN", help="us-*, eu-west-1. Repeatable.")
@click.option("--market", "markets", multiple=True, type=click.Choice(_MARKETS), help="Repeatable.")
@click.option("--max-price", "max_price", type=_Price(), help="USD per GPU and hour at most.")
@click.option(
    "--sort", "order", type=click.Choice(_ORDERS), default="gpu", show_default=True, help="By which price."
)
@click.option("--by-gpu", is_flag=True, help="One line for each GPU type.")
@click.option("--refused", is_flag=True, help="Show what was refused, and why.")
@click.option("--refresh", is_flag=True, help="Ask every provider, whatever is still fresh.")
@options.offline_option
@click.option(
    "--deadline", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Seconds to wait."
)
@options.json_option
def command(file: Path | None, by_gpu: bool, refused: bool, as_json: bool, **asked: Any) -> None:
    """List what can be rented: GPU types, regions, markets, prices and what they buy.

    With a spec, its providers and rules count, and options stand in for its rules. Without one, every provider that
    is installed is asked, and the clouds' dated list prices are shown for planning.
    """
    from hetops.app.offers import list_offers
    from hetops.reports import offers as report

    listing = list_offers(_question(file, asked))
    if as_json:
        click.echo(json.dumps(report.as_json(listing), indent=2))
    elif refused:
        click.echo(report.refused_as_text(listing), nl=False)
    elif by_gpu:
        click.echo(report.by_gpu_as_text(listing), nl=False)
    else:
        click.echo(report.as_text(listing), nl=False)


def _question(file: Path | None, asked: dict[str, Any]) -> Any:
    from hetops.app.offers import Question
    from hetops.domain.offer import Market
    from hetops.offers.collect import Freshness
    from hetops.offers.rank import Order

    if asked["refresh"] and asked["offline"]:
        raise click.UsageError("--refresh asks everybody and --offline nobody: give one of them")
    freshness = Freshness.ASKED if asked["refresh"] else Freshness.CACHED
    return Question(
        file=file,
        folder=Path.cwd(),
        environment=os.environ,
        now=datetime.now(UTC),
        providers=asked["providers"],
        gpus=asked["gpus"],
        regions=asked["regions"],
        markets=tuple(Market(name) for name in asked["markets"]),
        max_usd_per_gpu_hour=asked["max_price"],
        order=Order(asked["order"]),
        freshness=Freshness.OFFLINE if asked["offline"] else freshness,
        deadline_seconds=asked["deadline"],
    )
