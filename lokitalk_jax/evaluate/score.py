"""Scores a run on its held-out frames, and shows what was scored.

<out>/metrics.json, frames.csv, report.html: see `results`
      <id>.mp4       truth, render and error side by side
      <id>.png       some frames with their maps
"""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
import scipy.io.wavfile
from tqdm import tqdm

from lokitalk_jax import structs
from lokitalk_jax.avatar import backdrop, motion, panels, video_file
from lokitalk_jax.avatar.run import Avatar, Run
from lokitalk_jax.data import torso_inpainting
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluate import results, spoken, true_clip
from lokitalk_jax.evaluate.metrics.clip_scores import ClipScores
from lokitalk_jax.evaluate.metrics.frame_scores import FrameScorer, Row
from lokitalk_jax.evaluate.metrics.landmarks import FacePairs
from lokitalk_jax.evaluate.report.gallery import Gallery
from lokitalk_jax.evaluate.report.page import Clip
from lokitalk_jax.media import image_file, image_grid, video_io
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.prepare import faces

_SHEET_ROWS = 6


class Options(NamedTuple):
    """How a run is scored.

    Attributes:
      max_frames: scores this many frames, spread over the held-out ones; None is all.
      signals: what drives the lips: tracked, or audio, the clip's sound.
      protocol: full, where everything is synthesised, or peer, see `behind_head`.
      vgg: LPIPS by VGG16 beside AlexNet.
    """

    max_frames: int | None = None
    signals: str = "tracked"
    protocol: str = "full"
    vgg: bool = False


def evaluate(
    run: Run,
    names: Sequence[str],
    out: pathlib.Path,
    data_root: pathlib.Path | None = None,
    options: Options = Options(),  # noqa: B008 (a tuple)
) -> dict:
    """Scores identities of a run.

    Args:
      run: the run.
      names: of its identities.
      out: folder for the results, made where missing.
      data_root: where the identity folders are now; None is where they were trained.
      options: how.

    Returns:
      what metrics.json holds, see `results.write`. With audio the columns
      "still_mouth" and "shuffled_audio" stand beside it, see `spoken.motions`.

    Raises:
      ValueError: the frames that an identity was trained on are gone or are others,
        or none was held out.
      OSError: the results could not be written.
    """
    # Before the first frame is rendered, as every one of them must be there.
    truths = {name: true_clip.find(run, name, data_root) for name in names}
    people = {name: (run.avatar(name), data) for name, data in truths.items()}
    return evaluate_avatars(run, people, out, options)


def evaluate_avatars(
    run: Run,
    people: Mapping[str, tuple[Avatar, Dataset]],
    out: pathlib.Path,
    options: Options = Options(),  # noqa: B008 (a tuple)
) -> dict:
    """Scores avatars against clips; arguments and result as in `evaluate`.

    Args:
      run: whose shared parameters they have.
      people: by name, the avatar and the true clip.
      out, options: see `evaluate`.
    """
    out.mkdir(parents=True, exist_ok=True)
    clips = [
        clip
        for avatar, data in people.values()
        for clip in _evaluate_one(run, avatar, data, out, options)
    ]
    header = {
        "config_hash": run.config_hash,
        "step": run.step,
        "size": run.config.data.size,
        "protocol": options.protocol,
        "signals": options.signals,
    }
    return results.write(out, header, clips)


def add_frame(
    scores: ClipScores, data: Dataset, index: int, prediction: np.ndarray
) -> Row:
    """Adds a prediction, float32 [H, W, 3] in [0, 1], of frame `index` of a clip."""
    truth = np.asarray(data.frames[index])
    return scores.add(index, truth, prediction, lambda _: data.region_masks(index))


def rendered_frames(
    avatar: Avatar,
    frames: Sequence[int],
    moved: motion.Motion | None = None,
    torsos_of: Dataset | None = None,
) -> Iterator[tuple[int, Rendered, np.ndarray]]:
    """Renders frames of a clip as tracked, or moved otherwise, over its own plate.

    Args:
      avatar: who is rendered.
      frames: numbers of the frames.
      moved: another motion of these frames.
      torsos_of: the true clip, whose torsos then stand in for the rendered one.

    Yields:
      the frame's number, its maps in host memory, and its picture, float32 [H, W, 3]
      in [0, 1].
    """
    record = avatar.record
    moved = moved or motion.tracked(record, frames)
    if torsos_of is None:
        plate = backdrop.find("plate", record)
        rendered = video_file.stream(avatar.renderer, moved.frames(), plate)
    else:
        rendered = _over_torsos(avatar, frames, moved, torsos_of)
    for index, maps in zip(frames, rendered, strict=True):
        maps = jax.device_get(maps)
        yield int(index), maps, np.clip(maps.rgb, 0, 1)


