"""Options that mean the same everywhere: given before the command or after it, or by an environment variable."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from hetops.reports import page

F = TypeVar("F", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A number within bounds. click's own lets `nan` pass any bounds, and `inf` where there is none above."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; a usage error where it is none."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{found} is not a finite number.", param, ctx)
        return found


class OutputFile(click.Path):
    """A file to write. That it can lie there is seen before the work, which may take minutes."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self.name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; a usage error where it is a folder, or in none."""
        path = Path(str(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"there is no folder {path.parent}.", param, ctx)
        return path


class GlobalOption(click.Option):
    """An option that the group has as well: what stands after the command wins, then what stands before it."""

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """As click's, with the command line of the group before any environment variable."""
        value, source = super().consume_value(ctx, opts)
        above = ctx.parent
        if source is ParameterSource.COMMANDLINE or above is None or self.name not in above.params:
            return value, source
        if above.get_parameter_source(self.name) is ParameterSource.COMMANDLINE:
            return above.params[self.name], ParameterSource.COMMANDLINE
        return value, source


def _option(*names: str, variable: str, **settings: Any) -> Callable[[F], F]:
    return click.option(*names, cls=GlobalOption, envvar=variable, show_envvar=True, **settings)


file_option = _option(
    *("-f", "--file"),
    variable="HETOPS_FILE",
    type=click.Path(path_type=Path),
    help="The spec, unless ./hetops.toml.",
)
output_option = _option(
    *("-o", "--output", "-f", "--file", "file"),
    variable="HETOPS_FILE",
    type=click.Path(path_type=Path),
    help="Where to write it, unless ./hetops.toml.",
)
json_option = _option(
    "--json", "as_json", variable="HETOPS_JSON", is_flag=True, help="Print JSON, errors too."
)
yes_option = _option("-y", "--yes", variable="HETOPS_YES", is_flag=True, help="Do it without asking.")
offline_option = _option(
    "--offline",
    variable="HETOPS_OFFLINE",
    is_flag=True,
    help="Ask no provider: last answers and list prices.",
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Another value for a field of the spec. Repeatable.",
)
time_limit_option = click.option(
    "--time-limit",
    "limit_seconds",
    type=Number(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds after which the best fleet so far is taken, its gap stated.",
)
period_option = click.option(
    "--period",
    default="",
    metavar="NAME",
    help="Which period of the day, where the spec has [policy.day] or PLAN is a hetops.day document.",
)


def _paint(ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """What is printed in this context is coloured as it was asked for; without a word, as the terminal is."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    ctx.color = {"always": True, "never": False}.get(value, False if plain else None)
    return value


color_option = _option(
    "--color",
    variable="HETOPS_COLOR",
    callback=_paint,
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    help="Colour and progress bars; auto: on a terminal only, never with NO_COLOR.",
)
quiet_option = _option(
    "-q", "--quiet", variable="HETOPS_QUIET", is_flag=True, help="No talk: results and errors only."
)
verbose_option = _option("-v", "--verbose", variable="HETOPS_VERBOSE", is_flag=True, help="More talk.")


_GLOBAL = (file_option, json_option, yes_option, offline_option, color_option, quiet_option, verbose_option)


def global_options(function: F) -> F:
    """All global options on the group, in the order of its help."""
    for option in reversed(_GLOBAL):
        function = option(function)
    return function


def with_global_options(command: click.Command) -> click.Command:
    """The command, taking after its name the global options too that mean nothing to it or are the group's work."""
    taken = {spelling for param in command.params for spelling in param.opts}
    for param in click.command()(global_options(lambda: None)).params:
        if isinstance(param, click.Option) and taken.isdisjoint(param.opts):
            param.hidden, param.expose_value, param.callback = True, False, param.callback or _tell_group
            command.params.append(param)
    return command


def _tell_group(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if param.name and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
        ctx.find_root().params[param.name] = value


def say(text: str) -> None:
    """Talk: one line to stderr, unless the user wants quiet."""
    if not click.get_current_context().find_root().params.get("quiet"):
        click.echo(text, err=True)


def show(text: str) -> None:
    """A result for people, folded to their terminal."""
    click.echo(page.folded(text), nl=False)
