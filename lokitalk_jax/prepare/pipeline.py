"""Makes an identity folder of a video, stage by stage.

Every stage leaves files that the next ones read, so one that was finished is never
done again: a run that was killed goes on where it was. Only a window of frames is in
memory at any time.
"""

import collections
import concurrent.futures
import functools
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import tqdm

from lokitalk_jax import structs, video_io
from lokitalk_jax.data import folder
from lokitalk_jax.prepare import (
    audio,
    crop,
    faces,
    lips,
    masks,
    pose,
    preview,
    survey,
    video,
    workspace,
)

# The focal length cannot be told from a talking head, so it is a constant.
FOCAL_AT_512 = 1400.0


def prepare(
    source: Path | str,
    out: Path | str,
    options: workspace.Options,
    model: str | None = None,
    workers: int | None = None,
) -> folder.Meta:
    """Writes the identity folder `out` of the video `source`.

    Run again after it was interrupted, it continues; after it has finished, it does
    nothing.

    Args:
      source: a video of one person, one take.
      out: the folder, new or begun by the same call.
      options: what the folder's contents depend on.
      model: a FaceLandmarker model; see `faces.find_model`.
      workers: threads for the segmentation, by default one per CPU.

    Raises:
      ValueError: the video cannot be used, or `out` holds something else; a refused
        video leaves nothing behind.
      OSError: a file could not be written; the same call continues later.
    """
    clip = video.probe(source)
    if options.audio and not clip.has_audio:
        raise ValueError(
            f"{clip.path.name} has no audio stream; pass --no-audio to prepare a "
            "silent identity"
        )
    with workspace.Workspace(Path(out), clip, options) as work:
        if not work.finished:
            _run_stages(clip, work, options, faces.find_model(model), workers)
    return folder.IdentityFolder(out).meta


def _run_stages(clip, work, options, model, workers):
    """The stages in order; each reads what the ones before it have written."""
    out = work.path
    found = work.cached(
        "survey", lambda: _look(clip, options, model), survey.Survey._make
    )
    survey.check(clip, found, options.start)
    timeline = video.timeline(found.times, found.changes, options.start, options.end)
    count = len(timeline.source)
    window = crop.whole(clip.height, clip.width, options.size)
    if options.crop == "auto":
        boxes = found.boxes[~np.isnan(found.boxes[:, 0])]
        window = crop.head_and_shoulders(boxes, clip.height, clip.width, options.size)
    size = window.out_width, window.out_height
    focal = FOCAL_AT_512 * options.size / 512
    principal = size[0] / 2, size[1] / 2

    suffix = ".png" if options.png else ".jpg"
    frame_path = functools.partial(_numbered, out / "frames", suffix)
    _write_frames(clip, options, timeline, window, frame_path)

    landmarks, valid = work.cached(
        "landmarks", lambda: _detect(frame_path, count, model), tuple
    )
    if (~valid).mean() >= survey.MAX_FACELESS:
        raise ValueError(survey.faceless_message(clip.path.name, (~valid).mean()))
    poses = work.cached(
        "poses",
        lambda: pose.track_poses(landmarks, valid, focal, principal),
        pose.Poses._make,
    )
    tracks = folder.Tracks(
        head_to_camera=poses.head_to_camera,
        landmarks=landmarks,
        lips=lips.lips_in_head_frame(
            landmarks, poses.head_to_camera, focal, principal
        ).astype(np.float32),
        eye_ratio=lips.eye_ratios(landmarks).astype(np.float32),
        valid=valid,
        duplicate=timeline.duplicate,
    )
    _segment(out, frame_path, tracks, workers or os.cpu_count())
    seen = _write_plate(out, frame_path, valid)
    if options.audio:
        sample_count = count * structs.AUDIO_RATE // structs.FPS
        audio.write(out, audio.read(clip, timeline.start, sample_count))
    _write_preview(out, frame_path, tracks, focal, principal)
    folder.write_tracks(out, tracks)
    meta = folder.Meta(
        height=window.out_height,
        width=window.out_width,
        focal=focal,
        principal=principal,
        frame_count=count,
        train_frames=folder.train_count(count),
        source=work.source | {"window": window._asdict(), "fps": 1 / clip.spacing},
        versions=workspace.versions(
            "FaceLandmarker" if model else "face mesh of mediapipe"
        ),
        quality={
            "reprojection_px": round(float(poses.reprojection_px), 4),
            "faceless_frames": int((~valid).sum()),
            "duplicate_frames": int(timeline.duplicate.sum()),
            "plate_seen": round(seen, 4),
        },
        audio_rate=structs.AUDIO_RATE if options.audio else None,
    )
    folder.write_meta(out, meta)


def _numbered(parent: Path, suffix: str, index: int) -> Path:
    return parent / f"{index:06d}{suffix}"


def _bar(name: str, total: int | None = None) -> Callable:
    return functools.partial(
        tqdm.tqdm, desc=f"{name:9}", total=total, unit="frame", mininterval=1
    )


