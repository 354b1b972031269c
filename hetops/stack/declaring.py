"""The stack program as the Automation API calls it: in a thread and an event loop of the SDK's own.

Keeps what the program raised, which the SDK would turn into text, and the event loop, which the SDK forgets when an
engine ends before its program.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace

import pulumi

from hetops.stack.inputs import FleetInputs
from hetops.stack.program import Endpoints, Program, declare

_LOOP_SECONDS = 2.0


class Declaring:
    """The program as the SDK calls it; keeps what it raised, which the SDK would turn into text."""

    def __init__(self, inputs: FleetInputs, program: Program) -> None:
        self.fault: Exception | None = None
        self._inputs = inputs
        self._program = replace(program, router_config=self._router_config)
        self._write = program.router_config
        self._loop: asyncio.AbstractEventLoop | None = None

    def close(self) -> None:
        """Closes the event loop that the SDK leaves open where the engine ended before the program did."""
        deadline = time.monotonic() + _LOOP_SECONDS
        while self._loop and not self._loop.is_closed() and time.monotonic() < deadline:
            with contextlib.suppress(RuntimeError):  # it still runs
                self._loop.close()
                return
            time.sleep(0.01)

    def __call__(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            declare(self._inputs, self._program)
        except Exception as fault:
            self.fault = fault
            raise pulumi.RunError(str(fault)) from fault

    def _router_config(self, inputs: FleetInputs, endpoints: Endpoints) -> str:
        try:
            return self._write(inputs, endpoints)
        except Exception as fault:
            self.fault = fault
            raise pulumi.RunError(str(fault)) from fault
