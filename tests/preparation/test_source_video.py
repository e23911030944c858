import numpy as np
import pytest
import video_files

from lokitalk_jax import structs
from lokitalk_jax.preparation import crop, source_sound, source_video, survey, timeline

REPEATED, MOVED = 0.3, 9.0


def sway(count, pace=1.0):
    """Places of a patch that is never still."""
    t = np.arange(count) * pace
    return np.stack([30 + 30 * np.sin(t / 4) ** 2, 36 + 12 * np.cos(t / 5)], 1)


def blobs(places):
    return [video_files.blob(x, y) for x, y in places]


def surveyed(path, **stretch):
    clip = source_video.probe(path)
    start, end = stretch.get("start", 0.0), stretch.get("end")
    found = survey.look(clip, lambda rgb: [], start, end)
    grid = timeline.lay_out(found.times, found.changes, start, end)
    decoded = list(source_video.decode(clip, start, end))
    shown = [
        video_files.blob_place(source_video.upright(clip, decoded[i][1]))
        for i in grid.source
    ]
    return clip, grid, np.array(shown)


@pytest.mark.parametrize("phase", range(6))
def test_pulldown_loses_and_repeats_nothing(phase):
    # 25 true frames a second, one in six shown twice, at any place in the cycle.
    content = np.cumsum(np.arange(300) % 6 != phase)
    changes = np.where(np.diff(content, prepend=-1) == 0, REPEATED, MOVED)
    grid = timeline.lay_out(np.arange(300) / 30, changes)
    shown = content[grid.source]
    assert len(shown) == 250
    np.testing.assert_array_equal(np.diff(shown), 1)
    assert not grid.duplicate.any()


def test_true_30_fps_is_sampled_by_time():
    times = np.arange(90) / 30
    grid = timeline.lay_out(times, np.full(90, MOVED))
    ticks = np.arange(75) / structs.FPS
    lateness = ticks - times[grid.source]
    assert len(grid.source) == 75
    assert lateness.min() > -2e-3 and lateness.max() < 1 / 30


def test_slow_and_still_video_is_flagged():
    # 12.5 fps: each frame is shown at two ticks; frame 5 looks like frame 4.
    changes = np.full(40, MOVED)
    changes[5] = REPEATED
    grid = timeline.lay_out(np.arange(40) / 12.5, changes)
    expected = np.arange(80) % 2 == 1
    expected[10] = True
    np.testing.assert_array_equal(grid.duplicate, expected)


def test_variable_rate_keeps_time(tmp_path):
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.015, 0.09, 70)).round(4)
    places = sway(70)
    path = video_files.encode(tmp_path / "v.mp4", blobs(places), times)
    clip, grid, shown = surveyed(path)
    times -= times[0]
    ticks = np.arange(len(shown)) / structs.FPS
    newest = np.searchsorted(times, ticks + 1e-3, side="right") - 1
    assert abs(len(shown) - times[-1] * structs.FPS) < 3
    np.testing.assert_allclose(shown, places[newest], atol=0.3)
    # A repeated picture is flagged, whichever way it came about.
    np.testing.assert_array_equal(grid.duplicate[1:], np.diff(newest) == 0)


