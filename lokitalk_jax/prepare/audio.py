"""The sound of a video, on the clock of its frames, and what is heard in it."""

import wave
from pathlib import Path

import av
import librosa
import numpy as np

from lokitalk_jax import files, structs
from lokitalk_jax.prepare import video

MEL_COUNT = 80
MEL_RATE = 100  # rows a second
_WINDOW = structs.AUDIO_RATE // 40  # 25 ms
_FLOOR = 1e-6  # mel power of silence, so that its logarithm is finite
_GAP = 0.04  # seconds of missing sound that are kept as silence


def read(clip: video.Clip, start: float, count: int) -> np.ndarray:
    """Sound from time `start` of the video: float32 [count], 16 kHz, mono.

    Any rate, channel count and format is converted. Sound that begins late, stops
    early or has holes is filled with silence, so that samples keep their time.

    Args:
      clip: a video with an audio stream.
      start: seconds from the video's first frame.
      count: samples.

    Raises:
      UnusableVideo: the stream holds no sound that can be decoded.
    """
    samples = np.zeros(count, np.float32)
    heard = False
    for time, part in _segments(clip):
        heard = True
        begin = round((time - start) * structs.AUDIO_RATE)
        part = part[max(-begin, 0) :]
        begin = max(begin, 0)
        part = part[: max(count - begin, 0)]
        samples[begin : begin + len(part)] = part
    if not heard:
        raise video.UnusableVideo(
            f"{clip.path.name}: its audio stream holds nothing that can be decoded; "
            "save the video again, or pass --no-audio"
        )
    return samples


def _segments(clip: video.Clip):
    """(time, 16 kHz samples) of each stretch of sound without holes."""
    parts, begin, expected, resampler = [], 0.0, None, None
    with av.open(str(clip.path)) as container:
        stream = container.streams.audio[0]
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                time = expected
                if frame.pts is not None:
                    time = float(frame.pts * frame.time_base) - clip.origin
                if expected is None or abs(time - expected) > _GAP:
                    if parts:
                        yield begin, _join(parts, resampler)
                    resampler = av.AudioResampler("flt", "mono", structs.AUDIO_RATE)
                    parts, begin = [], time or 0.0
                    expected = begin
                expected += frame.samples / frame.sample_rate
                frame.pts = None  # the resampler would fill holes by itself
                parts += [r.to_ndarray()[0] for r in resampler.resample(frame)]
        if parts:
            yield begin, _join(parts, resampler)


def _join(parts, resampler) -> np.ndarray:
    tail = [r.to_ndarray()[0] for r in resampler.resample(None)]
    return np.concatenate(parts + tail)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Natural logarithm of the mel power, float32 [time, 80], 100 rows a second.

    Row r looks at 25 ms around sample 160 r; the stream is not cut into windows.

    Args:
      samples: float [S], 16 kHz mono in [-1, 1].
    """
    power = librosa.feature.melspectrogram(
        y=np.asarray(samples, np.float32),
        sr=structs.AUDIO_RATE,
        n_fft=_WINDOW,
        hop_length=structs.AUDIO_RATE // MEL_RATE,
        n_mels=MEL_COUNT,
    )
    rows = len(samples) * MEL_RATE // structs.AUDIO_RATE
    return np.log(np.maximum(power, _FLOOR)).T[:rows].astype(np.float32)


def write(out: Path, samples: np.ndarray) -> None:
    """Writes audio.wav and audio_features.npz of an identity folder.

    Args:
      out: the folder.
      samples: float [S], 16 kHz mono in [-1, 1].
    """
    with files.replacing(out / "audio_features.npz") as temporary:
        np.savez_compressed(
            temporary, log_mel=log_mel(samples), log_mel_rate=np.float64(MEL_RATE)
        )
    with files.replacing(out / "audio.wav") as temporary:
        with wave.open(str(temporary), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(structs.AUDIO_RATE)
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
