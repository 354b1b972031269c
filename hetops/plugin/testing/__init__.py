"""The contract suite as a pytest plugin: what every provider, and every driver of nodes, must hold to.

One line of a plugin's conftest.py loads it, `pytest_plugins = ("hetops.plugin.testing",)`; a fixture then hands over what
is tested, and one test asks for every promise in turn:

    @pytest.fixture
    def subject(cloud):
        return MySubject(cloud)

    def test_the_contract(promise, subject):
        promise(subject)

Our own providers keep the same promises. Decides nothing itself, asks nobody for anything that costs money.
PYTEST_DONT_REWRITE: assertions have words of their own, and a conftest.py may import the module before it loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetops.plugin.testing.nodes import PROMISES_OF_DRIVERS
from hetops.plugin.testing.offers import CHECK_SECONDS, PROMISES_OF_PROVIDERS
from hetops.plugin.testing.subject import Promise, Subject, Trouble

if TYPE_CHECKING:
    import pytest

__all__ = [
    "CHECK_SECONDS",
    "PROMISES",
    "PROMISES_OF_DRIVERS",
    "PROMISES_OF_PROVIDERS",
    "Promise",
    "Subject",
    "Trouble",
    "pytest_generate_tests",
]

PROMISES: tuple[Promise, ...] = (*PROMISES_OF_PROVIDERS, *PROMISES_OF_DRIVERS)
"""Everything that a subject is held to."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with a parameter `promise` runs once for each; called by pytest."""
    if "promise" in metafunc.fixturenames:
        metafunc.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