def test_encoded_pulldown_is_undone(tmp_path):
    places = sway(50)
    content = np.arange(60) * 5 // 6
    path = video_files.encode(
        tmp_path / "v.mp4", blobs(places[content]), np.arange(60) / 30
    )
    clip, grid, shown = surveyed(path)
    np.testing.assert_allclose(shown, places, atol=0.3)
    assert not grid.duplicate.any()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_stretch_is_that_part_of_the_whole(tmp_path, suffix):
    places = sway(120)
    path = video_files.encode(
        tmp_path / f"v.{suffix}", blobs(places), np.arange(120) / 25
    )
    _, grid, shown = surveyed(path, start=2.2, end=3.0)
    assert grid.start == pytest.approx(2.2)
    np.testing.assert_allclose(shown, places[55:75], atol=0.3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_flag_is_honoured(tmp_path, degrees):
    plain = video_files.encode(
        tmp_path / "plain.mp4", blobs(sway(5)), np.arange(5) / 25
    )
    turned = tmp_path / "turned.mp4"
    video_files.ffmpeg("-display_rotation", degrees, "-i", plain, "-c", "copy", turned)
    clip = source_video.probe(turned)
    ours = np.stack(
        [source_video.upright(clip, f) for _, f in source_video.decode(clip)]
    )
    raw = video_files.ffmpeg("-i", turned, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    theirs = np.frombuffer(raw, np.uint8).reshape(5, clip.height, clip.width, 3)
    assert (clip.height > clip.width) == (degrees != 180)
    assert np.abs(ours.astype(int) - theirs).max() < 12  # chroma is scaled differently


def clicks(rate, times, seconds, channels):
    sound = np.zeros((channels, round(seconds * rate)), np.float32)
    for time in times:
        begin = round(time * rate)
        ring = np.sin(np.arange(rate // 100) * 2 * np.pi * 1500 / rate)
        sound[:, begin : begin + len(ring)] += 0.7 * ring
    return sound


def onset(samples):
    return np.flatnonzero(np.abs(samples) > 0.2)[0] / structs.AUDIO_RATE


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("rate", "channels", "video_start", "sound_start"),
    [(48_000, 1, 0.0, 0.0), (44_100, 2, 0.0, 0.24), (22_050, 2, 0.2, 0.0)],
)
def test_sound_is_on_the_clock_of_the_frames(
    tmp_path, suffix, rate, channels, video_start, sound_start
):
    click = 1.0
    path = video_files.encode(
        tmp_path / f"v.{suffix}",
        blobs(sway(50)),
        video_start + np.arange(50) / 25,
        clicks(rate, [click], 2, channels),
        rate,
        sound_start,
    )
    clip = source_video.probe(path)
    sound = source_sound.find(clip, None)
    samples = source_sound.read(clip, sound, 0.0, 2 * structs.AUDIO_RATE)
    assert samples.shape == (2 * structs.AUDIO_RATE,) and samples.dtype == np.float32
    expected = click + sound_start - video_start
    assert onset(samples) == pytest.approx(expected, abs=2e-3)
    later = source_sound.read(clip, sound, 0.4, structs.AUDIO_RATE)
    assert onset(later) == pytest.approx(expected - 0.4, abs=2e-3)


@pytest.mark.parametrize(
    ("contents", "said"),
    [(None, "no such file"), (b"hello\n" * 900, "not a video"), ("sound", "no video")],
)
def test_what_is_not_a_video_is_refused(tmp_path, contents, said):
    path = tmp_path / "v.mp4"
    if contents == "sound":
        tone = "sine=duration=1"
        video_files.ffmpeg("-f", "lavfi", "-i", tone, path)
    elif contents is not None:
        path.write_bytes(contents)
    with pytest.raises(ValueError, match=said):
        source_video.probe(path)


def test_a_broken_middle_is_passed_over(tmp_path):
    path = video_files.encode(tmp_path / "v.mkv", blobs(sway(200)), np.arange(200) / 25)
    contents = bytearray(path.read_bytes())
    middle = len(contents) // 2
    contents[middle : middle + 200] = bytes(200)
    path.write_bytes(contents)
    clip = source_video.probe(path)
    times = np.array([time for time, _ in source_video.decode(clip)])
    assert len(times) > 50 and (np.diff(times) > 0).all()
    assert times[-1] > 7.5


def face_at(rgb):
    """Landmarks of the patch: 478 points on rings around it."""
    angles = np.linspace(0, 40, 478)
    ring = np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)
    scale = rgb.shape[1] / 96
    place = np.append(video_files.blob_place(rgb), 0)
    return [np.float32(place + 10 * scale * ring)]


def looked_at(tmp_path, places):
    path = video_files.encode(
        tmp_path / "v.mp4", blobs(places), np.arange(len(places)) / 25
    )
    clip = source_video.probe(path)
    return clip, survey.look(clip, face_at, 0.0, None)


def test_motion_and_dropped_frames_are_no_cut(tmp_path):
    places = sway(300, 0.3)
    kept = np.delete(np.arange(300), np.arange(4, 300, 5))  # one in five is missing
    clip, found = looked_at(tmp_path, places[kept])
    assert not len(found.cuts)
    survey.check(clip, found, 0.0)


def test_a_face_that_is_small_in_the_frame_is_searched_for(tmp_path):
    def near_sighted(rgb):  # sees what fills its picture, and no more
        place = video_files.blob_place(rgb) if rgb.max() > 200 else np.zeros(2)
        centred = (place > 10).all() and (place < np.array(rgb.shape[1::-1]) - 10).all()
        return face_at(rgb) if rgb.shape[0] < 50 and centred else []

    places = np.linspace([20, 20], [76, 52], 80)
    path = video_files.encode(tmp_path / "v.mp4", blobs(places), np.arange(80) / 25)
    clip = source_video.probe(path)
    whole = survey.look(clip, near_sighted, 0.0, None, in_parts=False)
    assert np.isnan(whole.boxes).all()
    found = survey.look(clip, near_sighted, 0.0, None)
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    sampled = np.searchsorted(found.times, np.arange(len(centres)) * 0.5 - 1e-3)
    np.testing.assert_allclose(centres, places[sampled], atol=3)
    assert not found.rivals.any()


def test_a_cut_is_refused_with_its_time_and_remedy(tmp_path):
    places = np.concatenate([sway(60, 0.3), sway(160, 0.3)[70:] + [12, -6]])
    clip, found = looked_at(tmp_path, places)
    np.testing.assert_allclose(found.cuts, [2.4], atol=1e-3)
    with pytest.raises(ValueError, match=r"at 2\.40 s;.*start=2\.40 end=6\.00"):
        survey.check(clip, found, 0.0)


def test_short_faceless_and_crowded_videos_are_refused(tmp_path):
    clip, found = looked_at(tmp_path, sway(100))
    survey.check(clip, found, 0.0)
    few = found._replace(times=found.times[:50])
    with pytest.raises(ValueError, match="2.00 s long"):
        survey.check(clip, few, 0.0)
    boxes = found.boxes.copy()
    boxes[::2] = np.nan
    with pytest.raises(ValueError, match="no face was found in 50%.* leaves 2.0 s"):
        survey.check(clip, found._replace(boxes=boxes), 0.0)
    with pytest.raises(ValueError, match="several faces"):
        survey.check(clip, found._replace(rivals=~found.rivals), 0.0)


@pytest.mark.parametrize("corner", [(5, 5), (880, 300), (400, 1500)])
def test_crop_moves_into_the_frame(corner):
    x, y = corner
    boxes = np.float32([[x, y, x + 180, y + 220]] * 9)
    window = crop.head_and_shoulders(boxes, 1920, 1080, 512)
    assert window.width == window.height == round(2.3 * 220)
    assert 0 <= window.left <= 1080 - window.width
    assert 0 <= window.top <= 1920 - window.height
    assert window.left <= x and window.left + window.width >= x + 180
    assert window.top <= y and window.top + window.height >= y + 220


def test_crop_repeats_the_edge_only_where_the_head_fills_the_frame():
    wide = crop.head_and_shoulders(
        np.float32([[500, 100, 700, 340]] * 9), 400, 1280, 64
    )
    assert (wide.width, wide.top) == (400, 0)
    rows, columns = np.indices((400, 1280))
    image = np.stack([columns % 251, rows % 251, rows * 0], -1).astype(np.uint8)
    assert crop.cut_out(image, wide).shape == (64, 64, 3)

    tight = crop.head_and_shoulders(
        np.float32([[420, 10, 780, 395]] * 9), 400, 1280, 64
    )
    assert tight.width > 400 and tight.top < 0 <= tight.left
    tight = tight._replace(out_width=tight.width, out_height=tight.height)
    cut = crop.cut_out(image, tight)
    np.testing.assert_array_equal(
        cut[: -tight.top], cut[[-tight.top]][[0] * -tight.top]
    )
    np.testing.assert_array_equal(
        cut[-tight.top :][:400],
        image[:, tight.left : tight.left + tight.width],
    )


def test_whole_frame_keeps_its_shape():
    window = crop.whole(1080, 1920, 512)
    assert (window.out_width, window.out_height) == (512, 288)
    assert crop.whole(1919, 1080, 512)[4:] == (288, 512)
