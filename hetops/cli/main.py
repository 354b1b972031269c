"""The command line: finds the command, prints errors, sets the exit code. Knows no command's work.

Exit codes: the errors' own (`hetops.errors`), 64 for a wrong command line, 8 for a cancelled one, 141 where nobody reads
what is printed. With `--json` an error is a JSON document on stdout as well, so that what reads it always finds one.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NoReturn

import click

from hetops import __version__
from hetops.cli import options
from hetops.errors import CancelledError, ErrorDocument, HetopsError, UsageError, nearest
from hetops.reports import page

COMMANDS: Mapping[str, str] = {
    "init": "Write a commented hetops.toml.",
    "doctor": "Look at everything that hetops stands on.",
    "schema": "Print the JSON Schema of a format.",
    "plugins": "List plugins and what they bring.",
    "offers": "List what can be rented.",
    "bench": "Measure configurations of the local engine.",
    "estimate": "Say what a configuration does under a load, and why.",
    "calibrate": "Fit the performance model to measurements, or score it.",
    "plan": "Find the cheapest fleet that meets the targets.",
    "solve": "Solve an explicit problem file.",
    "explain": "Say why a plan is what it is.",
    "frontier": "Show what looser targets, less headroom or more money are worth.",
    "diff": "Show what an up would change.",
    "up": "Bring the fleet up, or to what the spec says now.",
    "status": "Hold what runs against the plan.",
    "simulate": "Play a trace through a plan's pools in virtual time, with faults.",
    "replay": "Send a slice of the trace through the router, held against the plan.",
    "route": "Run a router.",
    "down": "Remove a deployment.",
}
"""Every command with its line in the help; module `hetops.cli.NAME` has it as `command`. Read before any is loaded."""

READER_GONE = 141
"""As of a process that SIGPIPE ended."""

_NARROWEST = 40
"""Terminals that tell fewer columns tell none."""

_OFF = frozenset({"", "0", "f", "false", "n", "no", "off"})
"""What click takes for no in an environment variable."""


class _Commands(click.Group):
    """Loads a command when it is called, never for the help of all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"hetops.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return options.with_global_options(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = nearest(name, COMMANDS, most=1)
            hint = f"did you mean {near[0]!r}?" if near else "hetops --help lists them"
            raise UsageError(f"no such command {name!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hetops")
@options.global_options
def hetops(**_options: Any) -> None:
    """Find, provision and route the cheapest mixed fleet of GPUs that serves an LLM within its latency targets.

    stdout is data, stderr is talk. Options stand before or after the command.
    """


def main() -> NoReturn:
    """The console script: runs the command named in `sys.argv` and ends the process with its exit code."""
    signal.signal(signal.SIGTERM, _cancel)
    if (
        hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    ):  # nohup ignores it
        signal.signal(signal.SIGHUP, _hang_up)
    _open_streams()
    _know_the_page()
    code = _run(sys.argv[1:])
    _end(code)


def _open_streams() -> None:
    """Streams that were closed by who started us lead nowhere: a file opened later must not take their numbers."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open as long as we are
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _know_the_page() -> None:
    """Tables fold to fit a terminal; in a file or a pipe every row is one line."""
    columns = shutil.get_terminal_size(fallback=(0, 0)).columns if sys.stdout.isatty() else 0
    if columns >= _NARROWEST:
        page.WIDTH.set(columns)


def _cancel(number: int, frame: object) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _hang_up(number: int, frame: object) -> NoReturn:
    """The terminal is gone: what is still to be said has nobody to read it, and must not stop an orderly end."""
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):  # isatty says no once it is gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    _cancel(number, frame)


def _run(arguments: list[str]) -> int:
    try:
        code = hetops.main(arguments, prog_name="hetops", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as fault:
        click.echo(fault.format_message(), err=True)
        return UsageError.exit_code
    except (
        BrokenPipeError,
        SystemExit,
    ):  # click's own answer to a broken pipe is to exit; no command of ours does
        return READER_GONE
    except (Exception, KeyboardInterrupt) as fault:
        return _tell(_as_ours(fault, arguments), arguments)
    return code if isinstance(code, int) else 0


def _as_ours(fault: BaseException, arguments: list[str]) -> HetopsError:
    """Whatever ended the command, in our words. What nobody foresaw is called a bug."""
    if isinstance(fault, HetopsError):
        return fault
    if isinstance(fault, click.ClickException):
        command = next((f"{a} " for a in arguments if a in COMMANDS), "")
        return UsageError(fault.format_message().rstrip("."), hint=f"hetops {command}--help")
    if isinstance(fault, click.Abort | KeyboardInterrupt):
        return CancelledError("cancelled")
    if isinstance(fault, OSError):
        where = fault.filename or ("stdout" if fault.errno in (errno.ENOSPC, errno.EIO) else "")
        return HetopsError(f"{where}: " * bool(where) + (fault.strerror or str(fault)))
    if os.environ.get("HETOPS_TRACEBACK"):
        raise fault
    return HetopsError(
        f"hetops failed in a way that it should not: {type(fault).__name__}: {fault}",
        hint="this is a bug: run it again with HETOPS_TRACEBACK=1 and report what it prints",
    )


def _tell(fault: HetopsError, arguments: list[str]) -> int:
    """The error for people on stderr and, where JSON was asked for, as a document on stdout."""
    lines = (f"Error: {fault.message}", *(f"  {d}" for d in fault.details), *_try(fault))
    with contextlib.suppress(OSError):
        click.echo("\n".join(lines), err=True)
    if "--json" in arguments or os.environ.get("HETOPS_JSON", "").lower() not in _OFF:
        with contextlib.suppress(OSError):
            click.echo(json.dumps(_document(fault), indent=2))
    return fault.exit_code


def _try(fault: HetopsError) -> tuple[str, ...]:
    return (f"  try: {fault.hint}",) if fault.hint else ()


def _document(fault: HetopsError) -> dict[str, Any]:
    kind = ErrorDocument
    return {"format": kind.FORMAT, "format_version": kind.FORMAT_VERSION, **asdict(kind.of(fault))}


def _end(code: int) -> NoReturn:
    """Ends the process; what cannot be printed any more is dropped without a word."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or READER_GONE
    if code == CancelledError.exit_code or any(thread.daemon for thread in threading.enumerate()):
        # A solver's threads may still be at work, and C++ aborts a process that ends under them.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
