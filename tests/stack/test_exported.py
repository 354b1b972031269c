"""A stack's state as the engine exports it or the file backend keeps it: pure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hetops.domain import codec
from hetops.errors import DocumentError
from hetops.stack.changes import KnownNode, PoolOutputs, StackOutputs
from hetops.stack.exported import Exported, from_checkpoint, name_of, pool_of, type_of
from tests.doubles.plans import plan

STACK = "urn:pulumi:chat::hetops::pulumi:pulumi:Stack::hetops-chat"
POOL = "urn:pulumi:chat::hetops::hetops:index:Pool::l4-fp8"
NODE = "urn:pulumi:chat::hetops::hetops:index:Pool$hetops:index:Node::l4-fp8-0"


def node(**fields: Any) -> dict[str, Any]:
    return {
        "urn": NODE,
        "type": "hetops:index:Node",
        "custom": True,
        "id": "i-1",
        "inputs": {"provider": "local", "request": {"pool": "l4-fp8"}},
        "outputs": {"name": "chat-l4-fp8-0-aaaaaa", "state": "running", "endpoints": ["http://h:1"]},
        **fields,
    }


def stack(**outputs: Any) -> dict[str, Any]:
    return {"urn": STACK, "type": "pulumi:pulumi:Stack", "custom": False, "outputs": outputs}


def exported(*resources: dict[str, Any], **rest: Any) -> Exported:
    return Exported(deployment={"resources": list(resources), **rest})


def test_nodes_are_known_by_id_name_pool_and_logical_name() -> None:
    assert exported(stack(), node()).nodes == (
        KnownNode(
            id="i-1",
            name="chat-l4-fp8-0-aaaaaa",
            provider="local",
            pool="l4-fp8",
            logical_name="l4-fp8-0",
            state="running",
            endpoints=("http://h:1",),
        ),
    )


def test_a_node_that_waits_to_be_deleted_is_known_too() -> None:
    both = exported(node(), node(id="i-0", delete=True))
    assert [n.id for n in both.nodes] == ["i-1", "i-0"], "else it would be taken for a stray"


def test_outputs_are_what_the_program_exported() -> None:
    pools = {"l4-fp8": {"nodes": ["a", "b"], "endpoints": ["http://h:1", "http://h:2"]}}
    text = codec.encode(plan()).decode()
    given = exported(stack(pools=pools, router_url="http://r", plan=text)).outputs
    assert given == StackOutputs(
        pools={"l4-fp8": PoolOutputs(nodes=("a", "b"), endpoints=("http://h:1", "http://h:2"))},
        router_url="http://r",
        plan=plan(),
    )


@pytest.mark.parametrize("resources", [(), (stack(),), (stack(pools={}), node())])
def test_without_a_plan_among_the_outputs_nothing_is_up(resources: tuple[dict[str, Any], ...]) -> None:
    assert exported(*resources).outputs == StackOutputs()


def test_a_plan_of_another_version_is_named() -> None:
    text = codec.encode(plan()).decode().replace('"format_version": "1.', '"format_version": "9.', 1)
    with pytest.raises(DocumentError, match="the plan in the stack's outputs"):
        _ = exported(stack(plan=text)).outputs


def test_components_alone_are_something_to_destroy() -> None:
    assert exported().is_empty
    assert not exported(stack()).is_empty


def test_open_operations_of_our_resources_are_dropped_and_those_of_others_stay() -> None:
    ours = {"type": "creating", "resource": {"urn": NODE, "type": "hetops:index:Node"}}
    others = {"type": "creating", "resource": {"urn": "u", "type": "aws:ec2/instance:Instance"}}
    left = exported(node(), pending_operations=[ours, others])
    assert left.has_open_operations
    assert left.without_open_operations().deployment["pending_operations"] == [others]
    assert left.without_open_operations().nodes == left.nodes
    assert not exported(pending_operations=[others]).has_open_operations
    assert not exported(pending_operations=None).has_open_operations


def test_the_file_backends_checkpoint_holds_the_same_deployment() -> None:
    held = {"version": 3, "checkpoint": {"stack": "chat", "latest": {"resources": [node()]}}}
    assert from_checkpoint(json.dumps(held).encode()) == exported(node())
    assert from_checkpoint(b'{"version": 3, "checkpoint": {"stack": "chat"}}').nodes == ()


@pytest.mark.parametrize("text", [b"", b"\x1f\x8b", b"[]", b'{"version": 4, "checkpoint": {}}', b"{}"])
def test_a_checkpoint_of_another_form_is_refused(text: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_checkpoint(text)


def test_urns_tell_name_type_and_pool() -> None:
    assert (name_of(NODE), type_of(NODE)) == ("l4-fp8-0", "hetops:index:Node")
    assert pool_of(POOL) == "l4-fp8"
    assert (pool_of(STACK), pool_of("")) == ("", "")
