"""Scores a run on its held-out frames, and shows what was scored.

<out>/metrics.json   `evaluate` says what it holds
      <id>.mp4       truth, render and error side by side
      <id>.png       some frames with their maps
"""

import contextlib
import functools
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import numpy as np
from tqdm import tqdm

from lokitalk_jax import backdrop, motion, perceptual, reenact, structs, video_io
from lokitalk_jax.data import folder
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluate import metrics, panels, sheets, spoken
from lokitalk_jax.evaluate.landmarks import MouthDistances
from lokitalk_jax.portraits import Portrait
from lokitalk_jax.prepare import faces
from lokitalk_jax.rendering import Rendered
from lokitalk_jax.run import Avatar, Run

_SHEET_ROWS = 6


def evaluate(
    run: Run,
    names: Sequence[str],
    out: pathlib.Path,
    data_root: pathlib.Path | None = None,
    max_frames: int | None = None,
    signals: str = "tracked",
) -> dict:
    """Scores identities of a run.

    Args:
      run: the run.
      names: of its identities.
      out: folder for the results, made where missing.
      data_root: where the identity folders are now; None is where they were trained.
      max_frames: scores this many frames, spread over the held-out ones.
      signals: what drives the lips: tracked, or audio, the clip's sound.

    Returns:
      what metrics.json holds: {"config_hash", "step", "size", "protocol",
      "identities": {name: {signals: see `ClipScores`}}}; with audio the columns
      "still_mouth" and "shuffled_audio" beside it, see `spoken.motions`.

    Raises:
      ValueError: the frames that an identity was trained on are gone or are others,
        or none was held out.
      OSError: the results could not be written.
    """
    # Before the first frame is rendered, as every one of them must be there.
    truths = {name: _truth(run, name, data_root) for name in names}
    people = {name: (run.avatar(name), data) for name, data in truths.items()}
    return evaluate_avatars(run, people, out, max_frames, signals)


def evaluate_avatars(
    run: Run,
    people: Mapping[str, tuple[Avatar, Dataset]],
    out: pathlib.Path,
    max_frames: int | None = None,
    signals: str = "tracked",
) -> dict:
    """Scores avatars against clips; arguments and result as in `evaluate`.

    Args:
      run: whose shared parameters they have.
      people: by name, the avatar and the true clip.
      out, max_frames, signals: see `evaluate`.
    """
    out.mkdir(parents=True, exist_ok=True)
    scores = {
        name: _evaluate_one(run, avatar, data, out, max_frames, signals)
        for name, (avatar, data) in people.items()
    }
    result = {
        "config_hash": run.config_hash,
        "step": run.step,
        "size": run.config.data.size,
        "protocol": "full",
        "identities": scores,
    }
    with folder.replacing(out / "metrics.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n")
    return result


class ClipScores:
    """The scores of one clip, gathered frame by frame."""

    def __init__(self, data: Dataset, distances: MouthDistances):
        """Starts with no frame.

        Args:
          data: the true clip.
          distances: fresh; gathers the mouth landmarks.
        """
        self._data = data
        self._distances = distances
        self._means = metrics.RegionMeans()
        self._lpips_params = jax.device_put(perceptual.lpips_params("alex"))

    def add(self, index: int, prediction: np.ndarray) -> None:
        """Adds a frame.

        Args:
          index: its number in the clip.
          prediction: float32 [H, W, 3] in [0, 1], before any video encoding.
        """
        truth = self._data.frame(index)[0]
        lpips = _lpips_alex(self._lpips_params, truth[None], prediction[None])
        more = {"lpips_alex": float(lpips[0])}
        self._means.add(truth, prediction, self._data.region_masks(index), more)
        self._distances.add(
            np.asarray(self._data.frames[index]), sheets.to_uint8(prediction)
        )

    def result(self) -> dict:
        """The means so far, ready for JSON.

        Returns:
          {"frame": {"psnr", "ssim", "lpips_alex"}, "lip", "eye", "head" and "torso":
          {"psnr"}, "lmd_px", "missed_faces", "frames"}; see `metrics` and `landmarks`.
        """
        means, distances = self._means.result(), self._distances.result()
        return {**means, **distances, "frames": self._means.frame_count}


def rendered_frames(
    avatar: Avatar, frames: Sequence[int], moved: motion.Motion | None = None
) -> Iterator[tuple[int, Rendered, np.ndarray]]:
    """Renders frames of a clip as tracked, or moved otherwise, over its own plate.

    Yields:
      the frame's number, its maps in host memory, and its picture, float32 [H, W, 3]
      in [0, 1].
    """
    portrait = avatar.portrait
    moved = moved or motion.tracked(portrait, frames)
    rendered = reenact.stream(
        avatar.renderer,
        moved.frames(),
        backdrop.find("plate", portrait),
    )
    for index, maps in zip(frames, rendered, strict=True):
        maps = jax.device_get(maps)
        yield int(index), maps, np.clip(maps.rgb, 0, 1)


