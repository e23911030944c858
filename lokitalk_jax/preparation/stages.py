"""The stages of preparation that go over all frames.

Each holds a few frames in memory, and skips what an earlier run has written: a file
that exists is complete.
"""

import collections
import concurrent.futures
import logging
from pathlib import Path

import cv2
import numpy as np

from lokitalk_jax import face_mesh, structs
from lokitalk_jax.data import layout
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.media import image_file, video_writer
from lokitalk_jax.preparation import (
    crop,
    face_identity,
    faces,
    flow_points,
    head_labels,
    head_points,
    person_mask,
    plate,
    pose,
    preview,
    source_video,
    timeline,
    torso,
)
from lokitalk_jax.preparation.person_mask import PersonSegmenter
from lokitalk_jax.progress import Progress, Stage, track

_LOG = logging.getLogger(__name__)


def write_frames(
    clip: source_video.Clip,
    grid: timeline.Timeline,
    end: float | None,
    window: crop.Window,
    out: FolderWriter,
    progress: Progress | None = None,
) -> None:
    """Writes the frames of the 25 fps grid that are not there yet.

    Raises:
      OSError: the video changed while it was read, or a file cannot be written.
    """
    count = len(grid.source)
    missing = [i for i in range(count) if not out.frame_path(i).exists()]
    if not missing:
        return
    stage = Stage(progress, "frames", count, count - len(missing))
    waiting = iter(missing)
    tick = next(waiting)
    for index, (_, frame) in enumerate(source_video.decode(clip, grid.start, end)):
        rgb = None
        while tick is not None and grid.source[tick] == index:
            if rgb is None:
                rgb = crop.cut_out(source_video.upright(clip, frame), window)
            out.write_frame(tick, rgb)
            stage.advance()
            tick = next(waiting, None)
        if tick is None:
            return
    raise OSError(f"{clip.path} gave fewer frames than at first; is it being written?")


