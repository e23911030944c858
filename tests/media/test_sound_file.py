"""Sound of all kinds, in time, from the track and channel that hold it."""

import av
import numpy as np
import pytest
import scipy.io.wavfile
import sound_files
import video_files
from sound_files import RATE, mono, tone

from lokitalk_jax.media import sound_file, sound_stream, sound_track


def write(path, samples, rate=RATE):
    scipy.io.wavfile.write(path, rate, samples)
    return path


def whole(path, track=None):
    sound = sound_file.open_sound(path, track)
    return np.concatenate(list(sound.read()))


def loud(samples, rate=RATE):
    """First and last time at which the sound is loud, seconds."""
    places = np.flatnonzero(np.abs(samples) > 0.05)
    return places[0] / rate, places[-1] / rate


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_any_rate(tmp_path, rate):
    path = write(tmp_path / "a.wav", tone(rate=rate).astype("f4"), rate)
    samples = whole(path)
    assert len(samples) == RATE
    middle = samples[2_000:14_000]
    peak = np.abs(np.fft.rfft(middle)).argmax() * RATE / len(middle)
    assert abs(peak - 440) < 3
    assert abs(np.abs(middle).max() - 0.5) < 0.02


def test_any_width_and_number_of_channels(tmp_path):
    eight_bit = (tone() * 127 + 128).astype(np.uint8)
    six = np.repeat(tone()[:, None], 6, 1).astype("f4")
    for name, samples in {"bits": eight_bit, "channels": six}.items():
        samples = whole(write(tmp_path / f"{name}.wav", samples))
        assert len(samples) == RATE
        assert np.abs(samples).max() > 0.2


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "pcm_s16le"), ("a.mp4", "aac"), ("a.mkv", "libopus")]
)
def test_late_sound_and_holes_keep_their_time(tmp_path, name, codec):
    rate = 48_000
    first, second = tone(0.5, rate=rate), tone(0.5, rate=rate)
    track = mono((0.6, first), (1.5, second))
    path = sound_files.encode(tmp_path / name, [track], codec, rate, pictures=True)
    sound = sound_file.open_sound(path)
    samples = np.concatenate(list(sound.read()))
    assert sound.seconds == pytest.approx(2.0, abs=0.05)
    assert len(samples) == round(sound.seconds * RATE)
    assert loud(samples) == pytest.approx((0.6, 2.0), abs=0.04)
    hole = samples[round(1.2 * RATE) : round(1.45 * RATE)]
    assert np.abs(hole).max() < 0.05
    # The sound of a video is the same.
    track = sound_track.opened(path)
    written = track.read(round(2.2 * sound_track.RATE)).to_ndarray()[0]
    assert loud(written, sound_track.RATE) == pytest.approx(loud(samples), abs=2e-3)


def test_sound_without_pictures_begins_where_it_begins(tmp_path):
    path = sound_files.encode(tmp_path / "a.mkv", [mono((3.0, tone()))])
    assert loud(whole(path))[0] < 0.01 and len(whole(path)) == RATE


def test_overlapping_sound_is_not_doubled():
    def frames():
        for time in (0.0, 0.8):
            frame = av.AudioFrame.from_ndarray(np.float32(tone())[None], "fltp", "mono")
            frame.sample_rate = RATE
            yield time, frame

    pieces = list(sound_stream.resampled(frames(), "mono", 48_000, 0.0))
    assert sum(piece.shape[1] for piece in pieces) == 1.8 * 48_000


def test_a_timestamp_beyond_the_end_is_not_believed(tmp_path):
    samples = tone(2.0)
    path = tmp_path / "a.mkv"
    sound_files.encode(path, [mono((0.0, samples[:RATE]), (1.0, samples[RATE:]))])
    contents = bytearray(path.read_bytes())
    cluster = contents.rindex(bytes.fromhex("1F43B675"))
    place = contents.index(0xE7, cluster)  # the cluster's time
    contents[place + 2] |= 0x7F
    path.write_bytes(contents)
    assert len(whole(path)) < 4 * RATE


def test_the_default_track_is_chosen_and_a_number_chooses_another(tmp_path):
    tracks = [mono((0.0, tone(hz=300))), mono((0.0, tone(hz=1000)))]
    for name in ("a.mkv", "a.mp4"):
        codec = "aac" if name.endswith("mp4") else "pcm_s16le"
        path = sound_files.encode(tmp_path / name, tracks, codec, default=2)
        assert [frequency(whole(path, t)) for t in (None, 1, 2)] == [1000, 300, 1000]
        with pytest.raises(ValueError, match="audio_track=3: .* 2 audio tracks"):
            sound_file.open_sound(path, 3)


def frequency(samples):
    spectrum = np.abs(np.fft.rfft(samples[1000:15000]))
    return round(spectrum.argmax() * RATE / 14000, -1)


def undecodable(path):
    """Renames the codec of the first track of an mp4 that has one to be renamed."""
    contents = path.read_bytes()
    for name, other in ((b"mp4a", b"apac"), (b"esds", b"dapa")):
        assert name in contents
        contents = contents.replace(name, other, 1)
    path.write_bytes(contents)
    return path


@pytest.mark.parametrize("default", [1, 2])
def test_a_track_that_cannot_be_decoded_is_passed_over(tmp_path, default):
    tracks = [mono((0.0, tone(hz=300))), mono((0.0, tone(hz=1000)))]
    path = sound_files.encode(tmp_path / "a.mp4", tracks, "aac", default=default)
    undecodable(path)
    assert frequency(whole(path)) == 1000
    with pytest.raises(ValueError, match="track 1 of the audio tracks .* be decoded"):
        sound_file.open_sound(path, 1)
    with pytest.raises(ValueError, match="none of the audio tracks"):
        sound_file.open_sound(undecodable(path))


