"""An `ssh` for tests: takes a script for a machine and keeps it where the fake of its cloud looks.

FAKE_SSH_FOLDER is where, the options that it was called with beside it; a file `refuse` in it makes so many connections fail (status 255), `broken` every script.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """The status that ssh ends with."""
    folder = Path(os.environ["FAKE_SSH_FOLDER"])
    *options, to, _sudo, _n, shell, _s = sys.argv[1:]
    script = sys.stdin.read()
    refuse = folder / "refuse"
    left = int(refuse.read_text()) if refuse.exists() else 0
    if left:
        refuse.write_text(str(left - 1))
        print("ssh: connect to host: Connection refused", file=sys.stderr)
        return 255
    if (folder / "broken").exists():
        print("bash: line 12: docker: command not found", file=sys.stderr)
        return 127
    assert "BatchMode=yes" in options, "it would ask for a password"
    assert shell == "bash"
    (folder / "options").write_text(" ".join(options))
    (folder / f"{to.partition('@')[2]}.script").write_text(script)
    return 0


if __name__ == "__main__":
    sys.exit(main())
