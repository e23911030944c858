import numpy as np
import pytest

from lokitalk_jax.media import recoding


def clip(count=30, height=63, width=50):
    """Smooth shapes that drift, with noise."""
    row, column = np.mgrid[:height, :width]
    rng = np.random.default_rng(0)
    for index in range(count):
        waves = [np.sin((row + k * column + index) / 9) for k in range(3)]
        noise = rng.normal(size=(height, width, 3))
        yield np.uint8(np.clip(128 + 80 * np.stack(waves, -1) + 4 * noise, 0, 255))


def errors(factor):
    frames = list(clip())
    coded = list(recoding.recoded(frames, factor))
    assert [x.shape for x in coded] == [x.shape for x in frames]
    pairs = zip(frames, coded, strict=True)
    return np.array([np.square(a - np.float64(b)).mean() for a, b in pairs])


def test_frames_come_back_in_order_and_nearly_as_they_were():
    fine, coarse = errors(16), errors(35)
    assert fine.max() < 60 < 3 * coarse.mean()
    assert (fine < coarse).mean() > 0.9
    # A frame is nearest to itself, not to its neighbours.
    frames, coded = list(clip()), list(recoding.recoded(clip(), 16))
    apart = [np.square(frame - np.float64(coded[10])).mean() for frame in frames]
    assert int(np.argmin(apart)) == 10


def test_no_frames_stay_none():
    assert list(recoding.recoded([], 23)) == []


@pytest.mark.parametrize("text", ["crf52", "23", "crf", "h264", "crf-1"])
def test_other_codings_are_refused(text):
    with pytest.raises(ValueError, match=f"recode={text} must be"):
        recoding.rate_factor(text)
    assert recoding.rate_factor("crf23") == 23