def _over_torsos(avatar, frames, moved, data: Dataset) -> Iterator[Rendered]:
    for index, (pose, signals) in zip(frames, moved.frames(), strict=True):
        rgb, labels = (np.asarray(x[index]) for x in (data.frames, data.labels))
        behind = torso_inpainting.backdrop(rgb, labels, avatar.record.plate)
        yield avatar.renderer(pose, signals, behind, torso=False)


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
        scores = ClipScores(scorer(), FacePairs(*pair))
        for index, maps, picture in rendered_frames(avatar, frames, moved):
            add_frame(scores, data, index, picture)
            see(index, maps)
        return scores.result()


@functools.cache
def scorer(vgg: bool = False) -> FrameScorer:
    """The one scorer of the process, so that weights are placed once."""
    return FrameScorer(vgg)


def _evaluate_one(
    run: Run, avatar: Avatar, data: Dataset, out: pathlib.Path, options: Options
) -> list[Clip]:
    """The clips of one person, see `evaluate`."""
    frames = _spread(avatar.record.test_frames, options.max_frames)
    if options.signals == "tracked":
        ways = {"tracked": motion.tracked(avatar.record, frames)}
    else:
        # Features of other programs lie beside the clip, wherever it is now.
        record = avatar.record._replace(source=data.folder.path)
        ways = spoken.motions(run, record, frames)
    return [
        _clip(avatar, data, frames, way, moved, out, options)
        for way, moved in ways.items()
    ]


def _clip(
    avatar: Avatar,
    data: Dataset,
    frames: list[int],
    way: str,
    moved: motion.Motion,
    out: pathlib.Path,
    options: Options,
) -> Clip:
    """Scores some frames; those driven as asked for with a video and a sheet."""
    name, shown = data.name, way == options.signals
    torsos_of = data if options.protocol == "peer" else None
    rendered = rendered_frames(avatar, frames, moved, torsos_of)
    on_sheet = set(_spread(frames, _SHEET_ROWS)) if shown else ()
    gallery, rows, labels = Gallery(), [], []
    path, sheet = out / f"{name}.mp4", out / f"{name}.png"
    video = _video(path, data, frames) if shown else contextlib.nullcontext()
    with detectors() as pair, video as writer:
        scores = ClipScores(scorer(options.vgg), FacePairs(*pair), _sound(data))
        progress = tqdm(rendered, f"scoring {name}, {way}", len(frames), unit="frame")
        for index, maps, prediction in progress:
            row = add_frame(scores, data, index, prediction)
            if not shown:
                continue
            pictures = panels.comparison(data.frame(index)[0], prediction)
            compared = panels.row(pictures)
            writer.write(compared)
            gallery.add(row["frame.psnr"], index, compared)
            if index in on_sheet:
                pictures |= panels.maps(maps, avatar.depth_range)
                labels.append([f"frame {index}", *list(pictures)[1:]])
                rows.append([panels.enlarged(one) for one in pictures.values()])
    if not shown:
        return Clip(name, way, scores)
    image_file.write(sheet, image_grid.contact_sheet(rows, labels))
    return Clip(name, way, scores, gallery, path, sheet)


def _spread(frames: Sequence[int], count: int | None) -> list[int]:
    """`count` of the frames, from the first to the last; all where there are fewer."""
    count = len(frames) if count is None else min(count, len(frames))
    at = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return [int(frames[i]) for i in at]


@contextlib.contextmanager
def detectors() -> Iterator[list[faces.FaceDetector]]:
    """Two detectors: one may follow faces, so truth and render have each their own."""
    model = faces.find_model()
    with (
        faces.FaceDetector(model, blendshapes=True) as first,
        faces.FaceDetector(model, blendshapes=True) as second,
    ):
        yield [first, second]


def _sound(data: Dataset) -> np.ndarray | None:
    """What is said in a clip, float32 [S], or None."""
    if data.folder.audio_path is None:
        return None
    return scipy.io.wavfile.read(data.folder.audio_path)[1] / np.float32(32768)


def _video(path: pathlib.Path, data: Dataset, frames: list[int]):
    """A writer of comparisons, slowed down to the sound where frames are left out."""
    span = range(frames[0], frames[-1] + 1)
    truth = data.frame(frames[0])[0]
    size = panels.row(panels.comparison(truth, truth)).shape[1::-1]
    return video_io.VideoWriter(
        path,
        structs.FPS * len(frames) / len(span),
        size=size,
        audio=video_file.sound(data.folder.audio_path, span),
    )
