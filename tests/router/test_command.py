"""`hetops route` as a process, before emulated engines as processes: start, reload, keys, drain, errors."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hetops.domain import codec
from hetops.router.config import RouterConfig, RouterSettings, from_plan
from hetops.simulate.options import EmulatorOptions, Faults, to_arguments
from tests.doubles import plans
from tests.router.stand import Client, port_of, request, until

PLAN = plans.plan()
ROUTE = (sys.executable, "-m", "hetops.cli.main", "route")


@dataclass
class Process:
    """A process that tells its base URL through a file."""

    popen: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return port_of(self.url)

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it said, once it has ended."""
        _, said = self.popen.communicate(timeout=10)
        return self.popen.returncode, said


@contextlib.contextmanager
def process(folder: Path, name: str, *argv: str) -> Iterator[Process]:
    """A process while the block lasts."""
    told = folder / f"{name}.url"
    environment = {**os.environ, "HETOPS_ENDPOINT_FILE": str(told)}
    popen = subprocess.Popen(
        argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder
    )
    try:
        until(lambda: told.exists() or popen.poll() is not None, 20)
        assert popen.poll() is None, popen.communicate()[1]
        yield Process(popen=popen, url=told.read_text().strip())
    finally:
        popen.kill()
        popen.communicate()


def emulator(
    folder: Path, name: str, faults: Faults | None = None
) -> contextlib.AbstractContextManager[Process]:
    """An emulated replica of the plan's model, ten times as fast as real."""
    options = EmulatorOptions(
        model=PLAN.model,
        gpu="L4",
        step_times=plans.STEP_TIMES,
        max_context_tokens=8192,
        speed=10.0,
        faults=faults or Faults(),
    )
    return process(folder, name, sys.executable, "-m", "hetops.simulate", *to_arguments(options))


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """Endpoints of all pools of the plan."""
    folder = tmp_path_factory.mktemp("engines")
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(emulator(folder, name)).url for name in ("x", "y", "z")]
        yield {"l4-fp8": urls[:2], "l40s-fp8": urls[2:]}


def write(path: Path, config: RouterConfig) -> Path:
    """The configuration in a file, put there in one piece."""
    beside = path.with_suffix(".new")
    beside.write_bytes(codec.encode(config))
    beside.replace(path)
    return path


@contextlib.contextmanager
def router(folder: Path, config: RouterConfig, *options: str) -> Iterator[Process]:
    """A router by a configuration, on any free port."""
    path = write(folder / "router.json", config)
    with process(folder, "router", *ROUTE, "--config", str(path), "--port", "0", *options) as started:
        yield started


def chat(tokens: int, **more: object) -> dict[str, object]:
    """A request to the plan's model."""
    messages = [{"role": "user", "content": "word " * 800}]
    return {"model": PLAN.model, "messages": messages, "max_tokens": tokens, **more}