def _look(clip, options, model) -> survey.Survey:
    stop = options.end or clip.duration
    total = max(0, round((min(stop, clip.duration) - options.start) / clip.spacing))
    with faces.FaceDetector(model) as detector:
        return survey.look(
            clip,
            detector.detect,
            options.start,
            options.end,
            _bar("survey", total or None),
        )


def _write_frames(clip, options, timeline, window, path) -> None:
    """Writes the frames of the 25 fps grid that are not there yet."""
    count = len(timeline.source)
    missing = [i for i in range(count) if not path(i).exists()]
    if not missing:
        return
    path(0).parent.mkdir(exist_ok=True)
    progress = _bar("frames")(total=count, initial=count - len(missing))
    wanted = iter(missing)
    tick = next(wanted)
    with progress:
        decoded = video.decode(clip, options.start, options.end)
        for index, (_, frame) in enumerate(decoded):
            image = None
            while tick is not None and timeline.source[tick] == index:
                if image is None:
                    image = crop.cut_out(video.upright(clip, frame), window)
                folder.write_image(path(tick), image)
                progress.update()
                tick = next(wanted, None)
            if tick is None:
                return
    raise ValueError(
        f"{clip.path} gave fewer frames than a moment ago; was it being written?"
    )


def _detect(path, count, model) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks [F, 478, 3] and where there are any, bool [F]."""
    landmarks = np.zeros((count, faces.LANDMARK_COUNT, 3), np.float32)
    valid = np.zeros(count, bool)
    with faces.FaceDetector(model) as detector:
        for i in _bar("landmarks")(range(count)):
            found = detector.detect(_read(path(i)))
            if found:
                landmarks[i], valid[i] = found[0], True
    return landmarks, valid


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is not an image any more; delete it and run again")
    return np.ascontiguousarray(image[..., ::-1])


def _segment(out, frame_path, tracks, workers) -> None:
    """Writes masks/ and labels/; a frame with its labels is done."""
    for name in ("masks", "labels"):
        (out / name).mkdir(exist_ok=True)
    mask_path = functools.partial(_numbered, out / "masks", ".png")
    label_path = functools.partial(_numbered, out / "labels", ".png")
    count = len(tracks.valid)
    missing = [i for i in range(count) if not label_path(i).exists()]
    if not missing:
        return

    def finish(index: int, rgb: np.ndarray, mask: np.ndarray) -> None:
        labels = np.full_like(mask, folder.BACKGROUND)
        if tracks.valid[index]:
            labels = masks.label_regions(rgb, mask, tracks.landmarks[index])
        folder.write_image(mask_path(index), mask)
        folder.write_image(label_path(index), labels)

    # The labels take ten times as long as the masks, and only they are spread.
    window = collections.deque()
    with (
        masks.PersonSegmenter() as segmenter,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
        _bar("masks")(total=count, initial=count - len(missing)) as progress,
    ):
        for index in missing:
            rgb = _read(frame_path(index))
            mask = segmenter.segment(rgb)
            window.append(pool.submit(finish, index, rgb, mask))
            if len(window) > 2 * workers:
                window.popleft().result()
                progress.update()
        for future in window:
            future.result()
            progress.update()


def _write_plate(out, frame_path, valid) -> float:
    """Writes background.png; returns the share of it that was seen."""
    path = out / "background.png"
    if not path.exists():
        plate = masks.BackgroundPlate()
        usable = np.flatnonzero(valid)
        spread = np.linspace(0, len(usable) - 1, masks.PLATE_FRAMES).astype(int)
        for i in _bar("plate")(usable[np.unique(spread)]):
            mask = cv2.imread(str(out / "masks" / f"{i:06d}.png"), cv2.IMREAD_GRAYSCALE)
            plate.add(_read(frame_path(i)), mask)
        rgb, seen = plate.finish()
        alpha = np.where(seen, 255, 0).astype(np.uint8)
        folder.write_image(path, np.dstack([rgb, alpha]))
    rgba = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return float((rgba[..., 3] > 127).mean())


def _write_preview(out, frame_path, tracks, focal, principal) -> None:
    path = out / "preview.mp4"
    if path.exists():
        return
    height, width = _read(frame_path(0)).shape[:2]
    sound = out / "audio.wav"
    with video_io.VideoWriter(
        path,
        size=(width, height),
        audio=sound if sound.exists() else None,
        synthetic=False,
    ) as writer:
        for i in _bar("preview")(range(len(tracks.valid))):
            labels = cv2.imread(
                str(out / "labels" / f"{i:06d}.png"), cv2.IMREAD_GRAYSCALE
            )
            drawn = preview.draw(
                _read(frame_path(i)),
                labels,
                tracks.landmarks[i],
                tracks.head_to_camera[i],
                focal,
                principal,
                tracks.valid[i],
            )
            writer.write(drawn)
