"""What a replay asks of whoever decides where requests go. Names only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Router(Protocol):
    """Decides where requests go. Replicas and requests are numbers; None sends a request nowhere."""

    def first(self, request: int, at: float) -> int | None:
        """Where a request goes that has just come."""

    def again(self, request: int, tried: Sequence[int], at: float) -> int | None:
        """Where it goes when the replicas so far have failed it."""

    def onward(self, request: int, tried: Sequence[int], at: float) -> int | None:
        """Where a request that was prefilled is decoded."""

    def handed(self, request: int, replica: int) -> None:
        """The request was handed over, and is no longer there."""

    def cached(self, request: int) -> int:
        """How many tokens of its input, from the beginning, the engine has in its cache."""

    def released(self, request: int, replica: int) -> None:
        """The request is no longer there, and was not answered."""

    def answered(self, request: int, replica: int) -> None:
        """The request was answered to its end, and is no longer there."""

    def broke(self, replica: int, at: float) -> None:
        """A replica broke off a request."""

    def unreachable(self, replica: int, at: float) -> None:
        """A replica took no connection."""

    def leaving(self, replicas: frozenset[int]) -> None:
        """These get no new requests from now on, and all others do."""

    def due_probes(self, at: float) -> Sequence[int]:
        """Replicas to be looked at now."""

    def probed(self, replica: int, at: float) -> None:
        """A replica answered a probe."""

    def probe_failed(self, replica: int, at: float) -> None:
        """A replica did not answer a probe."""
