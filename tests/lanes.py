"""Which tests may run beside which, where two processes share the work: `pytest -n 2`."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

APART = (
    "app",
    "architecture",
    "catalog",
    "cli",
    "configurations",
    "docs",
    "domain",
    "examples",
    "files",
    "observations",
    "offers",
    "performance",
    "plugin",
    "plugins/test_aws_credentials.py",
    "plugins/test_secrets.py",
    "reports",
    "setup",
    "solver",
    "spec",
    "state",
    "workloads",
)
"""Folders and files whose tests neither hold nor look at what this machine has but once."""

BUT = (
    "app/test_bench.py",
    "app/test_replay.py",
    "cli/test_bench.py",
    "cli/test_documents.py",
)
"""Files in these folders that do."""


class Lanes(LoadScopeScheduling):
    """Tests of one file run in their order. So do all that bring up engines or fleets, look for processes that were left, or
    take ports and cores: their lane is one, whatever file they stand in, and a new folder is in it until it is said to be apart.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].removeprefix("tests/")
        apart = not {file, file.partition("/")[0]}.isdisjoint(APART) and file not in BUT
        return file if apart else "this machine"
