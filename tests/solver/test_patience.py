"""A search may be told to end: once it is remembered, twice it is cancelled."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from hetops.solver.patience import Patience, stoppable, stopped


def press(number: int = signal.SIGINT) -> None:
    """A signal to this process."""
    os.kill(os.getpid(), number)


def test_the_first_ctrl_c_ends_all_patience_and_the_second_cancels() -> None:
    patience = Patience.of(60.0)
    with stoppable():
        press()
        assert stopped()
        assert patience.left == 0
        with pytest.raises(KeyboardInterrupt):
            press()
    assert not stopped()
    assert 0 < patience.left <= 60


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    with stoppable():
        press()
    with pytest.raises(KeyboardInterrupt):
        press()


def test_a_signal_that_nobody_handles_is_left_alone() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_threads_that_cannot_catch_signals_search_as_well() -> None:
    ran: list[bool] = []

    def search() -> None:
        with stoppable():
            ran.append(stopped())

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert ran == [False]
