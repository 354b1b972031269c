"""Edge: the only user of Pulumi's Automation API. One stack a deployment: previews, changes and removes it.

Decides nothing about the fleet: what is declared comes from `stack.program`, what a run means from `stack.events`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pulumi import automation

from hetops.errors import HetopsError, LockError
from hetops.files import unreadable_own
from hetops.stack import backend_locks, backend_state
from hetops.stack.changes import Changes, Happening, KnownNode, PoolEvent, StackOutputs
from hetops.stack.declaring import Declaring
from hetops.stack.engine_process import EndedBySignalError, EngineProcess, end_orphan, lives
from hetops.stack.events import Preview, Progress, Silence, Tell
from hetops.stack.exported import Exported, from_checkpoint
from hetops.stack.inputs import FleetInputs
from hetops.stack.program import Program
from hetops.stack.render import render
from hetops.stack.workspace import PROJECT, StackPlace, environment, stack_settings, workspace
from hetops.state.home import DeploymentFolder

__all__ = ["FleetStack", "StackPlace", "Tell"]

_SCRATCH = "hetops-preview-"
_SDK_SERVERS = logging.getLogger("grpc._server")


class FleetStack:
    """The stack of one deployment. Whoever changes it holds the deployment's lock."""

    def __init__(self, place: StackPlace, program: Program) -> None:
        _SDK_SERVERS.addFilter(_is_worth_telling)
        self._place = place
        self._program = program
        self._process = EngineProcess(place.engine, environment(place), place.folder.engine)
        self._exported: Exported | None = None

    def outputs(self) -> StackOutputs:
        """What is up; no plan where nothing is.

        Raises:
            HetopsError: the state cannot be read.
        """
        exported = self._export()
        return StackOutputs() if exported is None else exported.outputs

    def known_nodes(self) -> tuple[KnownNode, ...]:
        """The nodes that the state knows.

        Raises:
            HetopsError: the state cannot be read.
        """
        exported = self._export()
        return () if exported is None else exported.nodes

    def preview(self, inputs: FleetInputs) -> Changes:
        """What an `up` would do, drift mended; nothing is changed.

        Raises:
            HetopsError: the plan cannot be declared, or the engine fails.
        """
        self._process.interrupted = False
        self._check(inputs)
        preview, progress = Preview(), Silence()
        declaring = Declaring(inputs, self._program)

        def take(event: automation.EngineEvent) -> None:
            preview.take(event)
            progress.take(event)

        with self._somewhere() as stack, self._errors(progress, declaring):
            stack.preview(program=declaring, on_event=take, color="never", refresh=True)
        return Changes(steps=preview.steps)

    def up(self, inputs: FleetInputs, tell: Tell) -> StackOutputs:
        """Brings the fleet up, or to what `inputs` say: new nodes first, then the routing, then old nodes go.

        Raises:
            ProvisioningError: some resources failed; the others stand and are in the state.
            CancelledError: it was asked to stop.
            LockError: another run holds the stack.
            HetopsError: the plan cannot be declared.
        """
        self._process.interrupted = False
        self._check(inputs)
        self.recover(tell)
        progress, declaring = Progress(tell), Declaring(inputs, self._program)
        stack = self._stack() if self._export() is not None else self._created()
        with self._changing(progress, declaring):
            stack.up(
                program=declaring,
                on_event=progress.take,
                color="never",
                refresh=True,
                show_secrets=False,
                suppress_outputs=True,
                suppress_progress=True,
                continue_on_error=True,
            )
        return self.outputs()

    def down(self, tell: Tell) -> None:
        """Removes every resource, the router first, then the stack.

        Raises:
            ProvisioningError, CancelledError, LockError: as `up`.
        """
        self._process.interrupted = False
        self.recover(tell)
        exported = self._export()
        if exported is None:
            return
        progress = Progress(tell)
        with self._changing(progress):
            stack = self._stack()
            if not exported.is_empty:
                stack.destroy(
                    on_event=progress.take,
                    color="never",
                    show_secrets=False,
                    suppress_outputs=True,
                    suppress_progress=True,
                    continue_on_error=True,
                )
            stack.workspace.remove_stack(stack.name)

    def recover(self, tell: Tell) -> None:
        """Clears up after a killed command: its engine, its lock, a state cut off, the operations that it left open.

        Raises:
            LockError: a process that lives holds the stack.
            HetopsError: the state cannot be mended.
        """
        ended = end_orphan(self._place.folder.engine)
        notes = [ended] if ended else []
        if not self._place.backend:
            # The engine makes this file from the state where it is missing, and refuses one that a kill tore.
            stack_settings(self._place.folder).unlink(missing_ok=True)
            notes += backend_locks.clear_stale(self._place.folder.backend)
            notes += self._mended()
        exported = self._export()
        if exported is not None and exported.has_open_operations:
            with self._changing(Progress(tell)):
                cleaned = exported.without_open_operations().deployment
                self._stack().import_stack(automation.Deployment(version=3, deployment=dict(cleaned)))
            notes.append("a killed command left operations open: its nodes are found by their names")
        for note in notes:
            tell(PoolEvent(what=Happening.NOTE, message=note))

    def cancel(self) -> None:
        """Asks a running operation to stop; called from a signal. Called twice, the engine stops at once."""
        self._process.interrupt()

    def _check(self, inputs: FleetInputs) -> None:
        """Faults of the inputs come out here, before an engine runs."""
        render(inputs, self._program.launcher, python=self._program.python)

    def _export(self) -> Exported | None:
        """The state; None where there is no stack. Read once until something changes."""
        if self._exported is None:
            self._exported = self._ask() if self._place.backend else self._look()
        return self._exported

    def _ask(self) -> Exported | None:
        """The state as the engine gives it, whatever the backend."""
        with self._errors(Silence()):
            try:
                state = self._stack().export_stack()
            except automation.StackNotFoundError:
                return None
        return Exported(deployment=state.deployment or {})

    def _look(self) -> Exported | None:
        """The state as it lies in the deployment's folder: the start of an engine takes longer than all else here."""
        try:
            return from_checkpoint(backend_state.read_state(self._state_file))
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise self._unreadable(fault) from fault
        except (ValueError, KeyError, TypeError):
            return self._ask()  # written by an engine of another version

    def _mended(self) -> list[str]:
        try:
            return backend_state.mend(self._state_file)
        except OSError as fault:
            raise self._unreadable(fault) from fault

    @property
    def _state_file(self) -> Path:
        return backend_state.state_file(self._place.folder.backend, PROJECT, self._place.folder.name)

    def _unreadable(self, fault: OSError) -> HetopsError:
        return unreadable_own(f"the state {self._state_file}", fault)

    def _stack(self) -> automation.Stack:
        folder = self._place.folder.create()
        return automation.Stack.select(folder.name, workspace(folder, self._process))

    def _created(self) -> automation.Stack:
        with self._errors(Silence()):
            folder = self._place.folder.create()
            return automation.Stack.create(folder.name, workspace(folder, self._process))

    @contextlib.contextmanager
    def _somewhere(self) -> Iterator[automation.Stack]:
        """The stack; where there is none, an empty one that is gone afterwards."""
        if self._export() is not None:
            yield self._stack()
            return
        with _scratch() as scratch:
            folder = DeploymentFolder(path=scratch / self._place.folder.name).create()
            place = replace(self._place, folder=folder, backend="")
            process = EngineProcess(place.engine, environment(place), folder.engine)
            self._process, kept = process, self._process
            try:
                with self._errors(Silence()):
                    stack = automation.Stack.create(folder.name, workspace(folder, process))
                yield stack
            finally:
                self._process = kept

    @contextlib.contextmanager
    def _changing(self, progress: Progress, declaring: Declaring | None = None) -> Iterator[None]:
        """As `_errors`; what was read of the state before no longer counts."""
        try:
            with self._errors(progress, declaring):
                yield
        finally:
            self._exported = None

    @contextlib.contextmanager
    def _errors(self, progress: Progress, declaring: Declaring | None = None) -> Iterator[None]:
        """The one seam: whatever the engine or the SDK says becomes an error of ours."""
        try:
            yield
        except (HetopsError, automation.StackNotFoundError):
            raise
        except automation.ConcurrentUpdateError as fault:
            raise LockError(
                f"the stack {self._place.folder.name} is locked by another run",
                details=backend_locks.holders(str(fault)),
                hint="wait for it to finish; if it is dead, run `pulumi cancel` on its backend",
            ) from fault
        except Exception as fault:
            if declaring is not None:
                declaring.close()
            if self._process.interrupted:
                raise progress.stopped() from fault
            if declaring is not None and declaring.fault is not None:
                raise declaring.fault from fault
            if isinstance(fault, EndedBySignalError):
                raise progress.ended(fault.signal) from fault
            raise progress.error(_last_words(fault)) from fault


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    try:
        _sweep(Path(tempfile.gettempdir()))
        folder = tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", ignore_cleanup_errors=True)
    except OSError as fault:
        raise HetopsError(
            f"no temporary folder can be made: {fault.strerror or fault}",
            hint="free some space, or set TMPDIR",
        ) from fault
    with folder as path:
        yield Path(path)


def _sweep(temporary: Path) -> None:
    """Removes the scratch folders of commands that were killed."""
    for folder in temporary.glob(f"{_SCRATCH}*-*"):
        owner = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        if owner.isdigit() and not lives(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _last_words(fault: Exception) -> str:
    """The one line that says most, where no event told what failed."""
    lines = [line.strip() for line in str(fault).splitlines()]
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line]
    return (
        f"the Pulumi engine failed: {(errors or [line for line in lines if line] or ['no reason given'])[-1]}"
    )


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Not that the SDK could not reach an engine that has ended: how it ended is told by events and its exit."""
    return not str(record.msg).startswith("Exception calling application")