def test_a_silent_track_names_a_loud_one(tmp_path):
    tracks = [mono((0.0, 0 * tone())), mono((0.0, tone()))]
    path = sound_files.encode(tmp_path / "a.mkv", tracks, default=1)
    sound = sound_file.open_sound(path)
    assert sound.silent and sound.louder == (2,)
    with pytest.raises(ValueError, match="track 1 of .* is silent.*audio_track=2"):
        sound.refuse_silence()
    sound_file.open_sound(path, 2).refuse_silence()


@pytest.mark.parametrize(
    ("name", "codec", "rest"),
    [("a.m4a", "aac", 0), ("a.mkv", "libopus", 0), ("a.mkv", "pcm_s16le", 4)],
)
def test_opposite_phase_of_other_codecs_and_channels(tmp_path, name, codec, rest):
    rate = 48_000
    both = np.float32([tone(rate=rate), -tone(rate=rate)])
    channels = np.concatenate([both, np.zeros((rest, rate), np.float32)])
    path = sound_files.encode(tmp_path / name, [[(0.0, channels)]], codec, rate)
    assert sound_file.open_sound(path).channel is not None
    assert np.abs(whole(path)[1_000:-1_000]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("other", [-1.0, -0.7])
def test_opposite_phase_does_not_cancel(tmp_path, other):
    stereo = np.stack([tone(), other * tone()], 1).astype("f4")
    path = write(tmp_path / "a.wav", stereo)
    assert sound_file.open_sound(path).channel == 0
    assert np.abs(whole(path)).max() == pytest.approx(0.5, abs=0.01)
    assert sound_track.opened(path).layout == "mono"


@pytest.mark.parametrize("other", [1.0, 0.0])
def test_other_stereo_is_averaged(tmp_path, other):
    stereo = np.stack([tone(), other * tone()], 1).astype("f4")
    path = write(tmp_path / "a.wav", stereo)
    assert sound_file.open_sound(path).channel is None
    assert np.abs(whole(path)).max() == pytest.approx(0.25 * (1 + other), abs=0.01)
    assert sound_track.opened(path).layout == "stereo"


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.wav", "pcm_s16le"), ("a.mkv", "pcm_s16le"), ("a.flac", "flac")],
)
def test_a_truncated_file_gives_its_beginning_and_says_so(
    tmp_path, caplog, name, codec
):
    path = sound_files.encode(tmp_path / name, [mono((0.0, tone(4.0)))], codec)
    assert len(whole(path)) == 4 * RATE and not caplog.text
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    length = len(whole(path)) / RATE
    assert 2 < length < 3
    assert f"{name} is cut off after {length:.2f} s of 4.00 s" in caplog.text


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_a_file_of_a_pipe_is_not_cut_off(tmp_path, caplog, kind):
    sine = ("-f", "lavfi", "-i", "sine=duration=2")
    path = tmp_path / f"a.{kind}"
    path.write_bytes(video_files.ffmpeg(*sine, "-f", kind, "-"))
    assert len(whole(path)) == 2 * RATE and not caplog.text


def test_a_truncated_file_says_where_it_ends(tmp_path, caplog):
    path, front = tmp_path / "a.mp4", tmp_path / "front.mp4"
    sound_files.encode(path, [mono((0.0, tone(4.0)))], "aac")
    video_files.ffmpeg("-i", path, "-c", "copy", "-movflags", "+faststart", front)
    whole(front)
    assert not caplog.text
    contents = front.read_bytes()
    front.write_bytes(contents[: len(contents) * 2 // 3])
    length = len(whole(front)) / RATE
    assert f"front.mp4 is cut off after {length:.2f} s of 4." in caplog.text


@pytest.mark.parametrize(
    "name", ["take12:30.wav", "-a.wav", "http:a.wav", "50%d.wav", "Grüße 你好.wav"]
)
def test_any_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name, tone().astype("f4"))
    assert len(whole(name)) == RATE


def test_a_tag_of_another_encoding_is_no_obstacle(tmp_path):
    path = tmp_path / "a.mkv"
    sound_files.encode(path, [mono((0.0, tone()))])
    contents = path.read_bytes()
    assert b"Lavf" in contents
    path.write_bytes(contents.replace(b"Lavf", b"L\xe4\xfff"))
    assert len(whole(path)) == RATE


def test_what_cannot_be_used_is_refused(tmp_path):
    silent = write(tmp_path / "silent.wav", np.zeros(RATE, "i2"))
    empty = write(tmp_path / "empty.wav", np.zeros(0, "i2"))
    bad = tone().astype("f4")
    bad[8_000] = np.nan
    bad = write(tmp_path / "bad.wav", bad)
    text = tmp_path / "text.wav"
    text.write_text("not a sound")
    refused = {
        tmp_path / "none.wav": "no such file: .*none.wav",
        tmp_path: "is not a file",
        silent: r"silent.wav is silent: no sample of its 1.0 s",
        empty: "empty.wav",
        bad: "bad.wav holds samples that are not numbers, the first at 0.5",
        text: "text.wav is not a video or sound file",
    }
    for path, message in refused.items():
        with pytest.raises(ValueError, match=message):
            sound_file.open_sound(path).refuse_silence()
