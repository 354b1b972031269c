"""The credentials of all five clouds, looked for wherever hetops prints, logs or writes: with right keys, wrong ones, and an
API that repeats what it was sent. test_up.py looks for them while a fleet comes up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.process import hetops
from tests.doubles import aws, aws_account, specs
from tests.doubles.aws_account import AwsScenario
from tests.doubles.fake_api import TOKEN, Answer, FakeApi, Scenario, Seen, started
from tests.doubles.gcp import Gcp, GcpScenario
from tests.plugins.clouds import KINDS

RIGHT = (TOKEN, aws_account.KEY, aws_account.SECRET, aws_account.TOKEN)
WRONG = {
    "LAMBDA_API_KEY": "wrong-lambda-8c1f5e",
    "RUNPOD_API_KEY": "wrong-runpod-8c1f5e",
    "HYPERBOLIC_API_KEY": "wrong-hyperbolic-8c1f5e",
    "GOOGLE_OAUTH_ACCESS_TOKEN": "wrong-google-8c1f5e",
    "AWS_ACCESS_KEY_ID": "AKIAWRONG8C1F5E",
    "AWS_SECRET_ACCESS_KEY": "wrong-amazon-secret-8c1f5e",
    "AWS_SESSION_TOKEN": "wrong-amazon-session-8c1f5e",
}
URLS = (
    "LAMBDA_API_URL",
    "RUNPOD_API_URL",
    "HYPERBOLIC_API_URL",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBILLING",
    "AWS_ENDPOINT_URL",
)
CLOUDS = ("aws", "gcp", "hyperbolic", "lambda", "runpod")

SPEC = specs.LISTED.replace("[providers.aws]\n[providers.gcp]\n", "") + "".join(
    f"[providers.{name}]\n" for name in CLOUDS
)
COMMANDS = (
    ("offers", "-v", "--refused", "--refresh", "--record", "prices.jsonl"),
    ("offers", "--json", "--max-age", "3600"),
    ("offers", "--offline"),
    ("plan", "-v", "-o", "plan.json", "--write-problem", "problem.json"),
    ("plan", "--json"),
    ("explain", "--json"),
    ("doctor", "-v", "providers"),
    ("doctor", "--json"),
    ("plugins", "--json"),
    ("up", "--yes", "-v"),
)
"""Whatever reads credentials or may write down what was read; `up` is refused, as no plugin starts this engine there."""


class Echo(FakeApi):
    """An API that sends back everything that it was sent, with a status."""

    status = 400

    def answer(self, seen: Seen) -> Answer:
        words = f"do not understand {seen.authorization} {dict(seen.headers)}"
        return Answer(
            status=self.status, said={"error": {"message": words, "status": words}, "detail": words}
        )

    def respond(self, seen: Seen) -> Answer:
        return self.answer(seen)


class Unwilling(Echo):
    """The same, where it may pass."""

    status = 500


class Enthusiastic(Echo):
    """The same, as success."""

    status = 200


@pytest.fixture(scope="module")
def five() -> Iterator[Mapping[str, str]]:
    """Five clouds that are well, as the environment that leads to them."""
    with contextlib.ExitStack() as stack:
        told: dict[str, str] = {}
        for api in (*(kind.fake(Scenario()) for kind in KINDS.values()), Gcp(GcpScenario())):
            stack.callback(started(api).close)
            told |= api.environment()
        few = AwsScenario(only_types=("g6.xlarge", "g6e.xlarge"), regions=("us-east-1",))
        yield told | stack.enter_context(aws.running(few)).environment()


def said_and_kept(folder: Path, environment: Mapping[str, str], *commands: tuple[str, ...]) -> dict[str, str]:
    """What the commands print, and what then lies in the folder, state and cache among it."""
    variables = {**environment, "HOME": str(folder), "HETOPS_PLUGINS": ",".join((*CLOUDS, "local"))}
    specs.written(folder, SPEC)
    texts: dict[str, str] = {}
    for command in commands or COMMANDS:
        run = hetops(folder, *command, variables=variables)
        texts[" ".join(command)] = run.stdout + run.stderr
    kept = {
        str(path.relative_to(folder)): path.read_bytes().decode(errors="replace")
        for path in folder.rglob("*")
        if path.is_file()
    }
    return texts | kept


def shown(texts: Mapping[str, str], *secrets: str) -> dict[str, str]:
    """Where a secret is shown."""
    return {where: secret for where, text in texts.items() for secret in secrets if secret in text}


def test_no_right_key_is_printed_logged_planned_cached_or_kept(
    five: Mapping[str, str], tmp_path: Path
) -> None:
    texts = said_and_kept(tmp_path, five)
    assert "5 of 5 sources live" in texts["offers -v --refused --refresh --record prices.jsonl"]
    assert texts["plan.json"]
    assert sum("hetops.offer-cache" in text for text in texts.values()) >= len(CLOUDS)
    assert "hetops.offer-record" in texts["prices.jsonl"]
    assert shown(texts, *RIGHT) == {}


def test_no_wrong_key_is_shown_in_what_a_cloud_says_of_it(five: Mapping[str, str], tmp_path: Path) -> None:
    texts = said_and_kept(tmp_path, {**five, **WRONG}, *COMMANDS[:1], *COMMANDS[3:8])
    listing = texts["offers -v --refused --refresh --record prices.jsonl"]
    for cloud in ("aws", "gcp", "lambda", "runpod"):
        assert f"{cloud} refused: " in listing
    assert shown(texts, *RIGHT, *WRONG.values()) == {}


@pytest.mark.parametrize("kind", [Echo, Unwilling, Enthusiastic])
def test_an_api_that_repeats_what_it_was_sent_is_not_quoted(
    kind: type[Echo], five: Mapping[str, str], tmp_path: Path
) -> None:
    echo = started(kind(Scenario()))
    try:
        environment = {**five, **dict.fromkeys(URLS, echo.url)}
        texts = said_and_kept(tmp_path, environment, *COMMANDS[:1], *COMMANDS[6:8])
    finally:
        echo.close()
    assert "0 of 5 sources live" in texts["offers -v --refused --refresh --record prices.jsonl"]
    assert shown(texts, *RIGHT) == {}
