"""Sources of each region's motion while an avatar speaks."""

import itertools
import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import idle_motion, motion, signal_table
from lokitalk_jax.avatar.drivers import load_speaker
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data.clip_records import ClipRecord

# Regions with a source; the torso follows the head.
REGIONS = ("lip", "eye", "head")


class Sources(NamedTuple):
    """Where each region's motion comes from.

    A clip is an identity of the run or the path of an identity folder; a table is the
    path of a .csv file of signals.

    Attributes:
      lip: "audio", predicted by the run's voice; "still"; a clip; or a table.
      eye: "auto", blinks; "open"; a clip; or a table.
      head: "own", the training poses; "still"; a clip; or a table. The torso follows.
      gain: factors of the motion about rest, by region.
      seed: of the blinks.
      features: a .npy file of features of the sound, for a voice that was trained on
        features of another program.
      look_ahead: seconds of sound after a frame that its lips depend on, for a voice on
        features of Whisper; None chooses.
      style: manner of speaking, see `speaking_style.styled_voice`.
    """

    lip: str = "audio"
    eye: str = "auto"
    head: str = "own"
    gain: Mapping[str, float] = {}
    seed: int = 0
    features: pathlib.Path | None = None
    look_ahead: float | None = None
    style: str = "own"


class Streams(NamedTuple):
    """Signals of one frame after the other.

    Attributes:
      lip: of [D_lip]; empty where lips come from speech.
      eye: of [3].
      head: of head [6] and torso [6 * len(TORSO_LAGS)].
    """

    lip: Iterator[np.ndarray]
    eye: Iterator[np.ndarray]
    head: Iterator[tuple[np.ndarray, np.ndarray]]


def open_streams(run: OpenRun, record: ClipRecord, sources: Sources) -> Streams:
    """Opens the sources of an identity.

    Raises:
      ValueError: a source is unknown.
    """
    rest = record.rest
    lips = {"audio": iter(()), "still": itertools.repeat(rest.lip)}
    eyes = {
        "auto": idle_motion.blinks(sources.seed),
        "open": itertools.repeat(rest.eye),
    }
    heads = {
        "own": idle_motion.training_poses(record),
        "still": itertools.repeat((rest.head, rest.torso)),
    }
    known = zip(REGIONS, (sources.lip, sources.eye, sources.head), strict=True)
    return Streams(
        *(
            words[text] if text in words else _driven(run, record, region, text, words)
            for (region, text), words in zip(known, (lips, eyes, heads), strict=True)
        )
    )


def _driven(
    run: OpenRun, record: ClipRecord, region: str, text: str, words
) -> Iterator:
    if text.endswith(".csv"):
        return _table(record, region, text)
    driver = load_speaker(run, text, region, (*words, "a .csv file")).record
    count = driver.frame_count
    driven = motion.swap(
        record, range(record.frame_count), {region: (driver, range(count))}, count
    )
    order = motion.back_and_forth(count, max(2 * count - 2, 1))
    return _repeated(region, driven.signals, order)


def _table(record: ClipRecord, region: str, path: str) -> Iterator:
    widths = {name: leaf.shape[-1] for name, leaf in record.rest._asdict().items()}
    first = signal_table.read(path, region, widths[region])
    if region != "head":
        return first
    return zip(first, signal_table.read(path, "torso", widths["torso"]), strict=False)


def _repeated(region: str, signals: structs.Signals, order: np.ndarray) -> Iterator:
    """Signals of a region in some order, again and again."""
    for at in itertools.cycle(order):
        if region == "head":
            yield signals.head[at], signals.torso[at]
        else:
            yield getattr(signals, region)[at]
