"""Speech corpora without pictures: sound and facial landmarks, to train voices on.

A corpus is a folder, searched with its subfolders, of pairs

    NAME.flac (or .wav)  sound that starts with the first frame
    NAME.npz             landmarks [F, 478, 3] as of `preparation.faces`, NaN where
                         there is no face; timestamps [F], seconds; width, height,
                         pixels

and may have a manifest.csv with the columns `file` (NAME with its subfolder),
`advance_audio_ms` (how much later than the pictures the sound is; a recording with an
empty cell is left out), and others, which `Recording.row` holds; a spreadsheet may have
saved it. `add` adds a video to a corpus.
"""

import csv
import logging
import math
import os
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lokitalk_jax import files, structs
from lokitalk_jax.data import npz_file, signals, spreadsheet
from lokitalk_jax.data.layout import Tracks
from lokitalk_jax.preparation import pose, recording
from lokitalk_jax.preparation.options import Options
from lokitalk_jax.preparation.tracks import of_head
from lokitalk_jax.progress import Progress, Stage
from lokitalk_jax.speech import lip_sync
from lokitalk_jax.speech.spoken_clip import SpokenClip

_LOG = logging.getLogger(__name__)

_MANIFEST = "manifest.csv"
_FILE, _ADVANCE = "file", "advance_audio_ms"
_SOUNDS = (".flac", ".wav")
_FEWEST = 20  # frames with a face
# Focal length in heights of the face: that of prepared clips, where a face has 230 of
# 512 pixels.
_FOCAL = 6.1
# Frames of 25 a second are known within this time of one with a face, seconds.
_NEAR = 0.06


class Recording(NamedTuple):
    """A recording of a corpus.

    Attributes:
      name: with its subfolder.
      landmarks: the .npz file.
      sound: the sound file.
      advance: seconds by which the sound is later than the pictures.
      row: of the manifest; empty without one.
    """

    name: str
    landmarks: pathlib.Path
    sound: pathlib.Path
    advance: float
    row: Mapping[str, str]


def find(folder: str | os.PathLike) -> list[Recording]:
    """The recordings of a corpus that can be used, by name.

    Raises:
      ValueError: there is none, or a file is damaged.
    """
    folder = pathlib.Path(folder)
    rows, found = _manifest(folder), []
    for path in sorted(folder.rglob("*.npz")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        sound = _sound(path)
        row = rows.get(name, {})
        advance = row.get(_ADVANCE, "0")
        if sound and advance and "landmarks" in npz_file.names(path):
            seconds = float(advance) / 1000
            found.append(Recording(name, path, sound, seconds, row))
    if not found:
        raise ValueError(
            f"voice.corpus={folder} holds no .npz file with landmarks that has a .flac "
            "or .wav file of the same name; make one of videos with prepare_speech"
        )
    return found


def add(
    video: str | os.PathLike,
    folder: str | os.PathLike,
    options: Options,
    model: str | os.PathLike | None = None,
    audio_offset: str | float = lip_sync.AUTO,
) -> float | None:
    """Adds a video to a corpus: its landmarks, its sound, its row of the manifest.

    Args:
      video: one person; the longest stretch that can be used is taken.
      folder: of the corpus, new or begun.
      options: start, end, audio track and person.
      model: see `preparation.face_model.find`.
      audio_offset: milliseconds by which the sound is later than the lips; "auto"
        estimates them.

    Returns:
      seconds by which the sound is later; None where the estimate is unsure, so that
      training leaves the recording out.

    Raises:
      ValueError: the video cannot be used, or has no sound.
    """
    seconds = lip_sync.parsed(audio_offset)
    folder, name = pathlib.Path(folder), pathlib.Path(video).stem
    folder.mkdir(parents=True, exist_ok=True)
    path = recording.record(video, folder / f"{name}.npz", options, model)
    sound = _sound(path)
    assert sound is not None  # it was written with the landmarks
    rows = _manifest(folder)
    if name not in rows:
        if seconds is None:
            seconds = _offset(Recording(name, path, sound, 0.0, {}))
        cell = "" if seconds is None else str(round(1000 * seconds))
        rows[name] = {_FILE: name, _ADVANCE: cell}
        _write_manifest(folder, rows)
    cell = rows[name][_ADVANCE]
    return float(cell) / 1000 if cell else None


def _offset(one: Recording) -> float | None:
    """Seconds by which the sound is later than the lips, where that is sure."""
    tracks = tracks_of(one)
    if tracks is None:
        return None
    frames = np.arange(len(tracks.valid))
    lip = np.zeros((len(frames), 1), np.float32)
    clip = SpokenClip(
        one.name, one.sound, one.landmarks.parent, lip, frames, frames[:0]
    )
    found = lip_sync.estimate(clip, tracks)
    return found.seconds if found and found.sure else None


def _manifest(folder: pathlib.Path) -> dict[str, dict[str, str]]:
    """Rows of the manifest by name; none where there is no manifest.

    Raises:
      ValueError: it lacks a column, or an offset is not a number.
    """
    path = folder / _MANIFEST
    if not path.is_file():
        return {}
    table, rows = spreadsheet.read(path), {}
    missing = [name for name in (_FILE, _ADVANCE) if name not in table.header]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(missing)}; its columns are "
            f"{', '.join(table.header)}; give {_FILE} and {_ADVANCE}"
        )
    for line, cells in table.rows:
        row = dict.fromkeys(table.header, "")
        row |= dict(zip(table.header, cells, strict=False))
        row[_ADVANCE] = _advance(path, line, row[_ADVANCE].strip(), table.separator)
        if row[_FILE]:
            rows[row[_FILE]] = row
    return rows


