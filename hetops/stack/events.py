"""The Pulumi engine's events in our words: steps of a preview, progress of a run, what failed and why.

Takes events and tells; decides nothing about what follows. Noise of the engine is left out here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pulumi.automation import EngineEvent, OpType

from hetops.errors import CancelledError, ErrorKind, HetopsError, ProvisioningError
from hetops.stack.changes import Happening, PoolEvent, Step, StepKind
from hetops.stack.exported import OWN_TYPES, name_of, pool_of, type_of

Tell = Callable[[PoolEvent], None]
"""Takes what happens, one event at a time, from a thread of its own."""

_KINDS = {
    OpType.SAME: StepKind.SAME,
    OpType.CREATE: StepKind.CREATE,
    OpType.IMPORT: StepKind.CREATE,
    OpType.UPDATE: StepKind.UPDATE,
    OpType.REPLACE: StepKind.REPLACE,
    OpType.DELETE: StepKind.DELETE,
}
_PARTS = frozenset(
    {
        *(OpType.READ, OpType.REFRESH, OpType.DISCARD, OpType.READ_REPLACEMENT, OpType.DISCARD_REPLACED),
        *(OpType.CREATE_REPLACEMENT, OpType.DELETE_REPLACED, OpType.REMOVE_PENDING_REPLACE),
        OpType.IMPORT_REPLACEMENT,
    }
)
"""What changes nothing by itself, or is a part of a replacement, which has an event of its own."""

_BEGINNINGS = {
    OpType.CREATE: Happening.CREATING,
    OpType.CREATE_REPLACEMENT: Happening.CREATING,
    OpType.UPDATE: Happening.UPDATING,
    OpType.DELETE: Happening.DELETING,
    OpType.DELETE_REPLACED: Happening.DELETING,
}

_NOISE = re.compile(
    r"using pulumi-resource-\S+ from \$PATH|pending operations|^update failed$|^preview failed$"
)
_WRAPPING = re.compile(
    r"^(?:hetops:index:\w+ resource '[^']*' has a problem: )?"
    r"(?:(?:creating|updating|deleting|reading|refreshing) urn:\S+: )?(?:\d+ error occurred:\s*\*\s*)?"
)
_COLOUR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")
_HINT = "try: "
_KIND = "kind: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong with one resource, or, without a node, with the whole run."""

    pool: str
    node: str
    lines: tuple[str, ...]
    kind: ErrorKind | None = None
    """What a provider's failure means; None where nobody said."""

    @property
    def told(self) -> tuple[str, ...]:
        """What happened, without what to do about it."""
        return tuple(line for line in self.lines if not line.startswith(_HINT))

    @property
    def hint(self) -> str:
        """What to do next, empty where nobody knows."""
        return next((line.removeprefix(_HINT) for line in self.lines if line.startswith(_HINT)), "")

    @property
    def headline(self) -> str:
        """Its first line, with the node's name."""
        named = not self.node or self.node in self.lines[0]
        return self.lines[0] if named else f"{self.node}: {self.lines[0]}"


