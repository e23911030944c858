"""Idle motion: how an avatar moves while it does not speak."""

import itertools
import os
from collections.abc import Iterable, Iterator

import jax
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import motion, signal_table
from lokitalk_jax.avatar.drivers import load_speaker
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.media import sound_file
from lokitalk_jax.media.sound_file import Sound

OWN = "own"  # the pauses of the identity's own clip
SILENCE = 30.0  # dB that a frame of silence is below loud speech
SHORTEST = 25  # frames of silence that count as a stretch without speech
RAMP = 10  # frames in which speech and idle motion are mixed, at either end
_FRAME = structs.AUDIO_RATE // structs.FPS


def is_silent(pieces: Iterable[np.ndarray]) -> np.ndarray:
    """Frames in stretches without speech, bool [F].

    Args:
      pieces: sound, float [S] each, 16 kHz mono.
    """
    levels, rest = [], np.zeros(0, np.float32)
    for piece in pieces:
        rest = np.concatenate([rest, piece])
        count = len(rest) // _FRAME
        frames = rest[: count * _FRAME].reshape(count, _FRAME)
        levels.append(np.square(frames, dtype=np.float64).mean(1))
        rest = rest[count * _FRAME :]
    if len(rest):
        levels.append([float(np.square(rest).mean())])
    level = 10 * np.log10(np.concatenate(levels or [np.zeros(0)]) + 1e-10)
    if not len(level):
        return np.zeros(0, bool)
    quiet = level < np.percentile(level, 95) - SILENCE
    for silent, group in itertools.groupby(range(len(quiet)), quiet.__getitem__):
        stretch = list(group)
        if silent and len(stretch) < SHORTEST:
            quiet[stretch] = False
    return quiet


def shares(silent: np.ndarray) -> np.ndarray:
    """Share of the idle motion at each frame, [F]: eased in and out within silence."""
    # Silence at either end of the clip is taken to continue beyond it.
    padded = np.pad(silent, RAMP, mode="edge").astype(np.float64)
    inside = np.lib.stride_tricks.sliding_window_view(padded, 2 * RAMP + 1)
    ramp = np.clip((inside.mean(-1) - 0.5) * 2, 0, 1) * silent
    return ramp * ramp * (3 - 2 * ramp)


def signals(
    run: OpenRun, record: ClipRecord, source: str | os.PathLike
) -> structs.Signals:
    """Signals of an idle motion, leaves [K, ...].

    Args:
      run: the run.
      record: of the avatar.
      source: `OWN`; the name of another identity of the run, the path of an identity
        folder, or of a .csv file of signals.

    Raises:
      ValueError: there is no such source, or the clip has no pause.
    """
    text = os.fspath(source)
    if text == OWN:
        return _pause(record)
    if text.endswith(".csv"):
        widths = {k: leaf.shape[-1] for k, leaf in record.rest._asdict().items()}
        columns = {k: list(signal_table.read(text, k, widths[k])) for k in widths}
        if not columns["head"]:
            raise ValueError(
                f"idle={text} holds no row; give a table with a row for each frame"
            )
        return structs.Signals(**{k: np.stack(rows) for k, rows in columns.items()})
    driver = load_speaker(run, text, "idle", (OWN, "a .csv file")).record
    parts = {k: (driver, range(driver.frame_count)) for k in ("lip", "eye", "head")}
    frames = range(record.frame_count)
    return motion.swap(record, frames, parts, driver.frame_count).signals


def _pause(record: ClipRecord) -> structs.Signals:
    """The longest pause of a clip."""
    silent = np.zeros(0, bool)
    if record.audio is not None:
        sound = sound_file.open_sound(record.audio)
        silent = is_silent(sound.read())[: record.frame_count]
    edges = np.flatnonzero(np.diff(silent.astype(np.int8), prepend=0, append=0))
    if not len(edges):
        raise ValueError(
            f"idle={OWN}: the clip of {record.name!r} has no second of silence; give "
            "the folder of a clip of somebody who listens, idle=FOLDER"
        )
    first, stop = max(edges.reshape(-1, 2), key=lambda run: run[1] - run[0])
    return jax.tree.map(lambda leaf: leaf[first:stop], record.signals)


def in_pauses(
    frames: Iterable[FrameMotion],
    sound: Sound,
    idle: structs.Signals,
    record: ClipRecord,
) -> Iterator[FrameMotion]:
    """Motion of speech, with an idle motion in stretches without speech.

    Args:
      frames: of the speech.
      sound: that is spoken.
      idle: signals, leaves [K, ...], replayed forwards and backwards.
      record: of the avatar.
    """
    share = shares(is_silent(sound.read()))
    count = len(idle.head)
    order = itertools.cycle(motion.back_and_forth(count, max(2 * count - 2, 1)))
    for number, frame in enumerate(frames):
        part = share[min(number, len(share) - 1)] if len(share) else 0.0
        if part == 0:
            yield frame
            continue
        yield mixed(record, frame, idle, next(order), part)


def mixed(
    record: ClipRecord, frame: FrameMotion, idle: structs.Signals, at: int, part: float
) -> FrameMotion:
    """A frame with a share `part` of frame `at` of an idle motion, leaves [K, ...]."""
    signals = jax.tree.map(
        lambda spoken, other: np.float32((1 - part) * spoken + part * other[at]),
        frame.signals,
        idle,
    )
    return FrameMotion(motion.head_pose(record, signals.head), signals)
