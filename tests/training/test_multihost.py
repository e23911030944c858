"""Two processes of two devices each train what one process of four does."""

import jax
import numpy as np
import pytest
import tiny_train
from test_resume import load, metrics

pytestmark = pytest.mark.timeout(600)


@pytest.mark.heavy
def test_two_processes_equal_one(people, whole_run, tmp_path):
    run = tmp_path / "run"
    pair = tiny_train.start_pair(people, run)
    try:
        # One is asked to stop: both must agree on a step, save it together and end.
        tiny_train.wait_for_checkpoint(pair[0], run, after=12)
        pair[1].terminate()
        for process in pair:
            tiny_train.finish(process, run, status=75)
    finally:
        for process in pair:
            process.kill()
    left = tiny_train.saved(run)[-1]
    assert 12 < left < tiny_train.STEPS
    assert tiny_train.log(run).count(f"stopping at step {left}: SIGTERM") == 2

    # Again, before the first step: as soon as it is resumed, while it compiles.
    pair = tiny_train.start_pair(people, run)
    try:
        tiny_train.wait_for_words(pair[0], run, f"resuming {run} at step {left}")
        pair[1].terminate()
        for process in pair:
            tiny_train.finish(process, run, status=75)
    finally:
        for process in pair:
            process.kill()
    assert tiny_train.saved(run)[-1] == left + 1

    ours, theirs = metrics(run), metrics(whole_run)
    shared = sorted(ours.keys() & theirs.keys())
    assert shared[:3] == [4, 8, 12]
    for step in shared:
        for name in ("loss", "psnr/anna", "psnr/bert", "psnr/carl"):
            np.testing.assert_allclose(ours[step][name], theirs[step][name], rtol=1e-4)
    # One device restores what four have saved, of one process or two.
    got, wanted = load(run, shared[-1]), load(whole_run, shared[-1])
    assert got.step == shared[-1]
    # Adam divides by the size of gradients, those that are rounding errors included.
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert np.mean(np.abs(a - b) > 1e-4 + 1e-3 * np.abs(b)) < 0.01


@pytest.mark.heavy
def test_two_processes_come_to_an_end(people, tmp_path):
    run = tmp_path / "run"
    # What follows the last step reads the run, for which processes wait for each other.
    flags = ("--config.train.steps=4", "--config.voice.hears=phones")
    flags += ("--config.voice.fit=True",)
    pair = tiny_train.start_pair(people, run, flags)
    try:
        for process in pair:
            assert process.wait(timeout=120) == 0, tiny_train.log(run)
    finally:
        for process in pair:
            process.kill()
    assert tiny_train.log(run).count("none of the clips has sound") == 2
    assert tiny_train.log(run).count("4 steps done") == 2
