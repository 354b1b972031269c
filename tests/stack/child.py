"""One command on a stack as a process of its own, to be killed. Tells each event as a line on stdout.

python -m tests.stack.child up|down ROOT SECONDS      nodes take so long to start
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.stack.places import Place, inputs


def started(act: str, root: Path, seconds: float = 0.0) -> subprocess.Popen[str]:
    """The command, running; its lines come in order."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.stack.child", act, str(root), str(seconds)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )


def killed_at(command: subprocess.Popen[str], beginning: str) -> None:
    """SIGKILL of the command as soon as it tells a line that begins so."""
    assert command.stdout is not None
    for line in command.stdout:
        if line.startswith(beginning):
            break
    else:
        raise AssertionError(f"it never came to {beginning!r}")
    command.kill()
    command.communicate()


def main() -> None:
    """Runs the command to its end."""
    act, root, seconds = sys.argv[1:]
    place = Place(Path(root))
    stack = place.stack()

    def tell(event: object) -> None:
        print(f"{event.what} {event.node}", flush=True)

    print("begin", flush=True)
    if act == "down":
        stack.down(tell)
    else:
        stack.up(inputs(engines={"emulator": {"faults": {"start_seconds": float(seconds)}}}), tell)
    print("end", flush=True)


if __name__ == "__main__":
    main()