def find_landmarks(
    out: FolderWriter,
    count: int,
    model: Path | None,
    expected: np.ndarray | None = None,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of one person throughout, see `face_identity`.

    Args:
      out: the folder.
      count: of its frames.
      model: a FaceLandmarker model, or None.
      expected: [4], the person's usual box in its frames, pixels.
      progress: called after each frame.

    Returns:
      Landmarks float32 [F, 478, 3], zero where there are none, and valid bool [F].
    """
    landmarks = np.zeros((count, face_mesh.LANDMARK_COUNT, 3), np.float32)
    seen = []
    with faces.FaceDetector(model) as detector:
        for i in track(range(count), progress, "landmarks", count):
            rgb = out.frame(i)
            found = detector.detect(rgb)
            seen.append([face_identity.candidate(rgb, one) for one in found])
    chosen = face_identity.choose(seen, expected)
    for i, which in enumerate(chosen):
        if which is not None:
            landmarks[i] = seen[i][which].landmarks
    valid = np.array([which is not None for which in chosen])
    others = np.array([len(found) > 0 for found in seen]) & ~valid
    if others.any():
        _LOG.warning("%s show another face; they are left out", _named(others))
    return landmarks, valid


def _named(chosen: np.ndarray) -> str:
    """Some frames of bool [F], in words."""
    edges = np.flatnonzero(np.diff(chosen.astype(np.int8), prepend=0, append=0))
    runs = [
        f"{first} to {stop - 1} (from {first / structs.FPS:.2f} s)"
        for first, stop in edges.reshape(-1, 2)
    ]
    more = f" and {len(runs) - 5} more stretches" if len(runs) > 5 else ""
    return f"frames {', '.join(runs[:5])}{more}"


def write_masks(
    out: FolderWriter,
    landmarks: np.ndarray,
    valid: np.ndarray,
    workers: int,
    progress: Progress | None = None,
) -> None:
    """Writes masks and labels; a frame that has its labels is done.

    Frames without a face get a mask, and labels that are all background.

    Args:
      out: the folder.
      landmarks: [F, 478, 3], pixels.
      valid: bool [F], frames with a face.
      workers: threads.
      progress: called after each frame.
    """
    count = len(valid)
    missing = [i for i in range(count) if not out.has_labels(i)]
    if not missing:
        return

    def finish(index: int, rgb: np.ndarray, mask: np.ndarray) -> None:
        labels = np.full_like(mask, layout.BACKGROUND)
        if valid[index]:
            labels = head_labels.label_regions(rgb, mask, landmarks[index])
        out.write_mask(index, mask)
        out.write_labels(index, labels)

    # Labels take ten times as long as masks, and only they are spread over threads.
    stage = Stage(progress, "masks", count, count - len(missing))
    running = collections.deque()
    with (
        PersonSegmenter() as segmenter,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        for index in missing:
            rgb = out.frame(index)
            mask = segmenter.segment(rgb)
            running.append(pool.submit(finish, index, rgb, mask))
            if len(running) > 2 * workers:
                running.popleft().result()
                stage.advance()
        for future in running:
            future.result()
            stage.advance()


def follow_head(
    out: FolderWriter,
    landmarks: np.ndarray,
    valid: np.ndarray,
    poses: pose.Poses,
    focal: float,
    principal: tuple[float, float],
    workers: int,
    progress: Progress | None = None,
) -> flow_points.Followed:
    """Follows points of the rigid head through all frames; see `head_points`.

    Args:
      out: the folder.
      landmarks: [F, 478, 3], pixels.
      valid: bool [F], frames with a face.
      poses: of the head, by landmarks alone.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
      workers: threads.
      progress: called after each frame.
    """
    reference, count = pose.middle_frame(poses.head_to_camera, valid), len(valid)
    part = head_points.rigid_part(out.labels(reference), landmarks[reference])
    template = flow_points.choose(_grey(out, reference), part)
    warps = head_points.warps(poses, reference, focal, principal)
    stage = Stage(progress, "head", count)
    return _follow(out, template, warps, workers, stage)


def register_torso(
    out: FolderWriter,
    head_to_camera: np.ndarray,
    valid: np.ndarray,
    workers: int,
    progress: Progress | None = None,
) -> torso.TorsoMotion:
    """Tracks the torso through all frames; see `torso` and `flow_points`.

    Args:
      out: the folder.
      head_to_camera: [F, 4, 4], metres.
      valid: bool [F], frames with a face.
      workers: threads.
      progress: called twice for each frame.
    """
    reference, count = pose.middle_frame(head_to_camera, valid), len(valid)
    stage = Stage(progress, "torso", 2 * count)
    labels = out.labels(reference)
    warps, correlations = torso.register(
        out.frame, labels, reference, count, stage.advance
    )
    part = person_mask.largest_part(labels == layout.TORSO)
    template = flow_points.choose(_grey(out, reference), part)
    followed = _follow(out, template, warps, workers, stage)
    return torso.TorsoMotion(warps, correlations, *followed)


def _grey(out: FolderWriter, index: int) -> np.ndarray:
    return cv2.cvtColor(out.frame(index), cv2.COLOR_RGB2GRAY)


def _follow(
    out: FolderWriter,
    template: flow_points.Template,
    warps: np.ndarray,
    workers: int,
    stage: Stage,
) -> flow_points.Followed:
    """Follows the points of a template, frame by frame in threads."""
    places = np.zeros((len(warps), *template.points.shape), np.float32)
    weights = np.zeros(places.shape[:2], np.float32)

    def follow(index: int) -> tuple[np.ndarray, np.ndarray]:
        return flow_points.follow(template, _grey(out, index), warps[index])

    # Flow depends on the number of threads that share a frame.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for index, found in enumerate(pool.map(follow, range(len(warps)))):
                places[index], weights[index] = found
                stage.advance()
    finally:
        cv2.setNumThreads(threads)
    return flow_points.Followed(template.points, places, weights, template.sharpness)


def write_plate(
    out: FolderWriter, valid: np.ndarray, progress: Progress | None = None
) -> float:
    """Writes the plate from frames with a face, bool [F].

    Returns:
      the share of the plate that was visible in some frame.
    """
    path = out.path / layout.PLATE
    if not path.exists():
        background = plate.BackgroundPlate()
        usable = np.flatnonzero(valid)
        spread = np.linspace(0, len(usable) - 1, plate.FRAMES).astype(int)
        chosen = usable[np.unique(spread)]
        for i in track(chosen, progress, "plate", len(chosen)):
            background.add(out.frame(i), out.mask(i))
        out.write_plate(*background.finish())
    return float((image_file.read_stored(path)[..., 3] > 127).mean())


def write_preview(
    out: FolderWriter,
    tracks: layout.Tracks,
    focal: float,
    principal: tuple[float, float],
    progress: Progress | None = None,
) -> None:
    """Writes the preview: the tracks drawn over the video, with its sound."""
    path, sound = out.path / layout.PREVIEW, out.path / layout.SOUND
    if path.exists():
        return
    count, (height, width, _) = len(tracks.valid), out.frame(0).shape
    marks = preview.torso_marks(tracks)
    with video_writer.VideoWriter(
        path,
        size=(width, height),
        audio=sound if sound.exists() else None,
        synthetic=False,
    ) as video_file:
        for i in track(range(count), progress, "preview", count):
            drawn = preview.draw(
                out.frame(i),
                out.labels(i),
                tracks.landmarks[i],
                tracks.head_to_camera[i],
                focal,
                principal,
                tracks.valid[i],
                marks[i],
            )
            video_file.write(drawn)
