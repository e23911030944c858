"""Makes the video files that the tests of preparation read."""

import fractions
import subprocess

import av
import imageio_ffmpeg
import numpy as np

_CLOCK = 90_000


def encode(
    path,
    frames,
    times,
    sound=None,
    sound_rate=44_100,
    sound_start=0.0,
):
    """Writes RGB frames, shown at `times` (seconds), and sound [channels, samples]."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.options = {"crf": "12", "preset": "veryfast"}
        video.codec_context.time_base = fractions.Fraction(1, _CLOCK)
        if sound is not None:
            layout = "mono" if len(sound) == 1 else "stereo"
            audio = container.add_stream("aac", rate=sound_rate, layout=layout)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound, np.float32), "fltp", layout
            )
            frame.sample_rate = sound_rate
            frame.time_base = fractions.Fraction(1, sound_rate)
            frame.pts = round(sound_start * sound_rate)
        for image, time in zip(frames, times, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            picture.time_base = fractions.Fraction(1, _CLOCK)
            picture.pts = round(time * _CLOCK)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if sound is not None:
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def ffmpeg(*arguments):
    """Runs ffmpeg; returns what it wrote to its standard output."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments]
    return subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE
    ).stdout


def blob(x, y, height=72, width=96):
    """A picture with a bright round patch at (x, y), the tests' face."""
    rows, columns = np.indices((height, width))
    patch = np.exp(-((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2) / 128)
    grey = 40 + 200 * patch
    return np.repeat(grey[..., None], 3, 2).astype(np.uint8)


def blob_place(image):
    """Where the patch is, (x, y)."""
    weight = np.maximum(image.astype(np.float64).mean(-1) - 80, 0)
    rows, columns = np.indices(weight.shape) + 0.5
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
