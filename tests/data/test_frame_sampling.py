"""Which frames are drawn."""

import numpy as np
import pytest

from lokitalk_jax.data import frame_sampling
from lokitalk_jax.data.frame_sampling import Unusual
from lokitalk_jax.structs import Signals


@pytest.fixture(scope="module")
def signals():
    lip, eye = np.zeros((100, 8), np.float32), np.ones((100, 3), np.float32)
    lip[[10, 90]] = 2
    eye[20:22] = 0
    return Signals(lip=lip, eye=eye, head=np.zeros((100, 6)), torso=np.zeros((100, 18)))


def test_open_mouths_and_blinks_are_drawn_by_their_shares(signals):
    frames = np.arange(80)  # the mouth at 90 is held out
    found = frame_sampling.chances(signals, frames, Unusual(lip=0.4, eye=0.2))
    np.testing.assert_allclose(found.sum(), 1)
    np.testing.assert_allclose(found[10], 0.4 + 0.4 / 80)
    np.testing.assert_allclose(found[20:22], 0.1 + 0.4 / 80)
    np.testing.assert_allclose(np.delete(found, [10, 20, 21]), 0.4 / 80)


def test_a_face_that_never_moves_is_drawn_evenly(signals):
    found = frame_sampling.chances(signals, np.arange(30, 50), Unusual(0.5, 0.5))
    np.testing.assert_allclose(found, 1 / 20)


@pytest.mark.parametrize("shares", [(-0.1, 0), (0.6, 0.5)])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(ValueError, match="data.unusual"):
        Unusual(*shares).check()
