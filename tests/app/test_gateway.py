"""A router is asked over real sockets; whatever else answers there is told apart from one of ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hetops.app.gateway import STATUS_PATH, Gateway
from hetops.domain import codec
from hetops.errors import EngineError
from hetops.router.status import RouterStatus

STATUS = RouterStatus(
    deployment="chat",
    plan_digest="ab",
    models=("m",),
    at=1.0,
    started_at=0.0,
    healthy=True,
    draining=False,
    pools=(),
    classes=(),
    outcomes={},
    retries=0,
    connections=0,
    observations_dropped=0,
)


@contextmanager
def answering(answers: dict[str, tuple[int, bytes]]) -> Iterator[str]:
    """A server that gives these answers by path, to those who show the key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == "Bearer sk-known"
            status, body = answers.get(self.path, (404, b"no such path")) if known else (401, b"who are you?")
            self.send_response(status)
            self.send_header("x-hetops-pool", "l4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_status_is_read_as_the_document_that_it_is() -> None:
    with answering({STATUS_PATH: (200, codec.encode(STATUS))}) as url:
        assert Gateway(url=url, key="sk-known").status() == STATUS


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, b"boom"), "answers 500"),
        ((200, b"<html>"), "no router of ours"),
        ((200, b'{"status":"ok"}'), "no router of ours"),
    ],
)
def test_whatever_else_answers_is_no_router_of_ours(answer: tuple[int, bytes], told: str) -> None:
    with answering({STATUS_PATH: answer}) as url, pytest.raises(EngineError, match=told):
        Gateway(url=url, key="sk-known").status()


def test_who_does_not_answer_is_told_with_the_reason() -> None:
    with answering({}) as url:
        pass
    with pytest.raises(EngineError, match="does not answer: Connection refused"):
        Gateway(url=url, key="").status()


def test_a_router_is_waited_for_until_it_goes_by_the_plan() -> None:
    answers = {STATUS_PATH: (200, codec.encode(STATUS))}
    with answering(answers) as url:
        gateway = Gateway(url=url, key="sk-known")
        gateway.await_plan("ab", 5.0)
        with pytest.raises(EngineError, match="goes by another plan"):
            gateway.await_plan("cd", 0.1)
        sick = codec.to_builtins(STATUS) | {"healthy": False, "warnings": ["all of them fail"]}
        answers[STATUS_PATH] = 200, json.dumps(sick).encode()
        with pytest.raises(EngineError, match="no healthy replica") as told:
            gateway.await_plan("ab", 0.1)
        assert told.value.details == ("all of them fail",)


def test_the_probe_tells_the_pool_and_the_tokens_or_what_went_wrong() -> None:
    answers = {"/v1/chat/completions": (200, b'{"usage":{"completion_tokens":1}}')}
    with answering(answers) as url:
        probe = Gateway(url=url, key="sk-known").probe("m")
        assert (probe.pool, probe.output_tokens) == ("l4", 1)
        with pytest.raises(EngineError, match="answered with 401") as refused:
            Gateway(url=url, key="sk-wrong").probe("m")
        assert refused.value.details == ("who are you?",)
