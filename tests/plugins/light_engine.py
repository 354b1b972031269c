"""An engine without a model, as light as a process can be: it answers /health, and dies, loads or is deaf as told.

Knows only the standard library, as it runs on its own. `tests.plugins.nodes` says how a driver starts it.
"""

from __future__ import annotations

import argparse
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--die", default="", help="end at once with these words")
    parser.add_argument("--loading", type=float, default=0.0, help="seconds until /health answers 200")
    parser.add_argument("--deaf", action="store_true", help="take no notice of SIGTERM")
    parser.add_argument("--child", action="store_true", help="start a process of its own, which outlives it")
    given = parser.parse_args()
    print("light engine starts", flush=True)
    if given.die:
        print(given.die, file=sys.stderr, flush=True)
        return 1
    if given.child:
        subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(60)"])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, (lambda *_: None) if given.deaf else (lambda *_: stop.set()))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(time.monotonic() + given.loading))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = Path(os.environ["HETOPS_ENDPOINT_FILE"])
    endpoint.with_suffix(".new").write_text(f"http://127.0.0.1:{server.server_port}\n")
    os.replace(endpoint.with_suffix(".new"), endpoint)
    stop.wait()
    return 0


def _handler(ready_at: float) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if time.monotonic() >= ready_at else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


if __name__ == "__main__":
    sys.exit(main())
