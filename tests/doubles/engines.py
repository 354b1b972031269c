"""An engine behind a rented address: answers to its health path and to one chat, whatever is asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHAT = {
    "id": "chat-1",
    "object": "chat.completion",
    "created": 0,
    "model": "any",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "length"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
"""One word, as OpenAI's API says it: what a fleet's first request is answered with."""


class Engine(ThreadingHTTPServer):
    """A serving engine as far as a driver and a first request look at it: its health path answers, and it says a word."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), _Health)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self.shutdown()
        self.server_close()


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """200 for the health path, 404 for the rest."""
        self._say(200 if self.path == "/health" else 404, b"")

    def do_POST(self) -> None:
        """A word."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._say(200, json.dumps(CHAT).encode())

    def _say(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""