def ask(port: int, tokens: int = 200, *headers: str, **more: object) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own."""
    with Client(port, 20) as client:
        return client.send(request(chat(tokens, **more), *headers)).answer()


def get(port: int, path: str, *headers: str) -> tuple[int, Any]:
    """Status and JSON of a GET."""
    with Client(port) as client:
        status, _, body = client.send(request(None, *headers, path=path, method="GET")).answer()
    return status, json.loads(body)


def failed(*argv: str, folder: Path) -> tuple[int, str]:
    """Exit code and words of a router that does not start."""
    done = subprocess.run(
        [*ROUTE, *argv], cwd=folder, capture_output=True, text=True, timeout=20, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_requests_go_where_the_plan_says_and_leave_observations(
    tmp_path: Path, replicas: Mapping[str, list[str]]
) -> None:
    observations = tmp_path / "observations.jsonl"
    config = from_plan(PLAN, replicas, RouterSettings(observations_file=str(observations)))
    with router(tmp_path, config) as started:
        until(lambda: get(started.port, "/health")[0] == 200)
        pools = Counter(ask(started.port, stream=True)[1]["x-hetops-pool"] for _ in range(20))
        assert pools == {"l4-fp8": 12, "l40s-fp8": 8}
        assert ask(started.port, 20)[1]["x-hetops-pool"] == "l40s-fp8", "short answers are of class code"
        _, status = get(started.port, "/hetops/status")
        started.popen.send_signal(signal.SIGTERM)
        assert started.ended()[0] == 0
    assert status["plan_digest"] == codec.digest(PLAN)
    assert {c["name"]: c["ttft_seconds"] is not None for c in status["classes"]} == {
        "chat": True,
        "code": False,
    }
    seen = [json.loads(line) for line in observations.read_text().splitlines()]
    assert Counter(s["workload_class"] for s in seen) == {"chat": 20, "code": 1}
    streamed = [s for s in seen if s["workload_class"] == "chat"]
    assert all(s["output_tokens"] == 200 and s["input_tokens"] == 1000 for s in streamed)
    # 7 ms a token, ten times as fast; the machine may be busy.
    assert 0.0003 < statistics.median(s["tpot_seconds"] for s in streamed) < 0.1


def test_a_changed_file_is_obeyed_a_broken_one_is_not_and_nobody_notices(
    tmp_path: Path, replicas: Mapping[str, list[str]]
) -> None:
    empty = from_plan(PLAN, {})
    path = tmp_path / "router.json"
    with router(tmp_path, empty) as started, Client(started.port, 20) as client:
        assert get(started.port, "/health")[0] == 503
        assert client.send(request(chat(200))).answer()[0] == 503
        write(path, from_plan(PLAN, replicas))
        until(lambda: get(started.port, "/health")[0] == 200)
        assert client.send(request(chat(200))).answer()[0] == 200, "on the same connection as before"
        path.write_text("{ broken")
        until(lambda: get(started.port, "/hetops/status")[1]["warnings"])
        assert client.send(request(chat(200))).answer()[0] == 200
        write(path, replace(from_plan(PLAN, replicas), models=("other", PLAN.model)))
        until(lambda: len(get(started.port, "/v1/models")[1]["data"]) == 2)
        assert get(started.port, "/hetops/status")[1]["warnings"] == []
        started.popen.send_signal(signal.SIGTERM)
        code, said = started.ended()
    assert code == 0
    assert f"{path}: not JSON" in said
    assert "the configuration read before holds" in said


def test_running_answers_are_finished_after_a_signal_and_nothing_new_is_taken(
    tmp_path: Path, replicas: Mapping[str, list[str]]
) -> None:
    with router(tmp_path, from_plan(PLAN, replicas)) as started:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(started.port, 20)) for _ in range(4)]
            idle = stack.enter_context(Client(started.port))
            for client in clients:
                client.send(request(chat(1000, stream=True)))
                client.until(b"data: ")
            started.popen.send_signal(signal.SIGTERM)
            assert idle.rest() == b""
            until(lambda: not _listens(started.port))
            assert all(b"[DONE]" in client.rest() for client in clients)
        assert started.ended()[0] == 0


def test_a_second_signal_does_not_wait(tmp_path: Path, replicas: Mapping[str, list[str]]) -> None:
    with router(tmp_path, from_plan(PLAN, replicas)) as started, Client(started.port, 20) as client:
        client.send(request(chat(6000, stream=True)))
        client.until(b"data: ")
        started.popen.send_signal(signal.SIGINT)
        until(lambda: not _listens(started.port))
        started.popen.send_signal(signal.SIGINT)
        code, said = started.ended()
        assert b"the router was stopped" in client.rest()
    assert code == 0
    assert "running answers were cut" in said


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_an_engine_that_dies_costs_nobody_an_answer_that_had_not_begun(
    tmp_path: Path,
) -> None:
    with emulator(tmp_path, "dies", Faults(die_after_requests=3)) as bad, emulator(tmp_path, "lives") as good:
        config = from_plan(PLAN, {"l4-fp8": [bad.url, good.url], "l40s-fp8": []})
        with router(tmp_path, config) as started:
            until(lambda: get(started.port, "/health")[1].get("healthy_endpoints") == 2)
            statuses: list[int] = []

            def one() -> None:
                statuses.append(ask(started.port, 100)[0])

            threads = [threading.Thread(target=one) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert Counter(statuses) == {200: 16}, "none of these had begun"
            assert bad.popen.wait(5) == 137
            status = get(started.port, "/hetops/status")[1]
    assert status["retries"] >= 1
    assert sum(e["in_flight"] for p in status["pools"] for e in p["endpoints"]) == 0


@pytest.mark.slow
def test_an_engine_that_hangs_is_noticed_and_those_who_wait_for_it_are_served_elsewhere(
    tmp_path: Path,
) -> None:
    with emulator(tmp_path, "hangs") as bad, emulator(tmp_path, "lives") as good:
        config = from_plan(PLAN, {"l4-fp8": [bad.url, good.url], "l40s-fp8": []})
        with router(tmp_path, config) as started:
            until(lambda: get(started.port, "/health")[1].get("healthy_endpoints") == 2)
            bad.popen.send_signal(signal.SIGSTOP)
            with Client(started.port, 25) as one, Client(started.port, 25) as two:
                one.send(request(chat(100)))
                two.send(request(chat(100)))
                assert [client.answer()[0] for client in (one, two)] == [200, 200]
            assert [ask(started.port, 100)[0] for _ in range(4)] == [200] * 4
            bad.popen.send_signal(signal.SIGCONT)
            until(lambda: get(started.port, "/health")[1]["healthy_endpoints"] == 2, 15)


def test_keys_are_asked_for_and_read_again(tmp_path: Path, replicas: Mapping[str, list[str]]) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# the first\nsk-1\n")
    config = from_plan(PLAN, replicas, RouterSettings(api_keys_file=str(keys)))
    with router(tmp_path, config, "--host", "0.0.0.0") as started:
        port = started.port
        assert ask(port, 20)[0] == 401
        assert ask(port, 20, "authorization: Bearer sk-1")[0] == 200
        keys.write_text("sk-2\n")
        until(lambda: ask(port, 20, "authorization: Bearer sk-2")[0] == 200)
        assert ask(port, 20, "authorization: Bearer sk-1")[0] == 401
        keys.unlink()
        until(lambda: get(port, "/hetops/status", "authorization: Bearer sk-2")[1]["warnings"])
        assert ask(port, 20, "authorization: Bearer sk-2")[0] == 200
        assert ask(port, 20)[0] == 401, "a file that is gone opens nothing"
        started.popen.send_signal(signal.SIGTERM)
        assert "sk-" not in started.ended()[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "not JSON"),
        ('{"format": "hetops.plan", "format_version": "1.0"}', "expected 'hetops.router'"),
        (
            json.dumps({**json.loads(codec.encode(from_plan(PLAN, {}))), "limits": {"head_bytes": -1}}),
            "head_bytes",
        ),
        (json.dumps({**json.loads(codec.encode(from_plan(PLAN, {}))), "shares": {}}), "class chat has none"),
    ],
)
def test_a_router_without_a_good_configuration_names_the_file_and_the_fault(
    tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "router.json"
    if content is not None:
        path.write_text(content)
    code, said = failed("--config", str(path), "--port", "0", folder=tmp_path)
    assert code == 1
    assert str(path) in said
    assert words in said


def test_a_port_that_is_taken_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "router.json", from_plan(PLAN, {}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = failed("--config", str(path), "--port", str(port), folder=tmp_path)
    assert code == 1
    assert f"port {port} on 127.0.0.1 cannot be used: Address already in use" in said
    assert "--port" in said


def test_keys_are_needed_beyond_this_machine_and_must_be_readable(tmp_path: Path) -> None:
    path = write(tmp_path / "router.json", from_plan(PLAN, {}))
    code, said = failed("--config", str(path), "--port", "0", "--host", "0.0.0.0", folder=tmp_path)
    assert code == 64
    assert "api_keys_file" in said
    keys = tmp_path / "keys"
    write(path, from_plan(PLAN, {}, RouterSettings(api_keys_file=str(keys))))
    code, said = failed("--config", str(path), "--port", "0", folder=tmp_path)
    assert code == 1
    assert f"file of API keys {keys} cannot be read" in said
    keys.write_text("# none\n")
    code, said = failed("--config", str(path), "--port", "0", folder=tmp_path)
    assert code == 1
    assert f"file of API keys {keys} has no key" in said


def test_the_command_line_itself_is_checked(tmp_path: Path) -> None:
    assert failed(folder=tmp_path)[0] == 64
    assert failed("--config", "x", "--port", "70000", folder=tmp_path)[0] == 64
