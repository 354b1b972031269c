"""What a search says that is stopped before it has an answer: what is lost, and that nothing was changed. Searches nothing."""

from __future__ import annotations

from hetops.errors import CancelledError


def without_answer(sooner: str) -> CancelledError:
    """The news of Ctrl-C before there is an answer; fewer of what is named bring one sooner."""
    return CancelledError(
        "cancelled before there was an answer",
        details=("what was searched until then is lost; nothing was changed",),
        hint=f"wait longer: Ctrl-C shows the best once there is any; fewer {sooner} bring it sooner",
    )