def score_tracked(
    avatar: Avatar,
    data: Dataset,
    frames: Sequence[int],
    see: Callable[[int, Rendered], None] = lambda index, maps: None,
    moved: motion.Motion | None = None,
) -> dict:
    """Scores of some frames of a clip, driven by their own tracks.

    Args:
      avatar: who is rendered.
      data: the true clip.
      frames: numbers of the frames.
      see: is shown every frame's number and maps.
      moved: another motion of these frames.

    Returns:
      see `ClipScores.result`.
    """
    with detectors() as pair:
        scores = ClipScores(data, MouthDistances(*pair))
        for index, maps, picture in rendered_frames(avatar, frames, moved):
            scores.add(index, picture)
            see(index, maps)
        return scores.result()


_lpips_alex = jax.jit(functools.partial(perceptual.lpips, net="alex"))


def _truth(run: Run, name: str, data_root: pathlib.Path | None) -> Dataset:
    """The clip that `name` was trained on, at the size of training."""
    portrait = run.portrait(name)
    if data_root is None:
        remedy = "name the folder of its identity folder with --data"
        found = _open(portrait.source, remedy)
    else:
        remedy = "name another folder with --data"
        near = {one.name: one for one in folder.find_identities(data_root)}
        if name not in near:
            raise ValueError(
                f"{data_root} holds no identity {name!r}, only {', '.join(near)}; "
                f"{remedy}"
            )
        found = near[name]
    cache = run.config.data.cache
    data = Dataset.open(
        found, run.config.data.size, pathlib.Path(cache) if cache else None
    )
    if not _same_clip(data, portrait):
        raise ValueError(
            f"{found.path} is not the clip that {name!r} was trained on, or was "
            f"prepared anew since: its frames or poses differ; {remedy}, or train again"
        )
    if not len(portrait.test_frames):
        raise ValueError(
            f"no frame with a face is held out of the clip of {name!r}, which has "
            f"{portrait.frame_count} frames; there is nothing to score"
        )
    return data


def _open(path: pathlib.Path, remedy: str) -> folder.IdentityFolder:
    try:
        return folder.IdentityFolder(path)
    except ValueError as error:
        raise ValueError(
            f"the frames to score against are not there: {error}; or {remedy}"
        ) from error


def _same_clip(data: Dataset, portrait: Portrait) -> bool:
    return (data.height, data.width) == (portrait.height, portrait.width) and all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in (
            (data.tracks.head_to_camera, portrait.head_to_camera),
            (data.test_frames, portrait.test_frames),
        )
    )


def _evaluate_one(
    run: Run,
    avatar: Avatar,
    data: Dataset,
    out: pathlib.Path,
    max_frames: int | None,
    signals: str,
) -> dict:
    """Scores of one person by column, see `evaluate`."""
    frames = _spread(avatar.portrait.test_frames, max_frames)
    if signals == "tracked":
        moved = motion.tracked(avatar.portrait, frames)
        return {signals: _show(avatar, data, frames, moved, out)}
    ways = spoken.motions(run, avatar.portrait, frames)
    scores = {signals: _show(avatar, data, frames, ways.pop(signals), out)}
    return scores | {
        way: score_tracked(avatar, data, frames, moved=moved)
        for way, moved in ways.items()
    }


def _show(
    avatar: Avatar, data: Dataset, frames: list[int], moved, out: pathlib.Path
) -> dict:
    """Scores of some frames, with a video and a sheet of them."""
    name = data.name
    on_sheet = set(_spread(frames, _SHEET_ROWS))
    rendered = rendered_frames(avatar, frames, moved)
    rows, labels = [], []
    with detectors() as pair, _video(out / f"{name}.mp4", data, frames) as video:
        scores = ClipScores(data, MouthDistances(*pair))
        progress = tqdm(rendered, f"scoring {name}", len(frames), unit="frame")
        for index, maps, prediction in progress:
            scores.add(index, prediction)
            pictures = panels.comparison(data.frame(index)[0], prediction)
            video.write(panels.row(pictures))
            if index in on_sheet:
                pictures |= panels.maps(maps, avatar.depth_range)
                labels.append([f"frame {index}", *list(pictures)[1:]])
                rows.append([panels.enlarged(one) for one in pictures.values()])
    sheet = sheets.contact_sheet(rows, labels)
    folder.write_image(out / f"{name}.png", sheet)
    return scores.result()


def _spread(frames: Sequence[int], count: int | None) -> list[int]:
    """`count` of the frames, from the first to the last; all where there are fewer."""
    count = len(frames) if count is None else min(count, len(frames))
    at = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return [int(frames[i]) for i in at]


@contextlib.contextmanager
def detectors() -> Iterator[list[faces.FaceDetector]]:
    """Two detectors: one may follow faces, so truth and render have each their own."""
    model = faces.find_model()
    with faces.FaceDetector(model) as first, faces.FaceDetector(model) as second:
        yield [first, second]


def _video(path: pathlib.Path, data: Dataset, frames: list[int]):
    """A writer of comparisons, slowed down to the sound where frames are left out."""
    span = range(frames[0], frames[-1] + 1)
    truth = data.frame(frames[0])[0]
    size = panels.row(panels.comparison(truth, truth)).shape[1::-1]
    return video_io.VideoWriter(
        path,
        structs.FPS * len(frames) / len(span),
        size=size,
        audio=reenact.sound(data.folder.audio_path, span),
    )
