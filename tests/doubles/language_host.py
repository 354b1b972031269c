"""A `pulumi-language-python` small enough for tests: runs a project's __main__.py in this interpreter.

Only the launcher is a double: the program, the SDK, the engine and the resource provider are real.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, plugin_pb2
from pulumi.runtime.proto.language_pb2_grpc import add_LanguageRuntimeServicer_to_server

from tests.doubles.programs import program


class LanguageHost(LanguageServer):
    """Speaks the engine's protocol for languages, as far as a project without dependencies needs it."""

    def __init__(self, engine: str) -> None:
        super().__init__(lambda: None)
        self._engine = engine

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return plugin_pb2.PluginInfo(version="0.0.0")

    def InstallDependencies(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return iter(())

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        folder = Path(request.info.program_directory)
        self.program = lambda: runpy.run_path(str(folder / "__main__.py"), run_name="__main__")
        request.args[:] = [self._engine]
        os.chdir(folder)
        return super().Run(request, context)


def on_path(folder: Path) -> Path:
    """Puts the host into a folder for PATH, run by this interpreter."""
    here = Path(__file__).parents[2]
    return program(
        folder / "pulumi-language-python",
        f'PYTHONPATH={here} exec {sys.executable} -m tests.doubles.language_host "$@"',
    )


def main() -> None:
    """Serves until the engine that started it is gone."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))  # the engine sends it at the end
    engine = [a for a in sys.argv[1:] if not a.startswith("-")][-1]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    add_LanguageRuntimeServicer_to_server(LanguageHost(engine), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.1)


if __name__ == "__main__":
    main()
