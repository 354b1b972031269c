"""A broken plugin costs only itself and is named; two plugins cannot bring one name; the allow list is held to."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hetops_local.engine import LlamaCpp
from hetops_local.provider import LocalProvider

from hetops.catalog import tables
from hetops.domain.performance import Measurement
from hetops.errors import UnknownNameError
from hetops.plugin import hookimpl, manager
from hetops.plugin.manager import Plugins
from tests.doubles.drivers import MemoryProvider
from tests.doubles.estimators import Broken

Source = tuple[str, str, str, Callable[[], Any]]
L4 = tables.load().gpu("L4")
GEMMA = tables.load().model("gemma-3-270m")
CHECKPOINT = tables.load().checkpoints_of("gemma-3-270m")[0]
MEASUREMENT = Measurement(
    configuration="c",
    offer_sku="cpu-1",
    host="h",
    input_tokens=1,
    output_tokens=1,
    concurrency=1,
    requests=1,
    requests_per_second=1.0,
    ttft_seconds=(1, 1, 1, 1),
    tpot_seconds=(1, 1, 1, 1),
    measured_at="2026-11-24",
)


def plugin(name: str, **hooks: Any) -> Source:
    """A plugin whose hooks return these things, or raise them."""
    module = ModuleType(name)
    for hook, thing in hooks.items():
        setattr(module, hook, hookimpl(_returning(thing), specname=hook))
    return (name, "1.2.3", f"{name}-dist", lambda: module)


def _returning(thing: Any) -> Callable[[], Any]:
    def hook() -> Any:
        if isinstance(thing, BaseException):
            raise thing
        return thing

    return hook


def raising(name: str, fault: BaseException) -> Source:
    def load() -> Any:
        raise fault

    return (name, "1.2.3", f"{name}-dist", load)


@pytest.fixture(autouse=True)
def _all_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell that runs the tests says nothing of plugins."""
    monkeypatch.delenv(manager.ONLY_ENVIRONMENT, raising=False)


GOOD = plugin("good", register_providers=[LocalProvider()], register_engines=(LlamaCpp(),))


def collected(*sources: Source) -> Plugins:
    return manager.collect(sources)


def test_everything_that_a_plugin_hands_over_is_found_by_its_kind() -> None:
    found = collected(
        GOOD,
        plugin(
            "data",
            register_gpu_types=(L4,),
            register_models=[GEMMA, CHECKPOINT],
            register_performance_rows=iter((MEASUREMENT,)),
            register_estimators=(Broken(),),
        ),
    )
    assert found.broken == ()
    assert found.provider("local").name == "local"
    assert found.engine("llamacpp").name == "llamacpp"
    assert (found.gpu_types, found.models, found.checkpoints) == ((L4,), (GEMMA,), (CHECKPOINT,))
    assert (found.measurements, found.estimator("broken").name) == ((MEASUREMENT,), "broken")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (raising("bad", ImportError("no module named cloud")), "cannot be loaded: ImportError: no module"),
        (raising("bad", SystemExit("needs a key")), "cannot be loaded: SystemExit: needs a key"),
        (plugin("bad", register_providers=KeyError("x")), "register_providers failed: KeyError: 'x'"),
        (plugin("bad", register_providers=SystemExit(3)), "register_providers failed: SystemExit: 3"),
        (plugin("bad", register_providers=7), "register_providers failed: TypeError"),
        (plugin("bad", register_providers=["cloud"]), "handed over 'cloud', which is no Provider"),
        (plugin("bad", register_engines=[LocalProvider()]), "which is no Engine"),
        (plugin("bad", register_gpu_types=["L4"]), "handed over 'L4', which is no GpuType"),
        (plugin("bad", register_models=["llama"]), "which is no Model or Checkpoint"),
        (plugin("bad", register_performance_rows=[1]), "which is no Measurement"),
        (plugin("bad", register_provider=[]), "unknown or misspelt hook"),
    ],
)  # fmt: skip
def test_a_broken_plugin_costs_only_itself_and_is_named(broken: Source, said: str) -> None:
    for sources in ((GOOD, broken), (broken, GOOD)):
        found = collected(*sources)
        assert [p.name for p in found.providers] == ["local"]
        (status,) = found.broken
        assert (status.name, status.version, status.distribution) == ("bad", "1.2.3", "bad-dist")
        assert said in status.error


def test_a_hook_that_asks_for_what_hooks_do_not_get_is_an_error_of_its_plugin() -> None:
    module = ModuleType("bad")
    module.register_providers = hookimpl(lambda settings: settings)  # type: ignore[attr-defined]
    module.register_providers.__name__ = "register_providers"  # type: ignore[attr-defined]
    found = collected(GOOD, ("bad", "1", "bad", lambda: module))
    assert [s.name for s in found.broken] == ["bad"]


def test_of_two_providers_of_one_name_the_later_plugin_is_refused_and_reported() -> None:
    second = plugin("second", register_providers=[MemoryProvider(), LocalProvider()], register_gpu_types=[L4])
    found = collected(GOOD, second)
    assert [p.name for p in found.providers] == ["local"]
    assert found.gpu_types == (), "what is refused is the plugin, not half of it"
    (status,) = found.broken
    assert (status.name, status.error) == (
        "second",
        "brings a second provider 'local'; the first one counts",
    )


def test_of_two_engines_of_one_name_the_later_plugin_is_refused_even_within_one_plugin() -> None:
    (status,) = collected(GOOD, plugin("second", register_engines=[LlamaCpp()])).broken
    assert status.error == "brings a second engine 'llamacpp'; the first one counts"
    (status,) = collected(plugin("twice", register_providers=[MemoryProvider(), MemoryProvider()])).broken
    assert status.error == "brings a second provider 'memory'; the first one counts"


def test_a_refused_plugin_takes_no_name_from_the_others() -> None:
    broken = plugin("a", register_providers=[MemoryProvider()], register_gpu_types=["no GPU"])
    found = collected(broken, plugin("b", register_providers=[MemoryProvider()]))
    assert [(p.name, s.name) for p, s in zip(found.providers, found.broken, strict=True)] == [("memory", "a")]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        collected(GOOD).provider("locla")
    assert caught.value.hint == "did you mean 'local'?"
    with pytest.raises(UnknownNameError, match="unknown engine 'vlm'"):
        collected(GOOD).engine("vlm")


def test_a_name_that_is_installed_and_left_out_is_told_as_that() -> None:
    with pytest.raises(UnknownNameError) as caught:
        manager.load(["aws"]).provider("local")
    assert caught.value.hint.startswith(
        "the plugin local is installed and not in use: HETOPS_PLUGINS or plugins.allow"
    )


def test_the_installed_plugins_are_whole() -> None:
    found = manager.load()
    assert found.broken == ()
    assert "local" in [p.name for p in found.providers]


def test_an_allow_list_keeps_the_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert manager.load(()).statuses == ()
    assert [s.name for s in manager.load(("local",)).statuses] == ["local"]
    monkeypatch.setenv(manager.ONLY_ENVIRONMENT, "")
    assert manager.load(("local",)).statuses == (), "the environment goes before the spec"
    monkeypatch.setenv(manager.ONLY_ENVIRONMENT, " local ,")
    assert [s.name for s in manager.load(()).statuses] == ["local"]


def test_a_name_on_the_allow_list_that_nothing_has_is_reported() -> None:
    found = manager.load(("local", "locla"))
    assert [p.name for p in found.providers] == ["local"]
    (status,) = found.broken
    assert status.name == "locla"
    assert status.error.startswith("no plugin of that name is installed; there is ")
    assert "local" in status.error
