"""What `up` and `down` print: where it answers and where the key lies, never the key; what went and what it saves."""

from __future__ import annotations

import json
import shlex
from decimal import Decimal

from hetops.domain import codec
from hetops.reports import deployment as report
from hetops.reports.deployment import Probe, Raised, Removed
from tests.doubles.plans import NOW

RAISED = Raised(
    deployment="chat",
    at=NOW,
    changed=True,
    summary="1 pool to add",
    endpoint="http://127.0.0.1:8080",
    api_keys_file="/somewhere/with space/api_keys",
    model="llama-3.1-8b",
    nodes={"l4-fp8": 2},
    usd_per_hour=Decimal("1.60"),
    emulated=True,
    probe=Probe(pool="l4-fp8", seconds=0.2, output_tokens=1),
)


def test_the_text_says_where_it_answers_where_the_key_lies_and_that_it_is_emulated() -> None:
    text = report.raised_as_text(RAISED)
    assert text.startswith("chat is up: llama-3.1-8b (emulated)\n")
    assert "  endpoint  http://127.0.0.1:8080/v1\n" in text
    assert "  API key   /somewhere/with space/api_keys\n" in text
    assert "  probe     1 token from l4-fp8 in 0.20 s\n" in text


def test_the_curl_line_is_one_that_a_shell_understands() -> None:
    words = shlex.split(report.curl(RAISED))
    assert words[:2] == ["curl", "http://127.0.0.1:8080/v1/chat/completions"]
    assert words[3] == "Authorization: Bearer $(head -n 1 '/somewhere/with space/api_keys')"
    assert json.loads(words[-1])["model"] == "llama-3.1-8b"


def test_documents_read_back() -> None:
    raised = json.loads(json.dumps(report.raised_as_json(RAISED)))
    assert raised["usd_per_month"] == "1168.00"
    assert codec.from_builtins(Raised, raised, source="test") == RAISED
    removed = Removed(
        deployment="chat", at=NOW, changed=True, nodes=("a", "b"), usd_per_hour_saved=Decimal("3.5")
    )
    raw = json.loads(json.dumps(report.removed_as_json(removed)))
    assert codec.from_builtins(Removed, raw, source="test") == removed
    assert (
        report.removed_as_text(removed) == "chat is down: 2 nodes removed, saves $3.50 /h · $2,555 /month\n"
    )


def test_a_down_of_nothing_says_so() -> None:
    assert (
        report.removed_as_text(Removed(deployment="chat", at=NOW, changed=False)) == "chat: nothing is up\n"
    )
