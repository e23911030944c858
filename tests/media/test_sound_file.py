"""Sound files of all kinds, and what is refused."""

import numpy as np
import pytest
import scipy.io.wavfile

from lokitalk_jax.media import sound_file


def tone(rate=16_000, seconds=1.0, hz=440):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def write(path, samples, rate=16_000):
    scipy.io.wavfile.write(path, rate, samples)
    return path


def whole(path):
    return np.concatenate(list(sound_file.read(path)))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_any_rate(tmp_path, rate):
    heard = whole(write(tmp_path / "a.wav", tone(rate).astype("f4"), rate))
    assert abs(len(heard) - 16_000) < 200
    middle = heard[2_000:14_000]
    peak = np.abs(np.fft.rfft(middle)).argmax() * 16_000 / len(middle)
    assert abs(peak - 440) < 3
    assert abs(np.abs(middle).max() - 0.5) < 0.02


def test_any_width_and_number_of_channels(tmp_path):
    eight_bit = (tone() * 127 + 128).astype(np.uint8)
    six = np.repeat(tone()[:, None], 6, 1).astype("f4")
    for name, samples in {"bits": eight_bit, "channels": six}.items():
        heard = whole(write(tmp_path / f"{name}.wav", samples))
        assert abs(len(heard) - 16_000) < 200
        assert np.abs(heard).max() > 0.2


def test_a_truncated_file_gives_what_it_holds(tmp_path):
    path = write(tmp_path / "a.wav", (tone(seconds=2) * 32767).astype("i2"))
    path.write_bytes(path.read_bytes()[:40_000])
    assert 15_000 < len(whole(path)) < 20_100


def test_what_cannot_be_used_is_refused(tmp_path):
    silent = write(tmp_path / "silent.wav", np.zeros(16_000, "i2"))
    empty = write(tmp_path / "empty.wav", np.zeros(0, "i2"))
    bad = tone().astype("f4")
    bad[8_000] = np.nan
    bad = write(tmp_path / "bad.wav", bad)
    text = tmp_path / "text.wav"
    text.write_text("not a sound")
    refused = {
        tmp_path / "none.wav": "no such file: .*none.wav",
        silent: r"silent.wav is silent: no sample of its 1.0 s",
        empty: "empty.wav",
        bad: "bad.wav holds samples that are not numbers, the first at 0.5",
        text: "text.wav is not a video or audio file",
    }
    for path, message in refused.items():
        with pytest.raises(ValueError, match=message):
            sound_file.check(path)
