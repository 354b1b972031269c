"""`hetops offers`: what can be rented, and what its money buys."""

from __future__ import annotations

import json
import os
import sys
import time
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
@click.option("--gpu", "gpus", multiple=True, metavar="GPU[:COUNT]", help="H100-SXM, H100:8. Repeatable.")
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
    "--max-age",
    "max_age",
    type=options.Number(min=0),
    metavar="SECONDS",
    help="No price from the cache is older.",
)
@click.option(
    "--deadline", type=options.Number(min=0.1), default=10.0, show_default=True, help="Seconds to wait."
)
@click.option(
    "--watch",
    "every",
    type=options.Number(min=0.5),
    metavar="SECONDS",
    help="Again and again: what changed.",
)
@click.option(
    "--record",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Append the cheapest prices to FILE, or to the record among the state.",
)
@click.option("--history", metavar="GPU", help="Ask nobody: draw what GPU cost, by the record.")
@click.option("--csv", "as_csv", is_flag=True, help="The history as comma-separated values.")
@options.json_option
def command(file: Path | None, as_json: bool, **asked: Any) -> None:
    """List what can be rented: GPU types, regions, markets, prices and what they buy.

    With a spec, its providers and rules count, and options stand in for its rules. Without one, every provider that
    is installed is asked, and the clouds' dated list prices are shown for planning.

    --watch asks everybody anew each time, or with --max-age only those whose prices are older, and prints what
    changed. --record keeps the cheapest price of each GPU type, provider and market; --history reads them, from the
    FILE of --record where one is named.
    """
    _refuse_together(asked, as_json)
    question = _question(file, asked)
    if asked["history"]:
        _history(question, asked, as_json)
    elif asked["every"]:
        _watch(question, asked, as_json)
    else:
        _once(question, asked, as_json)


def _refuse_together(asked: dict[str, Any], as_json: bool) -> None:
    if asked["refresh"] and asked["offline"]:
        raise click.UsageError("--refresh asks everybody and --offline nobody: give one of them")
    if asked["refresh"] and asked["max_age"] is not None:
        raise click.UsageError("--refresh asks everybody, whatever --max-age says: give one of them")
    if asked["every"] and (asked["offline"] or asked["history"]):
        raise click.UsageError("--watch asks again and again: leave out --offline and --history")
    if asked["as_csv"] and (as_json or not asked["history"]):
        raise click.UsageError("--csv is a form of --history, in place of --json")


def _once(question: Any, asked: dict[str, Any], as_json: bool) -> None:
    from hetops.app.offers import list_offers

    listing = list_offers(question)
    _record(listing, question, asked)
    _show(listing, asked, as_json)


def _watch(question: Any, asked: dict[str, Any], as_json: bool) -> None:
    """The first look as ever, or with --json everything as new; then what changed, one JSON document a line."""
    from hetops.app.offers import watch
    from hetops.domain import codec

    looks = watch(question, seconds=asked["every"], wait=time.sleep, now=lambda: datetime.now(UTC))
    for number, (listing, changes) in enumerate(looks):
        _record(listing, question, asked)
        if as_json:
            click.echo(json.dumps(codec.to_builtins(changes)))
        else:
            _show_look(number, listing, changes, asked)
        sys.stdout.flush()


def _show_look(number: int, listing: Any, changes: Any, asked: dict[str, Any]) -> None:
    from hetops.reports import offers as report

    if number == 0:
        _show(listing, asked, as_json=False)
    elif changes.count:
        options.show(report.changes_as_text(changes))


def _history(question: Any, asked: dict[str, Any], as_json: bool) -> None:
    from hetops.app.offers import price_history
    from hetops.domain import codec
    from hetops.reports import offers as report

    found = price_history(asked["history"], question, _file(asked))
    if as_json:
        click.echo(json.dumps(codec.to_builtins(found), indent=2))
    elif asked["as_csv"]:
        click.echo(report.history_as_csv(found), nl=False)
    else:
        options.show(report.history_as_text(found))


def _record(listing: Any, question: Any, asked: dict[str, Any]) -> None:
    from hetops.app.offers import record_prices

    if asked["record"] is not None:
        record_prices(listing, question, _file(asked))


def _file(asked: dict[str, Any]) -> Path | None:
    """The record that was named."""
    return Path(asked["record"]) if asked["record"] else None


def _show(listing: Any, asked: dict[str, Any], as_json: bool) -> None:
    from hetops.domain import codec
    from hetops.reports import offers as report

    if as_json:
        click.echo(codec.encode(listing), nl=False)
    elif asked["refused"]:
        options.show(report.refused_as_text(listing))
    elif asked["by_gpu"]:
        options.show(report.by_gpu_as_text(listing))
    else:
        options.show(report.as_text(listing))


def _question(file: Path | None, asked: dict[str, Any]) -> Any:
    from hetops.app.offers import Question
    from hetops.domain.offer import Market
    from hetops.offers.collect import Freshness
    from hetops.offers.rank import Order

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
        max_age_seconds=asked["max_age"],
        deadline_seconds=asked["deadline"],
    )
