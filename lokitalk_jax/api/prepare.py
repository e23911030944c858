"""Videos of people become identity folders."""

import dataclasses
import functools
import os
import pathlib
import time
from collections.abc import Iterator, Sequence

from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.preparation import batch, face_model, pipeline
from lokitalk_jax.preparation.batch import Outcome as Outcome
from lokitalk_jax.preparation.options import Options as PrepareOptions
from lokitalk_jax.progress import Progress, track
from lokitalk_jax.speech import lip_sync
from lokitalk_jax.training import speech_corpus


def prepare(
    video: str | os.PathLike,
    out: str | os.PathLike,
    options: PrepareOptions | None = None,
    *,
    model: str | os.PathLike | None = None,
    workers: int | None = None,
    audio_offset: str | float = lip_sync.AUTO,
    progress: Progress | None = None,
) -> IdentityFolder:
    """Makes an identity folder of a video.

    Called again after it was interrupted, it continues; after it has finished, it does
    nothing.

    Args:
      video: one person, one take.
      out: the folder, new or begun by the same call.
      options: size, crop, stretch and format.
      model: a FaceLandmarker .task file, see `preparation.face_model.find`.
      workers: threads of the segmentation, by default one for each core.
      audio_offset: milliseconds by which the sound is later than the lips; "auto"
        estimates them, and corrects more than 40 where it is sure. 0 corrects nothing.
      progress: see `lokitalk_jax.progress`.

    Raises:
      ValueError: the video cannot be used, or `out` holds something else.
      OSError: a file could not be written; the same call continues later.
    """
    lip_sync.parsed(audio_offset)  # raises before the work
    chosen = options or PrepareOptions()
    face_model = None if model is None else os.fspath(model)
    pipeline.prepare(
        os.fspath(video), os.fspath(out), chosen, face_model, workers, progress
    )
    return lip_sync.correct(out, audio_offset)


def prepare_all(
    videos: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    options: PrepareOptions | None = None,
    *,
    model: str | os.PathLike | None = None,
    at_once: int = 2,
    audio_offset: str | float = lip_sync.AUTO,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Makes identity folders of many videos, and leaves out those that it cannot use.

    Of a video with cuts, or with stretches without a face or with several people, the
    longest usable stretch is kept. Called again after it was interrupted, it continues.

    Args:
      videos: a folder of videos, a text file with the path of one on each line, or
        paths.
      out: the folder of the identity folders, which are named after the videos.
      options: of all videos.
      model: a FaceLandmarker .task file, see `preparation.face_model.find`.
      at_once: videos that are prepared at the same time, each in its own process.
      audio_offset: see `prepare`.
      progress: receives the stage "preparing", an item for each video.

    Yields:
      the outcome of each video, in the order in which they end.

    Raises:
      ValueError: there is no video, two of them have the same name, or there is no such
        model.
    """
    if at_once < 1:
        raise ValueError(f"at_once={at_once} must be at least 1")
    lip_sync.parsed(audio_offset)
    paths = _paths(videos)
    outs = batch.folders(paths, pathlib.Path(out))
    chosen = dataclasses.replace(options or PrepareOptions(), trim=True)
    workers = max(1, (os.cpu_count() or 1) // at_once)
    outcomes = batch.prepare(outs, chosen, face_model.find(model), at_once, workers)
    outcomes = map(functools.partial(_in_step, audio_offset), outcomes)
    return track(outcomes, progress, "preparing", len(outs))


def prepare_speech(
    videos: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    options: PrepareOptions | None = None,
    *,
    model: str | os.PathLike | None = None,
    audio_offset: str | float = lip_sync.AUTO,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Makes a speech corpus of videos: landmarks and sound, to train voices on.

    The arguments are those of `prepare_all`; of `options`, start, end, audio track and
    person count. A recording whose offset is unsure has an empty cell in manifest.csv,
    and training leaves it out.

    Yields:
      the outcome of each video; `out` is the .npz file.

    Raises:
      ValueError: there is no video, or two of them have the same name.
    """
    outs = batch.folders(_paths(videos), pathlib.Path(out))

    def one(video: pathlib.Path, path: pathlib.Path) -> Outcome:
        began, refusal = time.monotonic(), ""
        try:
            speech_corpus.add(
                video, path.parent, options or PrepareOptions(), model, audio_offset
            )
        except ValueError as error:
            refusal = str(error)
        done = path.with_name(f"{path.name}.npz")
        return Outcome(video, done, refusal, time.monotonic() - began)

    outcomes = (one(video, path) for video, path in outs.items())
    return track(outcomes, progress, "preparing", len(outs))


def _paths(
    videos: str | os.PathLike | Sequence[str | os.PathLike],
) -> list[pathlib.Path]:
    if isinstance(videos, str | os.PathLike):
        return batch.find_videos(pathlib.Path(videos))
    if not videos:
        raise ValueError("videos is empty; give the paths of videos, or their folder")
    return [pathlib.Path(video) for video in videos]


def _in_step(audio_offset: str | float, outcome: Outcome) -> Outcome:
    if outcome.refusal:
        return outcome
    try:
        lip_sync.correct(outcome.out, audio_offset)
    except (ValueError, OSError) as error:
        # The other videos go on.
        return outcome._replace(refusal=str(error))
    return outcome