class Preview:
    """Collects the steps of a preview, one a resource."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}

    def take(self, event: EngineEvent) -> None:
        """To be called for each event."""
        if event.resource_pre_event is None:
            return
        step = event.resource_pre_event.metadata
        if step.op in _PARTS or not step.type.startswith(OWN_TYPES) or not _is_custom(step):
            return
        kind = _KINDS.get(step.op, StepKind.UPDATE)
        name = name_of(step.urn)
        self._steps[step.urn] = Step(kind=kind, resource_type=step.type, name=name, pool=_pool(step))

    @property
    def steps(self) -> tuple[Step, ...]:
        """In the order in which the engine came to them."""
        return tuple(self._steps.values())


class Progress:
    """Tells what happens during a run, and remembers what failed."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._pools: dict[str, str] = {}
        self.failures: list[Failure] = []

    def take(self, event: EngineEvent) -> None:
        """To be called for each event."""
        if event.resource_pre_event is not None:
            self._begin(event.resource_pre_event.metadata)
        elif event.res_outputs_event is not None:
            self._end(event.res_outputs_event.metadata)
        elif event.diagnostic_event is not None:
            self._diagnose(event.diagnostic_event)

    def stopped(self) -> CancelledError:
        """What a run that was asked to stop comes to."""
        return CancelledError(
            "stopped; what was done is in the state", hint="run up to go on, or down to remove it"
        )

    def ended(self, signal: str) -> HetopsError:
        """What a run comes to whose engine something else ended, with what had failed before."""
        return ProvisioningError(
            _ended_by(signal),
            details=(
                "nothing is lost: every node that was begun is in the state or on record, and is found by its name",
                *(f"before that: {f.headline}" for f in self.failures),
            ),
            hint=_AGAIN,
        )

    def error(self, otherwise: str) -> HetopsError:
        """All failures as one error; `otherwise` is what is known where the engine told none."""
        # A program that fails after a resource did fails because of it, and says it in the engine's words.
        failures = [f for f in self.failures if f.node] or self.failures
        if not failures:
            return ProvisioningError(otherwise, hint=_AGAIN)
        first, *others = failures
        capacity_alone = all(f.kind is ErrorKind.CAPACITY for f in failures)
        return ProvisioningError(
            first.headline,
            details=(*first.told[1:], *(f"also: {f.headline}" for f in others)),
            hint=first.hint or _AGAIN,
            short_of=dict.fromkeys(f.pool for f in failures) if capacity_alone else (),
        )

    def _begin(self, step: Any) -> None:
        if not step.type.startswith(OWN_TYPES) or not _is_custom(step):
            return
        self._pools[step.urn] = _pool(step)
        if step.op in _BEGINNINGS:
            self._say(_BEGINNINGS[step.op], step.urn)

    def _end(self, step: Any) -> None:
        if step.op in _BEGINNINGS and step.urn in self._pools:
            self._say(Happening.DONE, step.urn)

    def _diagnose(self, told: Any) -> None:
        text = _COLOUR.sub("", told.message).strip()
        if not text or told.ephemeral or told.severity == "debug" or _NOISE.search(text):
            return
        if told.severity != "error":
            self._tell(PoolEvent(what=Happening.NOTE, message=text))
            return
        lines = [line for line in _WRAPPING.sub("", text).splitlines() if line.strip()]
        kind = _kind(lines[-1]) if lines else None
        lines = (lines if kind is None else lines[:-1]) or ["no reason given"]
        urn = told.urn if told.urn in self._pools else ""
        failure = Failure(
            pool=self._pools.get(urn, ""), node=name_of(urn) if urn else "", lines=tuple(lines), kind=kind
        )
        self.failures.append(failure)
        if urn:
            self._say(Happening.FAILED, urn, "\n".join(failure.told))

    def _say(self, what: Happening, urn: str, message: str = "") -> None:
        self._tell(PoolEvent(what=what, pool=self._pools[urn], node=name_of(urn), message=message))


class Silence(Progress):
    """Tells nobody: a run that changes nothing, whose failure leaves nothing to go on with."""

    def __init__(self) -> None:
        super().__init__(_to_nobody)

    def stopped(self) -> CancelledError:
        """As `Progress.stopped`: there is nothing to go on with."""
        return CancelledError("stopped; nothing was changed")

    def ended(self, signal: str) -> HetopsError:
        """As `Progress.ended`: there is nothing to go on with."""
        return HetopsError(
            _ended_by(signal), details=("nothing was changed",), hint="run the same command again"
        )

    def error(self, otherwise: str) -> HetopsError:
        """As `Progress.error`, and no failure of provisioning."""
        fault = super().error(otherwise)
        return HetopsError(
            fault.message, details=fault.details, hint="" if fault.hint == _AGAIN else fault.hint
        )


def _ended_by(signal: str) -> str:
    """The kernel's own reason for SIGKILL is the one that nobody sees otherwise."""
    perhaps = ", by somebody or for want of memory" if signal == "SIGKILL" else ""
    return f"the Pulumi engine was ended by {signal}{perhaps}"


def _to_nobody(event: PoolEvent) -> None:
    del event


def _kind(line: str) -> ErrorKind | None:
    """What the last line of a failure says that it means (`node_provider.servicer`)."""
    name = line.strip().removeprefix(_KIND)
    return ErrorKind(name) if line.strip().startswith(_KIND) and name in set(ErrorKind) else None


_AGAIN = "run the same command again: it goes on from here"


def _pool(step: Any) -> str:
    return pool_of((step.new or step.old).parent)


def _is_custom(step: Any) -> bool:
    return bool((step.new or step.old).custom) and bool(type_of(step.urn))
