"""Makes an identity folder of a video, stage by stage.

Every stage leaves files that the next ones read, so that one that was finished is
never done again: a run that was killed goes on where it was.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import face_geometry, layout
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.prepare import (
    audio,
    crop,
    faces,
    pose,
    stages,
    survey,
    timeline,
    torso,
    video,
    workspace,
)
from lokitalk_jax.progress import Progress

# The focal length cannot be told from a talking head, so it is a constant.
FOCAL_AT_512 = 1400.0


def prepare(
    source: Path | str,
    out: Path | str,
    options: workspace.Options,
    model: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> layout.Meta:
    """Writes the identity folder `out` of the video `source`.

    Run again after it was interrupted, it continues; after it has finished, it does
    nothing.

    Args:
      source: a video of one person, one take.
      out: the folder, new or begun by the same call.
      options: what the folder's contents depend on.
      model: a FaceLandmarker model; see `faces.find_model`.
      workers: threads of the segmentation, by default one per CPU.
      progress: hears of the stages.

    Raises:
      ValueError: the video cannot be used, or `out` holds something else; a refused
        video leaves nothing behind.
      OSError: a file could not be written; the same call continues later.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"--workers is {workers}; it must be at least 1")
    clip = video.probe(source)
    if options.audio and not clip.has_audio:
        raise ValueError(
            f"{clip.path.name} has no audio stream; pass --no-audio to prepare a "
            "silent identity"
        )
    found_model = faces.find_model(model)
    known = workspace.described(clip.path) | dataclasses.asdict(options)
    with workspace.Workspace(Path(out), known) as work:
        if not work.finished:
            workers = workers or os.cpu_count()
            _run_stages(clip, work, options, found_model, workers, progress)
    return IdentityFolder(out).meta


def _run_stages(clip, work, options, model, workers, progress) -> None:
    """The stages in order; each reads what the ones before it have written."""
    found = work.cached(
        "survey", lambda: _look(clip, options, model, progress), survey.Survey._make
    )
    survey.check(clip, found, options.start)
    grid = timeline.lay_out(found.times, found.changes, options.start, options.end)
    window = _window(clip, options, found.boxes)

    out = FolderWriter(work.path, options.png)
    if options.audio:
        sample_count = len(grid.source) * structs.AUDIO_RATE // structs.FPS
        out.write_sound(audio.read(clip, grid.start, sample_count))
    stages.write_frames(clip, grid, options.end, window, out, progress)

    landmarks, valid = work.cached(
        "landmarks",
        lambda: stages.find_landmarks(out, len(grid.source), model, progress),
        tuple,
    )
    if (~valid).mean() >= survey.MAX_FACELESS:
        raise video.UnusableVideo(
            survey.faceless_message(clip.path.name, (~valid).mean())
        )
    focal = FOCAL_AT_512 * options.size / 512
    principal = window.out_width / 2, window.out_height / 2
    poses = work.cached(
        "poses",
        lambda: pose.track_poses(landmarks, valid, focal, principal),
        pose.Poses._make,
    )
    stages.write_masks(out, landmarks, valid, workers, progress)
    motion = work.cached(
        "torso",
        lambda: stages.register_torso(out, poses.head_to_camera, valid, progress),
        torso.Motion._make,
    )
    tracks = layout.Tracks(
        head_to_camera=poses.head_to_camera,
        landmarks=landmarks,
        lips=face_geometry.lips_in_head_frame(
            landmarks, poses.head_to_camera, focal, principal
        ),
        eye_ratio=face_geometry.eye_ratios(landmarks),
        valid=valid,
        duplicate=grid.duplicate,
        torso_to_camera=torso.poses(
            motion, poses.head_to_camera, valid, focal, principal
        ),
    )
    out.write_tracks(tracks)
    seen = stages.write_plate(out, valid, progress)
    stages.write_preview(out, tracks, focal, principal, progress)

    meta = layout.Meta(
        height=window.out_height,
        width=window.out_width,
        focal=focal,
        principal=principal,
        frame_count=len(grid.source),
        train_frames=layout.train_count(len(grid.source)),
        source=work.source | {"window": window._asdict()},
        versions=workspace.versions(model),
        quality={
            "reprojection_px": round(float(poses.reprojection_px), 4),
            "faceless_frames": int((~valid).sum()),
            "duplicate_frames": int(grid.duplicate.sum()),
            "torso_correlation": round(float(np.median(motion.correlation)), 4),
            "torso_tracked": tracks.torso_to_camera is not None,
            "plate_seen": round(seen, 4),
        },
        audio_rate=structs.AUDIO_RATE if options.audio else None,
    )
    out.write_meta(meta)


def _look(clip, options, model, progress) -> survey.Survey:
    stop = min(options.end or clip.duration, clip.duration)
    total = max(0, round((stop - options.start) / clip.spacing)) or None
    with faces.FaceDetector(model) as detector:
        return survey.look(
            clip,
            detector.detect,
            options.start,
            options.end,
            search=options.crop == "auto",
            progress=progress,
            total=total,
        )


def _window(clip, options, boxes) -> crop.Window:
    if options.crop == "none":
        return crop.whole(clip.height, clip.width, options.size)
    boxes = boxes[~np.isnan(boxes[:, 0])]
    return crop.head_and_shoulders(boxes, clip.height, clip.width, options.size)
