"""Signals and the clock stop a run, each in its own way."""

import signal

import pytest

from lokitalk_jax import process
from lokitalk_jax.training import stopping


@pytest.fixture
def stop():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    stop = stopping.Stop(max_minutes=0, log_every=10)
    yield stop
    stop.restore_handlers()
    assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]


def test_nothing_stops_a_run_by_itself(stop):
    assert stop(1) == "" and not stopping.urgent("")
    stopping.leave("", 1)


def test_sigterm_saves_and_leaves_with_its_status(stop):
    signal.raise_signal(signal.SIGTERM)
    reason = stop(7)
    assert stopping.urgent(reason)
    with pytest.raises(process.Terminated) as ended:
        stopping.leave(reason, 7)
    assert ended.value.code == 75 and "saved at step 7" in ended.value.state


def test_the_second_ctrl_c_does_not_wait(stop):
    signal.raise_signal(signal.SIGINT)
    reason = stop(7)
    assert reason == stopping.INTERRUPTED and stopping.urgent(reason)
    with pytest.raises(KeyboardInterrupt, match="saved at step 7"):
        stopping.leave(reason, 7)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_the_end_of_the_time_is_not_urgent():
    stop = stopping.Stop(max_minutes=1e-9, log_every=10)
    try:
        reason = stop(1)
    finally:
        stop.restore_handlers()
    assert reason == stopping.TIME_IS_UP and not stopping.urgent(reason)
    stopping.leave(reason, 1)
