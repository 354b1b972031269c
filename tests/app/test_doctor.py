"""Everything that hetops stands on is looked at; what is wrong has its fix, and looking changes nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hetops.app import check_providers, doctor
from hetops.app.doctor import Surroundings, examine
from hetops.errors import ErrorKind, ProviderError
from hetops.plugin import manager
from hetops.plugin.manager import Plugins, PluginStatus
from hetops.plugin.provider import CheckResult
from hetops.reports.doctor import Finding, Group, Verdict
from hetops.stack.engine import ENGINE_VERSION
from tests.app.specs import written
from tests.doubles import programs
from tests.doubles.providers import NOW, TellingProvider, answering

OK = CheckResult(subject="key", ok=True, detail="valid")
NO_KEY = CheckResult(subject="key", ok=False, detail="not set", fix="export KEY=...", kind=ErrorKind.AUTH)
NO_QUOTA = CheckResult(subject="quota", ok=False, detail="0 left", fix="ask for more")


@pytest.fixture(autouse=True)
def _nobody_far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine alone is asked, whatever clouds are installed and whatever keys the tester has."""
    monkeypatch.setenv("HETOPS_PLUGINS", "local")


class Checking(TellingProvider):
    """A provider whose check does as it was told."""

    def __init__(self, name: str, check: Callable[[Mapping[str, Any]], Any]) -> None:
        super().__init__(name, answering(name)._tell)
        self._check = check

    def check(self, settings: Mapping[str, Any]) -> Any:
        return self._check(settings)


def around(folder: Path, **fields: Any) -> Surroundings:
    """A folder with a state of its own, on a machine without an engine."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    return Surroundings(**({"environment": environment, "folder": folder, "now": NOW} | fields))


def found(surroundings: Surroundings, group: Group) -> dict[str, Finding]:
    return {f.subject: f for f in examine(surroundings, (group,)).findings}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these providers the ones that plugins bring."""

    def install(*providers: TellingProvider, statuses: tuple[PluginStatus, ...] = ()) -> None:
        plugins = Plugins(statuses=statuses, providers=providers)
        monkeypatch.setattr(manager, "load", lambda _allowed=None: plugins)

    return install


def test_everything_is_looked_at_in_the_order_of_the_road(tmp_path: Path) -> None:
    groups = list(dict.fromkeys(f.group for f in examine(around(tmp_path)).findings))
    of_clouds = {Group.CREDENTIALS, Group.PERMISSIONS}
    assert groups == [group for group in Group if group not in of_clouds], "this machine asks for no key"
    asked = examine(around(tmp_path), (Group.CLOCK, Group.SPEC))
    assert [f.group for f in asked.findings] == [Group.CLOCK, Group.SPEC]


