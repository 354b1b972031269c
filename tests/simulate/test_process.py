"""The process of an emulated engine: how it starts, ends, and acts out the faults that it was told to."""

from __future__ import annotations

import signal
import socket
import time

import httpx
import pytest

from hetops.simulate.options import Faults
from tests.simulate.engines import PATIENCE_SECONDS, chat_body, engine, started


def test_sigterm_lets_a_running_stream_finish_and_takes_nothing_new(tmp_path) -> None:
    with engine(tmp_path) as running:
        with running.client.stream(
            "POST", "/v1/chat/completions", json=chat_body(stream=True, max_tokens=100)
        ) as answer:
            lines = answer.iter_lines()
            first = next(lines)
            running.process.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line]
        assert first.startswith("data: ")
        assert rest[-1] == "data: [DONE]"
        assert len(rest) >= 100
        assert running.process.wait(PATIENCE_SECONDS) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{running.url}/health")


def test_a_drain_ends_when_its_time_is_over(tmp_path) -> None:
    with engine(tmp_path, drain_seconds=0.5) as running:
        body = chat_body(stream=True, max_tokens=8000)
        with running.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            running.process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.TransportError):
                list(lines)
        running.process.wait(PATIENCE_SECONDS)


def test_it_says_that_it_is_loading_until_it_is_ready(tmp_path) -> None:
    with engine(tmp_path, faults=Faults(start_seconds=2.0)) as running:
        assert running.client.get("/health").status_code == 503
        refused = running.chat()
        assert (refused.status_code, refused.json()["error"]["message"]) == (503, "loading model")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while running.client.get("/health").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert running.chat().status_code == 200


def test_every_nth_request_fails_with_the_status_asked_for(tmp_path) -> None:
    with engine(tmp_path, speed=50.0, faults=Faults(fail_every=3, fail_status=429)) as running:
        found = [running.chat().status_code for _ in range(6)]
        assert found == [200, 200, 429, 200, 200, 429]
        assert running.client.get("/health").status_code == 200


def test_it_dies_at_the_first_token_of_the_request_after_the_last_good_one(tmp_path) -> None:
    with engine(tmp_path, speed=50.0, faults=Faults(die_after_requests=1)) as running:
        assert running.chat().status_code == 200
        with pytest.raises(httpx.TransportError):
            running.chat()
        assert running.process.wait(PATIENCE_SECONDS) == 137


def test_it_hangs_without_a_word_and_is_healthy_all_the_same(tmp_path) -> None:
    with engine(tmp_path, speed=50.0, faults=Faults(hang_after_requests=1)) as running:
        assert running.chat().status_code == 200
        with httpx.Client(base_url=running.url, timeout=0.5) as hasty, pytest.raises(httpx.ReadTimeout):
            hasty.post("/v1/chat/completions", json=chat_body())
        assert running.client.get("/health").status_code == 200


def test_it_ends_at_once_with_the_words_it_was_given(tmp_path) -> None:
    with started(tmp_path, faults=Faults(exit_at_start="CUDA out of memory")) as process:
        _, talk = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, talk.splitlines()[-1]) == (1, "CUDA out of memory")


def test_a_port_that_is_taken_is_a_word_and_exit_code_one(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(tmp_path, port=port) as process:
            _, talk = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in talk