def _advance(path: pathlib.Path, line: int, cell: str, separator: str) -> str:
    """Milliseconds, as Python writes them; "" where they are unknown."""
    try:
        value = spreadsheet.number(cell, separator) if cell else 0.0
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"{path}, line {line}: {_ADVANCE}={cell} is no number of milliseconds; "
            "give one, or leave the cell empty"
        )
    return cell and f"{value:.10g}"


def _write_manifest(folder: pathlib.Path, rows: Mapping[str, Mapping]) -> None:
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    with (
        files.replacing(folder / _MANIFEST) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows.values())


def _sound(path: pathlib.Path) -> pathlib.Path | None:
    """The sound of the landmarks in `path`."""
    sounds = [path.with_suffix(s) for s in _SOUNDS]
    return next((s for s in sounds if s.is_file()), None)


def read(
    folder: str | os.PathLike,
    lip_basis: np.ndarray | None = None,
    progress: Progress | None = None,
) -> tuple[list[SpokenClip], signals.Fitted]:
    """The recordings of a corpus as training data of a voice.

    Args:
      folder: of the corpus.
      lip_basis: [D_lip, 120], of the lip coefficients; None fits one.
      progress: receives the stage "speech corpus".

    Returns:
      the clips, all of their known frames for training, and their fitted signals.

    Raises:
      ValueError: there are none, or a file is damaged.
    """
    recordings = find(folder)
    stage = Stage(progress, "speech corpus", len(recordings))
    tracks, sources = {}, {}
    for one in recordings:
        made = tracks_of(one)
        if made is None:
            _LOG.info("speech corpus: %s hardly shows a face", one.name)
        else:
            tracks[one.name], sources[one.name] = made, one
        stage.advance()
    if not tracks:
        raise ValueError(
            f"no recording of voice.corpus={folder} shows a face for long enough; give "
            "longer ones"
        )
    train = {name: one.valid for name, one in tracks.items()}
    fitted, tracked = signals.fit_apply(tracks, train, lip_basis=lip_basis)
    clips = [
        SpokenClip(
            name,
            sources[name].sound,
            sources[name].landmarks.parent,
            tracked[name].lip,
            np.flatnonzero(train[name]),
            np.zeros(0, int),
            sources[name].advance,
        )
        for name in tracks
    ]
    return clips, fitted


def tracks_of(one: Recording) -> Tracks | None:
    """Tracks at 25 frames a second; None where hardly any frame shows a face.

    Raises:
      ValueError: the file of landmarks is damaged, or lacks an array.
    """
    stored = npz_file.read(one.landmarks)
    seen = stored["landmarks"]
    others = {"timestamps": (len(seen),), "width": (), "height": ()}
    try:
        npz_file.refuse_other(stored, others)
    except ValueError as error:
        raise ValueError(
            f"{one.landmarks}: {error}; make it anew with prepare_speech"
        ) from error
    times, size = (
        stored["timestamps"],
        (float(stored["width"]), float(stored["height"])),
    )
    known = np.isfinite(seen).all((1, 2))
    if known.sum() < _FEWEST:
        return None
    times, seen = times - times[0], seen[known].reshape(known.sum(), -1)
    grid = np.arange(int(times[-1] * structs.FPS) + 1) / structs.FPS
    landmarks = np.stack([np.interp(grid, times[known], row) for row in seen.T], -1)
    landmarks = landmarks.reshape(len(grid), -1, 3).astype(np.float32)
    valid = _apart(grid, times[known]) < _NEAR
    focal = _FOCAL * float(np.median(np.ptp(landmarks[valid][..., 1], axis=1)))
    principal = size[0] / 2, size[1] / 2
    head_to_camera = pose.track_poses(landmarks, valid, focal, principal).head_to_camera
    duplicate = np.zeros(len(valid), bool)
    return of_head(landmarks, valid, duplicate, head_to_camera, focal, principal)


def _apart(grid: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Distance [G] of each of `grid` from the nearest of rising times, two at least."""
    after = np.searchsorted(times, grid).clip(1, len(times) - 1)
    return np.minimum(np.abs(grid - times[after - 1]), np.abs(grid - times[after]))
