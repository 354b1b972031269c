"""Example Cloud itself, small: an HTTP server that sells three types and remembers nodes. For tests only."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "let-me-in"

TYPES = (
    {
        "name": "one-l4",
        "gpu": "L4",
        "gpu_count": 1,
        "usd_per_hour": "0.55",
        "region": "north",
        "available": 6,
    },
    {
        "name": "one-h100",
        "gpu": "H100-SXM",
        "gpu_count": 1,
        "usd_per_hour": "2.40",
        "region": "south",
        "available": 2,
    },
    {"name": "retired", "gpu": "T4", "gpu_count": 1, "usd_per_hour": "", "region": "south", "available": 0},
)

Answer = tuple[int, Any]


class Cloud(ThreadingHTTPServer):
    """The server with its nodes. `loses` answers of creates that did happen are cut off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.nodes: dict[str, dict[str, Any]] = {}
        self.loses = 0
        self._count = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, label: str, body: Any) -> Answer:
        """Status and JSON of one request."""
        with self._lock:
            if path == "/v1/types":
                return 200, TYPES
            if method == "POST":
                return self._create(body)
            if path == "/v1/nodes":
                return 200, [
                    n for n in self.nodes.values() if label == f"deployment={n['labels']['deployment']}"
                ]
            return self._one(method, path.rpartition("/")[2])

    def _create(self, body: Any) -> Answer:
        if body["name"] in {node["name"] for node in self.nodes.values()}:
            return 409, {"error": f"a node named {body['name']} exists"}
        if body["type"] not in {each["name"] for each in TYPES if each["available"]}:
            return 503, {"error": f"no {body['type']} is left", "code": "no_capacity"}
        self._count += 1
        node = {
            **{key: body[key] for key in ("name", "type", "labels")},
            "id": f"n-{self._count}",
            "state": "booting",
            "endpoints": [],
            "message": "",
        }
        self.nodes[node["id"]] = {**node, "containers": len(body["containers"])}
        return 201, node

    def _one(self, method: str, node_id: str) -> Answer:
        if node_id not in self.nodes:
            return 404, {"error": f"no node {node_id}"}
        if method == "DELETE":
            del self.nodes[node_id]
            return 204, None
        node = self.nodes[node_id]
        node["state"] = "running"
        node["endpoints"] = [f"http://{node_id}.cloud.example:{8000 + i}" for i in range(node["containers"])]
        return 200, node


class _Handler(BaseHTTPRequestHandler):
    server: Cloud

    def handle_any(self) -> None:
        """Any request."""
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._say(401, {"error": "the token is not ours"})
        label = parse_qs(parts.query).get("label", [""])[0]
        status, said = self.server.answer(self.command, parts.path, label, body)
        if self.command == "POST" and self.server.loses:
            self.server.loses -= 1
            return self.connection.close()
        return self._say(status, said)

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - names that the standard library looks for

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def _say(self, status: int, said: Any) -> None:
        content = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def running() -> Iterator[Cloud]:
    """A cloud that answers until the block ends."""
    cloud = Cloud()
    thread = threading.Thread(target=cloud.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield cloud
    finally:
        cloud.shutdown()
        thread.join()
        cloud.server_close()