def test_looking_changes_nothing_on_disk(tmp_path: Path) -> None:
    written(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    examine(around(tmp_path))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_the_environment_is_told_with_what_each_extra_lacks(tmp_path: Path) -> None:
    findings = found(around(tmp_path), Group.ENVIRONMENT)
    assert {findings["python"].verdict, findings["hetops"].verdict} == {Verdict.OK}
    assert findings["extra local"].verdict is Verdict.OK
    for extra in (f for name, f in findings.items() if name.startswith("extra ")):
        fix = f"pip install 'hetops[{extra.subject.removeprefix('extra ')}]'"
        assert extra.verdict is Verdict.OK or (extra.verdict is Verdict.NOTE and extra.fix == fix)
    assert not {"extra dev", "extra all"} & findings.keys()


def test_a_missing_engine_is_a_fault_with_the_ways_to_get_one(tmp_path: Path) -> None:
    finding = found(around(tmp_path), Group.ENGINE)["pulumi"]
    assert finding.verdict is Verdict.FAULT
    assert "no Pulumi engine" in finding.detail
    assert "hetops doctor --fix" in finding.fix


def test_an_engine_that_fits_is_told_with_its_path_and_why(tmp_path: Path) -> None:
    engine = programs.pulumi(tmp_path / "bin" / "pulumi", ENGINE_VERSION)
    surroundings = around(
        tmp_path, environment={"PATH": f"{engine.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    )
    finding = found(surroundings, Group.ENGINE)["pulumi"]
    assert finding.verdict is Verdict.OK
    assert finding.detail.startswith(f"{ENGINE_VERSION}, {engine}")


def test_without_a_spec_there_is_a_note_and_no_fault(tmp_path: Path) -> None:
    finding = found(around(tmp_path), Group.SPEC)["hetops.toml"]
    assert (finding.verdict, finding.fix) == (Verdict.NOTE, "hetops init")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[providers.local\n", "hetops.toml:16: not TOML"),
        ("[provider.local]\n", "hetops.toml:16: provider: unknown key"),
        ("", "no provider"),
    ],
)
def test_a_broken_spec_is_a_fault_with_its_line(more: str, said: str, tmp_path: Path) -> None:
    written(tmp_path, more)
    finding = found(around(tmp_path), Group.SPEC)["hetops.toml"]
    assert finding.verdict is Verdict.FAULT
    assert said in finding.detail


def test_a_spec_that_was_named_must_be_there(tmp_path: Path) -> None:
    finding = found(around(tmp_path, spec=tmp_path / "other.toml"), Group.SPEC)["hetops.toml"]
    assert finding.verdict is Verdict.FAULT
    assert "other.toml does not exist" in finding.detail


def test_a_sound_spec_is_told_with_its_deployment_and_providers(tmp_path: Path) -> None:
    path = written(tmp_path)
    detail = found(around(tmp_path), Group.SPEC)["hetops.toml"].detail
    assert detail == f"{path}: deployment chat from local"


def test_wrong_settings_of_a_provider_are_a_fault_with_the_field_to_change(tmp_path: Path) -> None:
    written(tmp_path, "[providers.local]\ncores = 0\n")
    finding = found(around(tmp_path), Group.PROVIDERS)["local: settings"]
    assert finding.verdict is Verdict.FAULT
    assert "providers.local.cores" in finding.detail
    assert finding.fix == "change cores under [providers.local]"


def test_a_provider_of_the_spec_that_no_plugin_brings_is_a_fault_with_the_nearest(tmp_path: Path) -> None:
    written(tmp_path, "[providers.locla]\n")
    finding = found(around(tmp_path), Group.PROVIDERS)["locla"]
    assert (finding.verdict, finding.fix) == (Verdict.FAULT, "did you mean 'local'?")


def test_missing_credentials_of_a_wanted_provider_end_with_code_3(
    installed: Callable[..., None], tmp_path: Path
) -> None:
    installed(Checking("cloud", lambda _: (NO_KEY, NO_QUOTA)))
    written(tmp_path, "[providers.cloud]\n")
    diagnosis = examine(around(tmp_path), (Group.PROVIDERS,))
    assert [(f.subject, f.verdict, f.fix) for f in diagnosis.findings] == [
        ("cloud: key", Verdict.CREDENTIALS, "export KEY=..."),
        ("cloud: quota", Verdict.FAULT, "ask for more"),
    ]
    assert diagnosis.exit_code == 3


def test_without_a_spec_nobodys_fault_is_in_the_way(installed: Callable[..., None], tmp_path: Path) -> None:
    installed(Checking("cloud", lambda _: (NO_KEY, OK)))
    diagnosis = examine(around(tmp_path), (Group.PROVIDERS,))
    assert [f.verdict for f in diagnosis.findings] == [Verdict.NOTE, Verdict.OK]
    assert diagnosis.exit_code == 0


def test_only_the_providers_of_the_spec_are_asked_each_with_its_settings(
    installed: Callable[..., None], tmp_path: Path
) -> None:
    asked: list[Mapping[str, Any]] = []
    installed(
        Checking("cloud", lambda settings: asked.append(settings) or (OK,)),
        Checking("other", lambda _: 1 / 0),
    )
    written(tmp_path, '[providers.cloud]\nregion = "x"\n[providers.other]\nenabled = false\n')
    assert set(found(around(tmp_path), Group.PROVIDERS)) == {"cloud: key"}
    assert asked == [{"region": "x"}]


@pytest.fixture
def hanging() -> Iterator[Callable[[Mapping[str, Any]], Any]]:
    """A check that ends with the test."""
    over = threading.Event()
    yield lambda _: over.wait(60) and ()
    over.set()


def test_a_provider_that_raises_or_hangs_is_named_and_the_others_are_heard(
    installed: Callable[..., None],
    hanging: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_providers, "CHECKS_SECONDS", 0.3)
    refused = ProviderError("key refused", provider="c", kind=ErrorKind.AUTH, hint="make a new one")

    def raises(fault: Exception) -> Callable[..., Any]:
        def check(_: Mapping[str, Any]) -> Any:
            raise fault

        return check

    installed(
        Checking("a", raises(KeyError("x"))),
        Checking("b", hanging),
        Checking("c", raises(refused)),
        Checking("d", lambda _: (OK,)),
    )
    written(tmp_path, "".join(f"[providers.{name}]\n" for name in "abcd"))
    findings = found(around(tmp_path), Group.PROVIDERS)
    assert (findings["a"].verdict, findings["a"].detail) == (Verdict.FAULT, "failed: KeyError: 'x'")
    assert findings["b"].detail == "did not answer within 0.3 s"
    assert (findings["c"].verdict, findings["c"].fix) == (Verdict.CREDENTIALS, "make a new one")
    assert findings["d: key"].verdict is Verdict.OK


@pytest.mark.parametrize("answer", [None, 7, ["ok"], [{"subject": "key"}]])
def test_an_answer_that_is_none_is_a_fault_of_that_provider(
    answer: Any, installed: Callable[..., None], tmp_path: Path
) -> None:
    installed(Checking("odd", lambda _: answer), Checking("good", lambda _: (OK,)))
    written(tmp_path, "[providers.odd]\n[providers.good]\n")
    findings = found(around(tmp_path), Group.PROVIDERS)
    assert findings["odd"].verdict is Verdict.FAULT
    assert findings["good: key"].verdict is Verdict.OK


def test_a_broken_plugin_is_a_fault_with_its_name_and_version(
    installed: Callable[..., None], tmp_path: Path
) -> None:
    broken = PluginStatus(name="cloud", version="1.2", distribution="hetops-cloud", error="misspelt hook")
    absent = PluginStatus(name="clod", version="", distribution="", error="no plugin of that name")
    installed(statuses=(broken, absent))
    findings = found(around(tmp_path), Group.PLUGINS)
    assert findings["cloud"].detail == "hetops-cloud 1.2: misspelt hook"
    assert findings["cloud"].fix == "pip install --upgrade hetops-cloud, or remove it"
    assert findings["clod"].detail == "no plugin of that name"
    assert "HETOPS_PLUGINS" in findings["clod"].fix


def test_the_state_root_is_told_with_its_room(tmp_path: Path) -> None:
    finding = found(around(tmp_path), Group.STATE)["folder"]
    assert finding.verdict is Verdict.OK
    assert finding.detail.startswith(f"{tmp_path / '.hetops'}, ")


def test_a_state_root_that_takes_no_files_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    surroundings = around(tmp_path, environment={"HETOPS_STATE": str(tmp_path / "file")})
    finding = found(surroundings, Group.STATE)["folder"]
    assert finding.verdict is Verdict.FAULT
    assert "cannot be written or locked" in finding.detail
    assert "HETOPS_STATE" in finding.fix


def test_a_disk_that_is_nearly_full_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_GB", 1e9)
    finding = found(around(tmp_path), Group.STATE)["folder"]
    assert (finding.verdict, finding.fix) == (Verdict.NOTE, "free some space")


def test_a_clock_that_stands_before_the_shipped_prices_is_a_fault(tmp_path: Path) -> None:
    finding = found(around(tmp_path, now=datetime(2020, 1, 1, tzinfo=UTC)), Group.CLOCK)["time"]
    assert finding.verdict is Verdict.FAULT
    assert "2020-01-01 00:00 UTC is before 202" in finding.detail
    assert found(around(tmp_path), Group.CLOCK)["time"].verdict is Verdict.OK


def test_the_real_environment_of_this_checkout_is_whole() -> None:
    diagnosis = examine(
        Surroundings(environment=os.environ, folder=Path("/nowhere"), now=datetime.now(UTC)),
        (Group.ENVIRONMENT, Group.PLUGINS, Group.CLOCK),
    )
    assert diagnosis.faults == ()
