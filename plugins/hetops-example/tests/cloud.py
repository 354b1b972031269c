"""Example Cloud itself, small: an HTTP server that sells three types, remembers nodes and runs what is in them.

For tests only. A container is a server on loopback that speaks as much of OpenAI's API as a first request needs.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hetops.plugin.testing import Trouble

TOKEN = "let-me-in-4f1d9c27"

TYPES = (
    {"name": "one-l4", "gpu": "L4", "gpu_count": 1, "usd_per_hour": 0.55, "region": "north", "available": 6},
    {"name": "one-h100", "gpu": "H100-SXM", "gpu_count": 1, "usd_per_hour": 2.4, "region": "south", "available": 2},
    {"name": "sold-out", "gpu": "T4", "gpu_count": 1, "usd_per_hour": 0.3, "region": "south", "available": 0},
    {"name": "retired", "gpu": "T4", "gpu_count": 1, "usd_per_hour": None, "region": "south", "available": 0},
)  # fmt: skip

REFUSALS = {
    Trouble.THROTTLED: (429, b'{"error": "too many requests"}'),
    Trouble.SERVER_ERROR: (500, b'{"error": "it is us"}'),
    Trouble.LOGIN_PAGE: (200, b"<!doctype html><html><title>Sign in</title></html>", "text/html"),
}
"""What every request gets in these troubles."""
PAGE = 100
"""Rows of a list that come at once."""

Answer = tuple[int, Any]


class Quiet(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def say(self, status: int, content: bytes, kind: str = "application/json") -> None:
        """An answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def body(self) -> Any:
        """The JSON that was sent, None where there is none."""
        length = int(self.headers.get("Content-Length", 0))
        return json.loads(self.rfile.read(length)) if length else None


class Container(ThreadingHTTPServer):
    """One container: answers `/health`, and chats with one word."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Chat)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        """Ends it."""
        self.shutdown()
        self.server_close()


class _Chat(Quiet):
    def do_GET(self) -> None:
        """Health, and nothing else."""
        self.say(200 if self.path == "/health" else 404, b"{}")

    def do_POST(self) -> None:
        """One word, whole or as a stream."""
        asked = self.body()
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        word = {"role": "assistant", "content": "Hello"}
        told = {"id": "chat-1", "object": "chat.completion", "model": asked.get("model"), "created": 0}
        if not asked.get("stream"):
            choice = {"index": 0, "message": word, "finish_reason": "length"}
            return self.say(200, json.dumps({**told, "choices": [choice], "usage": usage}).encode())
        told["object"] = "chat.completion.chunk"
        choice = {"index": 0, "delta": word, "finish_reason": "length"}
        chunks = ({**told, "choices": [choice]}, {**told, "choices": [], "usage": usage})
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        return self.say(200, "".join((*lines, "data: [DONE]\n\n")).encode(), "text/event-stream")


class Cloud(ThreadingHTTPServer):
    """The server with its nodes, and the trouble that it is in, if any."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.nodes: dict[str, dict[str, Any]] = {}
        self.containers: dict[str, list[Container]] = {}
        self.seen: list[tuple[str, str]] = []
        self.trouble: Trouble | None = None
        self.over = threading.Event()
        self._count = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        """Status and JSON of one request."""
        with self._lock:
            self.seen.append((method, path))
            if path == "/v1/types":
                return self._page(list(TYPES), query)
            if (method, path) == ("POST", "/v1/nodes"):
                return self._create(body)
            if path == "/v1/nodes":
                key, _, value = query.get("label", "").partition("=")
                found = [n for n in self.nodes.values() if not key or n["labels"].get(key) == value]
                return self._page([_shown(node) for node in found], query)
            return self._one(method, path.rpartition("/")[2])

    def close(self) -> None:
        """Ends the server and every container."""
        self.over.set()
        for node_id in tuple(self.containers):
            self._end(node_id)
        self.shutdown()
        self.server_close()

    def _page(self, rows: list[Any], query: dict[str, str]) -> Answer:
        size = 1 if self.trouble is Trouble.SHORT_PAGES else PAGE
        first = int(query.get("page") or 0)
        after = first + size
        return 200, {"items": rows[first:after], "next": str(after) if after < len(rows) else None}

    def _create(self, body: Any) -> Answer:
        if body["name"] in {node["name"] for node in self.nodes.values()}:
            return 409, {"error": f"a node named {body['name']} exists"}
        left = (
            0
            if self.trouble is Trouble.SOLD_OUT
            else {t["name"]: t["available"] for t in TYPES}.get(body["type"])
        )
        if not left:
            return 503, {"error": f"no {body['type']} is left", "code": "no_capacity"}
        self._count += 1
        node = {
            **{key: body[key] for key in ("name", "type", "labels", "containers")},
            "id": f"n-{self._count}",
            "state": "booting",
            "endpoints": [],
            "message": "",
        }
        self.nodes[node["id"]] = node
        return 201, _shown(node)

    def _one(self, method: str, node_id: str) -> Answer:
        """A node boots between two looks at it."""
        if node_id not in self.nodes:
            return 404, {"error": f"no node {node_id}"}
        node = self.nodes[node_id]
        if method == "DELETE":
            self._end(node_id)
            del self.nodes[node_id]
            return 204, None
        if node["state"] == "booting":
            self.containers[node_id] = [Container() for _ in node["containers"]]
            node["endpoints"] = [container.url for container in self.containers[node_id]]
            node["state"] = "running"
        return 200, _shown(node)

    def _end(self, node_id: str) -> None:
        for container in self.containers.pop(node_id, []):
            container.close()


def _shown(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "containers"}


class _Handler(Quiet):
    server: Cloud

    def handle_any(self) -> None:
        """Any request."""
        body, parts, trouble = self.body(), urlsplit(self.path), self.server.trouble
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._tell(401, {"error": "the token is not ours"})
        elif trouble in REFUSALS:
            self.say(*REFUSALS[trouble])
        elif trouble is Trouble.SILENCE:
            self.server.over.wait(60)
            self._hang_up()
        else:
            answer = self.server.answer(self.command, parts.path, dict(parse_qsl(parts.query)), body)
            self._tell(*answer)

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - names that the standard library looks for

    def _tell(self, status: int, said: Any) -> None:
        if self.server.trouble is Trouble.LOST_CREATE and self.command == "POST":
            self.server.trouble = None
            return self._hang_up()
        content = b"" if said is None else json.dumps(said).encode()
        half = self.server.trouble is Trouble.HALF_AN_ANSWER
        return self.say(status, content[: len(content) // 2] if half else content)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()


@contextlib.contextmanager
def running() -> Iterator[Cloud]:
    """A cloud that answers until the block ends."""
    cloud = Cloud()
    thread = threading.Thread(target=cloud.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield cloud
    finally:
        cloud.close()
        thread.join()
