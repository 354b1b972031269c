"""The engine's events in our words, from events as the engine sends them."""

from __future__ import annotations

from typing import Any

from pulumi.automation import EngineEvent

from hetops.errors import HetopsError, ProvisioningError
from hetops.stack.changes import Happening, PoolEvent, Step, StepKind
from hetops.stack.events import Preview, Progress, Silence

POOL = "urn:pulumi:chat::hetops::hetops:index:Pool::a"
NODE = "urn:pulumi:chat::hetops::hetops:index:Pool$hetops:index:Node::a-0"
OTHER = NODE.replace("a-0", "a-1")


def step(op: str, urn: str = NODE, kind: str = "resourcePreEvent", **state: Any) -> EngineEvent:
    type_ = urn.split("::")[2].rsplit("$", maxsplit=1)[-1]
    new = {"type": type_, "urn": urn, "custom": True, "parent": POOL, **state}
    return EngineEvent.from_json({kind: {"metadata": {"op": op, "urn": urn, "type": type_, "new": new}}})


def said(message: str, severity: str = "error", urn: str = NODE, **fields: Any) -> EngineEvent:
    told = {"message": message, "severity": severity, "urn": urn, "color": "raw", **fields}
    return EngineEvent.from_json({"diagnosticEvent": told})


def previewed(*events: EngineEvent) -> list[Step]:
    preview = Preview()
    for event in events:
        preview.take(event)
    return list(preview.steps)


def progress(*events: EngineEvent) -> tuple[Progress, list[PoolEvent]]:
    told: list[PoolEvent] = []
    made = Progress(told.append)
    for event in events:
        made.take(event)
    return made, told


def test_a_replacement_is_one_step_though_the_engine_tells_three() -> None:
    (only,) = previewed(step("create-replacement"), step("replace"), step("delete-replaced"))
    assert only == Step(kind=StepKind.REPLACE, resource_type="hetops:index:Node", name="a-0", pool="a")


def test_an_engine_that_a_signal_ended_says_which_that_nothing_is_lost_and_what_to_run() -> None:
    made, _ = progress(step("create"), said("creating urn:x: no room left"))
    fault = made.ended("SIGKILL")
    assert isinstance(fault, ProvisioningError)
    assert fault.message == "the Pulumi engine was ended by SIGKILL, by somebody or for want of memory"
    assert fault.details[0].startswith("nothing is lost: ")
    assert fault.details[1:] == ("before that: a-0: no room left",)
    assert fault.hint == "run the same command again: it goes on from here"
    assert fault.short_of == ()


def test_of_a_preview_that_a_signal_ended_nothing_was_changed() -> None:
    fault = Silence().ended("SIGTERM")
    assert type(fault) is HetopsError
    assert fault.message == "the Pulumi engine was ended by SIGTERM"
    assert fault.details == ("nothing was changed",)


def test_components_providers_and_the_stack_itself_are_no_steps() -> None:
    stack = "urn:pulumi:chat::hetops::pulumi:pulumi:Stack::hetops-chat"
    provider = "urn:pulumi:chat::hetops::pulumi:providers:hetops::default"
    assert (
        previewed(step("create", stack), step("create", provider), step("create", POOL, custom=False)) == []
    )


def test_a_refresh_before_the_preview_is_no_step_and_what_follows_counts() -> None:
    assert [s.kind for s in previewed(step("refresh"), step("same"))] == [StepKind.SAME]
    assert [s.kind for s in previewed(step("refresh"), step("create"))] == [StepKind.CREATE]


def test_progress_tells_beginning_and_end_of_each_node() -> None:
    _, told = progress(
        step("create"),
        step("create", kind="resOutputsEvent"),
        step("same", OTHER),
        step("same", OTHER, kind="resOutputsEvent"),
        step("delete-replaced", OTHER),
        step("delete-replaced", OTHER, kind="resOutputsEvent"),
    )
    assert [(e.what, e.node) for e in told] == [
        (Happening.CREATING, "a-0"),
        (Happening.DONE, "a-0"),
        (Happening.DELETING, "a-1"),
        (Happening.DONE, "a-1"),
    ]
    assert {e.pool for e in told} == {"a"}


def test_a_failure_is_told_without_the_engines_wrapping() -> None:
    made, told = progress(
        step("create"),
        said(
            "creating urn:pulumi:chat::x::y::a-0: 1 error occurred:\n\t* no room\nin r1\ntry: r2\nkind: capacity\n"
        ),
    )
    assert told[-1] == PoolEvent(what=Happening.FAILED, pool="a", node="a-0", message="no room\nin r1")
    fault = made.error("unknown")
    assert (fault.message, fault.details, fault.hint) == ("a-0: no room", ("in r1",), "r2")
    assert fault.short_of == ("a",)


def test_a_fault_in_the_inputs_is_told_by_its_reason_alone() -> None:
    made, _ = progress(
        step("create"),
        said("hetops:index:Node resource 'a-0' has a problem: request: Expected `int`, got `str`"),
    )
    assert made.error("").message == "a-0: request: Expected `int`, got `str`"


def test_pools_are_short_only_where_capacity_alone_stopped_it() -> None:
    made, _ = progress(
        step("create"),
        step("create", OTHER),
        said("a-0 has no room\nkind: capacity"),
        said("a-1 died", urn=OTHER),
    )
    fault = made.error("")
    assert fault.short_of == ()
    assert (fault.message, fault.details) == ("a-0 has no room", ("also: a-1 died",))


def test_what_the_program_says_after_a_resource_failed_is_left_out() -> None:
    made, _ = progress(
        step("create"),
        said("a-0 died"),
        said("python inline source runtime error: resource a-0 failed to register", urn=""),
    )
    assert (made.error("").message, made.error("").details) == ("a-0 died", ())


def test_a_failure_of_nobody_is_told_where_nothing_else_failed() -> None:
    made, _ = progress(said("the backend is read-only", urn=""))
    assert made.error("unknown").message == "the backend is read-only"
    nothing, _ = progress()
    assert nothing.error("the engine ended").message == "the engine ended"


def test_the_engines_own_noise_is_not_told() -> None:
    made, told = progress(
        said("using pulumi-resource-hetops from $PATH at /venv/bin/pulumi-resource-hetops", "warning", ""),
        said("Attempting to deploy or update resources with 3 pending operations from ...", "warning", ""),
        said("update failed", "error", ""),
        said("looking around", "debug"),
        said("almost there", "info", ephemeral=True),
        said("  \n", "info"),
    )
    assert (told, made.failures) == ([], [])


def test_other_warnings_are_notes() -> None:
    _, told = progress(said("<{%fg 3%}>the token expires tomorrow<{%reset%}>\n", "warning", ""))
    assert told == [PoolEvent(what=Happening.NOTE, message="the token expires tomorrow")]


def test_a_failure_without_a_word_is_a_failure() -> None:
    made, _ = progress(step("create"), said("kind: capacity"))
    assert made.error("").message == "a-0: no reason given"


def test_a_preview_that_fails_is_no_failure_of_provisioning() -> None:
    silence = Silence()
    for event in (step("create"), said("a-0 has no room\ntry: another region\nkind: capacity")):
        silence.take(event)
    fault = silence.error("")
    assert (type(fault), fault.message, fault.hint) == (HetopsError, "a-0 has no room", "another region")
    assert Silence().error("the engine ended").hint == "", "there is nothing to go on with"
