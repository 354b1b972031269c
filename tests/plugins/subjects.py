"""Our own providers, each with its double, as the subjects of the public contract suite."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hetops_aws.provider import AwsProvider
from hetops_local.driver import LocalDriver
from hetops_local.provider import LocalProvider

from hetops.catalog import tables
from hetops.catalog.list_prices import list_prices
from hetops.plugin import NodeDriver, NodeRequest, OfferQuery
from hetops.plugin.testing import Subject, Trouble
from tests.doubles import aws, aws_account
from tests.doubles.aws_account import AwsFault, AwsScenario
from tests.doubles.fake_api import TOKEN, Fault, FaultKind, Scenario
from tests.doubles.meanings import EVERY_TIME
from tests.plugins import aws_questions, clouds, gcp_cloud, nodes

WRONG_KEY = "wrong-key-8c1f5e27ab"

FAULTS = {
    Trouble.THROTTLED: FaultKind.THROTTLED,
    Trouble.SERVER_ERROR: FaultKind.ERROR_500,
    Trouble.HALF_AN_ANSWER: FaultKind.TRUNCATED_JSON,
    Trouble.LOGIN_PAGE: FaultKind.LOGIN_PAGE,
    Trouble.SILENCE: FaultKind.DEAD,
}
"""Troubles of every request, as the fakes call them."""


def wrong_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that hold the key, holding another."""
    return {name: WRONG_KEY for name, value in environment.items() if value == TOKEN}


class Rented(Subject):
    """Lambda, RunPod or Hyperbolic: clouds whose nodes are rented one by one."""

    def __init__(self, name: str, folder: Path, stack: contextlib.ExitStack) -> None:
        self.name = name
        self._folder = folder
        self._stack = stack
        self._told: dict[str, str] = {}
        self.cloud = self._behaving(Scenario())

    def provider(self) -> Any:
        return self.cloud.provider(**self._told)

    def query(self) -> OfferQuery:
        return clouds.query()

    def secrets(self) -> tuple[str, ...]:
        return (TOKEN, WRONG_KEY)

    def meets(self, trouble: Trouble) -> None:
        create = self.cloud.kind.create_path
        lost = Fault(kind=FaultKind.LOST_ANSWER, method="POST", path=create)
        match trouble:
            case Trouble.KEY_REFUSED:
                self._told = wrong_keys(self.cloud.api.environment())
            case _ if trouble in FAULTS:
                fault = Fault(kind=FAULTS[trouble], times=EVERY_TIME, seconds=60)
                self.cloud = self._behaving(Scenario(faults=(fault,)))
            case Trouble.LOST_CREATE:
                self.cloud = self._behaving(Scenario(faults=(lost,)))
            case Trouble.SOLD_OUT:
                self.cloud = self._behaving(Scenario(taken_before_create=True))
            case _:
                super().meets(trouble)

    def driver(self) -> NodeDriver:
        return self.cloud.driver(**self._told)

    def request(self, name: str) -> NodeRequest:
        return self.cloud.request(name)

    def impossible_request(self, name: str) -> NodeRequest:
        return self.cloud.request(name, sku=self.cloud.kind.sold_out)

    def _behaving(self, scenario: Scenario) -> clouds.Stand:
        return self._stack.enter_context(clouds.stand(self.name, self._folder, scenario))


class Google(Subject):
    """GCP, which is for planning."""

    name = "gcp"

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._told: dict[str, str] = {}
        self.project = self._behaving()

    def provider(self) -> Any:
        return self.project.provider(**self._told)

    def query(self) -> OfferQuery:
        return clouds.query()

    def secrets(self) -> tuple[str, ...]:
        return (TOKEN, WRONG_KEY)

    def meets(self, trouble: Trouble) -> None:
        if trouble is Trouble.KEY_REFUSED:
            self._told = wrong_keys(self.project.api.environment())
        elif trouble is Trouble.SHORT_PAGES:
            self.project = self._behaving(page=7)
        elif trouble in FAULTS:
            fault = Fault(kind=FAULTS[trouble], times=EVERY_TIME, seconds=60)
            self.project = self._behaving(faults=(fault,))
        else:
            super().meets(trouble)

    def _behaving(self, **scenario: Any) -> gcp_cloud.Project:
        return self._stack.enter_context(gcp_cloud.project(self._folder, **scenario))


class Amazon(Subject):
    """AWS, which is for planning. Its SDK reads the environment itself, and tries again for seconds."""

    name = "aws"

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._patch = stack.enter_context(pytest.MonkeyPatch.context())
        self._behaving(AwsScenario())

    def provider(self) -> AwsProvider:
        return AwsProvider()

    def query(self) -> OfferQuery:
        return aws_questions.query(self.settings())

    def settings(self) -> Mapping[str, Any]:
        return {"regions": ["us-east-1"]}

    def secrets(self) -> tuple[str, ...]:
        return (aws_account.SECRET, aws_account.TOKEN, WRONG_KEY)

    def meets(self, trouble: Trouble) -> None:
        if trouble is Trouble.KEY_REFUSED:
            self._patch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG8C1F5E")
            self._patch.setenv("AWS_SECRET_ACCESS_KEY", WRONG_KEY)
        elif trouble is Trouble.SHORT_PAGES:
            self._behaving(AwsScenario(page=1))
        elif trouble in FAULTS:
            self._behaving(AwsScenario(faults=(AwsFault(kind=FAULTS[trouble]),)))
        else:
            super().meets(trouble)

    def _behaving(self, scenario: AwsScenario) -> None:
        few = replace(scenario, only_types=("g6.xlarge", "p5.48xlarge"))
        aws_questions.enter(self._stack.enter_context(aws.running(few)), self._patch)


class Local(Subject):
    """This machine, with all its emulated twins."""

    name = "local"

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        stack.enter_context(nodes.driven(folder))

    def provider(self) -> LocalProvider:
        return LocalProvider()

    def query(self) -> OfferQuery:
        catalog = tables.load()
        listed = list_prices(catalog).offers
        return replace(super().query(), gpu_types=catalog.gpu_types, list_prices=listed)

    def settings(self) -> Mapping[str, Any]:
        return {"emulate": True}

    def driver(self) -> LocalDriver:
        return LocalDriver(self._folder)

    def request(self, name: str) -> NodeRequest:
        return nodes.request(name, nodes.launch(), nodes.launch(), deployment="contract")

    def impossible_request(self, name: str) -> NodeRequest:
        return nodes.request(name, nodes.launch(argv=("no-such-program",)), deployment="contract")


MAKE: Mapping[str, Callable[[Path, contextlib.ExitStack], Subject]] = {
    "aws": lambda _folder, stack: Amazon(stack),
    "gcp": Google,
    "local": Local,
    **{
        name: lambda folder, stack, name=name: Rented(name, folder, stack)  # type: ignore[misc]
        for name in clouds.KINDS
    },
}


@contextlib.contextmanager
def subject(name: str, folder: Path) -> Iterator[Subject]:
    """The provider of that name with a double of its own, until the block ends."""
    with contextlib.ExitStack() as stack:
        yield MAKE[name](folder, stack)
