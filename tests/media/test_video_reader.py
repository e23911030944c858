"""Pictures as a player shows them: colours, interlaced fields, mirrors, cut ends."""

import fractions
import re

import av
import numpy as np
import pytest
import video_files
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from lokitalk_jax.media import video_reader

# Colours in the middle of the range, of skin and clothes among them; [4, 4, 3].
COLOURS = np.array(
    [
        [(200, 150, 120), (90, 60, 50), (230, 225, 220), (30, 30, 40)],
        [(60, 90, 160), (40, 120, 60), (170, 40, 40), (128, 128, 128)],
        [(150, 100, 80), (220, 180, 160), (70, 70, 20), (100, 130, 150)],
        [(20, 60, 90), (180, 180, 90), (90, 40, 110), (210, 120, 60)],
    ],
    np.uint8,
)
TARGET = np.kron(COLOURS, np.ones((16, 16, 1), np.uint8))


def middles(image):
    """The middle of each of the 16 fields of colour, away from chroma's edges."""
    return image.reshape(4, 16, 4, 16, 3)[:, 4:12, :, 4:12].mean((1, 3))


def encode(path, rgb, pixels="yuv444p", size=None, **tags):
    """One picture, float [64, 64, 3] in [0, 1], coded as the tags say, in 16 bits."""
    tags = {"colorspace": 1, "color_range": 1, "trc": 1, "primaries": 1} | tags
    rgb16 = np.rint(np.clip(rgb, 0, 1) * 65535).astype(np.uint16)
    if size is not None:
        rgb16 = np.tile(rgb16, (-(-size[1] // 64), -(-size[0] // 64), 1))
        rgb16 = rgb16[: size[1], : size[0]]
    matrix = {1: Colorspace.ITU709, 9: Colorspace.BT2020, 6: Colorspace.ITU601}
    frame = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(rgb16[..., [0, 1, 2]]), "gbrp16le"
    )
    frame = frame.reformat(
        format=pixels,
        dst_colorspace=matrix[tags["colorspace"]],
        dst_color_range=ColorRange(tags["color_range"]),
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25)
        stream.height, stream.width = rgb16.shape[:2]
        stream.pix_fmt = pixels
        stream.options = {"crf": "4"}
        context = stream.codec_context
        untagged = tags.get("untagged")
        context.colorspace = 2 if untagged else tags["colorspace"]
        context.color_range = tags["color_range"]
        context.color_trc = 2 if untagged else tags["trc"]
        context.color_primaries = 2 if untagged else tags["primaries"]
        frame.pts, frame.time_base = 0, fractions.Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def first(path):
    return next(video_reader.read_frames(path))


def linear_2020(rgb, power):
    """Light of these colours in the primaries of BT.2020."""
    to_2020 = np.array(
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    if power is None:  # BT.709
        code = rgb / 255
        light = np.where(
            code < 0.081, code / 4.5, ((code + 0.099) / 1.099) ** (1 / 0.45)
        )
    else:
        light = (rgb / 255) ** power
    return light @ to_2020.T


def as_hlg(rgb):
    light = linear_2020(rgb, None) * 0.26496  # white at 75% of the signal
    bright = 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-9))
    return np.where(light <= 1 / 12, np.sqrt(3 * light), bright + 0.55991073)


def as_pq(rgb):
    root = (linear_2020(rgb, 2.4) * 203 / 10_000) ** (1305 / 8192)
    return ((107 / 128 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32)


@pytest.mark.parametrize(
    ("coded", "trc"), [(as_hlg, ColorTrc.ARIB_STD_B67), (as_pq, ColorTrc.SMPTE2084)]
)
def test_hdr_is_shown_as_the_picture_it_was_made_of(tmp_path, coded, trc):
    path = encode(
        tmp_path / "v.mkv",
        coded(TARGET.astype(float)),
        "yuv420p10le",
        colorspace=9,
        trc=trc,
        primaries=ColorPrimaries.BT2020,
    )
    difference = middles(first(path)) - COLOURS
    assert np.abs(difference).max() < 8 and np.abs(difference).mean() < 3


def test_brighter_than_white_keeps_its_hue(tmp_path):
    path = encode(
        tmp_path / "v.mkv",
        np.full((64, 64, 3), 0.95),
        "yuv420p10le",
        colorspace=9,
        trc=ColorTrc.ARIB_STD_B67,
        primaries=ColorPrimaries.BT2020,
    )
    shown = first(path).astype(int)
    assert shown.min() > 245 and np.ptp(shown.reshape(-1, 3), axis=1).max() < 4


@pytest.mark.parametrize(
    ("pixels", "tags"),
    [
        ("yuv420p", {}),
        ("yuv420p", {"color_range": 2}),
        ("yuv420p10le", {}),
        ("yuv420p10le", {"color_range": 2}),
        ("yuv420p", {"colorspace": 6, "primaries": 6, "trc": 6}),
        ("yuv420p", {"colorspace": 6, "untagged": True}),
    ],
)
def test_matrix_range_and_depth_are_honoured(tmp_path, pixels, tags):
    path = encode(tmp_path / "v.mkv", TARGET / 255, pixels, **tags)
    assert np.abs(middles(first(path)) - COLOURS).max() < 4


def test_untagged_high_definition_is_bt709(tmp_path):
    path = encode(
        tmp_path / "v.mp4", TARGET / 255, "yuv420p", size=(1280, 64), untagged=True
    )
    assert np.abs(middles(first(path)[:, :64]) - COLOURS).max() < 4


def bars(shift):
    """Vertical bars that have moved, [64, 96]."""
    columns = np.arange(96) - shift
    row = 128 + 100 * np.sign(np.sin(columns * 2 * np.pi / 32))
    return np.tile(row.astype(np.uint8), (64, 1))


@pytest.mark.parametrize("first_field", ["tff", "bff"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_interlaced_video_has_no_combs(tmp_path, first_field, codec):
    frames = []
    for index in range(10):
        early, late = bars(8 * index), bars(8 * index + 4)
        frame = early.copy() if first_field == "tff" else late.copy()
        frame[1::2] = (late if first_field == "tff" else early)[1::2]
        frames.append(frame)
    raw, path = tmp_path / "raw.gray", tmp_path / "v.mkv"
    raw.write_bytes(np.stack(frames).tobytes())
    options = ["-x264-params", f"{first_field}=1"] if codec == "libx264" else []
    options += ["-flags", "+ildct+ilme"] if codec == "mpeg2video" else []
    video_files.ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "gray", "-s", "96x64", "-r", 25, "-i", raw),
        *("-vf", f"setfield={first_field},format=yuv420p", "-c:v", codec),
        *("-q:v", 2, *options, path),
    )
    shown = [image[..., 1].astype(int) for image in video_reader.read_frames(path)]
    assert len(shown) == 10
    for image in shown[2:-2]:
        combs = np.abs(image[2:] + image[:-2] - 2 * image[1:-1]).mean() / 2
        assert combs < 4
        assert np.ptp(image) > 150


@pytest.mark.parametrize("flips", [["-display_hflip"], ["-display_vflip"]])
@pytest.mark.parametrize("degrees", [0, 90])
def test_a_mirrored_display_matrix_is_honoured(tmp_path, flips, degrees):
    plain = encode(tmp_path / "plain.mp4", TARGET[:, :48] / 255, "yuv420p")
    path = tmp_path / "v.mp4"
    video_files.ffmpeg(
        *("-display_rotation", degrees, *flips, "-i", plain, "-c", "copy", path)
    )
    shown = first(path)
    raw = video_files.ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    player = np.frombuffer(raw, np.uint8).reshape(shown.shape)
    assert np.abs(shown.astype(int) - player).mean() < 4
    assert np.abs(shown.astype(int) - shown[::-1, ::-1]).mean() > 20


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "flv"])
def test_a_cut_off_file_says_where_it_ends(tmp_path, caplog, suffix):
    whole, front = tmp_path / "v.mp4", tmp_path / f"front.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (50, 32, 32, 3), np.uint8)
    video_files.encode(whole, list(noise), np.arange(50) / 25)
    early = ("-movflags", "+faststart") if suffix == "mp4" else ()
    video_files.ffmpeg("-i", whole, "-c", "copy", *early, front)
    assert len(list(video_reader.read_frames(front))) == 50 and not caplog.text
    front.write_bytes(front.read_bytes()[: front.stat().st_size // 2])
    assert 10 < len(list(video_reader.read_frames(front))) < 40
    assert re.search(rf"front.{suffix} is cut off after .* of (2.0|1.9)", caplog.text)
