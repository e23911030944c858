"""Makes an identity folder from a video, stage by stage.

Every stage leaves files that the next stages read, so a finished stage is never
repeated: a run that was killed continues where it stopped.
"""

import dataclasses
import os
import pathlib

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import layout
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.preparation import (
    crop,
    face_model,
    faces,
    flow_points,
    head_points,
    pose,
    source_sound,
    source_video,
    stages,
    stretch,
    survey,
    timeline,
    torso,
    tracks,
    workspace,
)
from lokitalk_jax.preparation.options import Options
from lokitalk_jax.preparation.source_video import Clip
from lokitalk_jax.preparation.workspace import Workspace
from lokitalk_jax.progress import Progress

# A talking head does not determine the focal length, so it is a constant; pixels.
FOCAL_AT_512 = 1400.0


def prepare(
    source: str | os.PathLike,
    out: str | os.PathLike,
    options: Options = Options(),  # noqa: B008 (immutable)
    model: str | os.PathLike | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> layout.Meta:
    """Writes the identity folder `out` of the video `source`.

    Run again after an interruption, it continues; after it has finished, it does
    nothing.

    Args:
      source: a video of one person, one take.
      out: the folder, new or begun by the same call.
      options: size, crop, stretch and format.
      model: a FaceLandmarker model; None searches for it, see `face_model.find`.
      workers: threads of the labelling, by default one for each CPU.
      progress: called for every frame of every stage.

    Raises:
      ValueError: the video cannot be used, or `out` holds something else; a refused
        video leaves nothing behind.
      OSError: a file could not be written; the same call continues later.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers} must be at least 1")
    clip = source_video.probe(source)
    if options.audio and not clip.has_audio:
        raise ValueError(
            f"{clip.path.name} has no audio stream; pass audio=False to prepare a "
            "silent identity"
        )
    model = face_model.find(model)
    known = workspace.file_identity(clip.path) | dataclasses.asdict(options)
    # The same stretch of the same video, whether it was trimmed or had no need to be.
    del known["trim"]
    with Workspace(pathlib.Path(out), known) as work:
        if not work.finished:
            workers = workers or os.cpu_count() or 1
            _run_stages(clip, work, options, model, workers, progress)
    return IdentityFolder(out).meta


def _run_stages(
    clip: Clip,
    work: Workspace,
    options: Options,
    model: pathlib.Path | None,
    workers: int,
    progress: Progress | None,
) -> None:
    """Runs the stages in order; each reads the results of the stages before it."""
    sound = source_sound.find(clip, options.audio_track) if options.audio else None
    found = work.cached(
        "survey",
        lambda: _look(clip, options, model, progress),
        survey.Survey._make,
    )
    start, end = options.start, options.end
    if options.trim:
        found, start, end = stretch.trim(found, start, end)
    survey.check(clip, found, start)
    grid = timeline.lay_out(found.times, found.changes, start, end)
    window = _window(clip, options, found)
    count = len(grid.source)

    out = FolderWriter(work.path, options.png)
    if sound is not None:
        sample_count = count * structs.AUDIO_RATE // structs.FPS
        out.write_sound(source_sound.read(clip, sound, grid.start, sample_count))
    stages.write_frames(clip, grid, end, window, out, progress)

    expected = window.of_box(np.median(found.known_boxes, axis=0))
    landmarks, valid = work.cached(
        "landmarks",
        lambda: stages.find_landmarks(out, count, model, expected, progress),
        tuple,
    )
    survey.check_faces(clip.path.name, (~valid).mean(), count / structs.FPS)
    focal = FOCAL_AT_512 * options.size / 512
    principal = window.out_width / 2, window.out_height / 2
    poses = work.cached(
        "poses",
        lambda: pose.track_poses(landmarks, valid, focal, principal),
        pose.Poses._make,
    )
    stages.write_masks(out, landmarks, valid, workers, progress)
    followed = work.cached(
        "head_points",
        lambda: stages.follow_head(
            out, landmarks, valid, poses, focal, principal, workers, progress
        ),
        flow_points.Followed._make,
    )
    head_to_camera = head_points.refine(
        poses, followed, landmarks, valid, focal, principal
    )
    motion = work.cached(
        "torso_points",
        lambda: stages.register_torso(out, head_to_camera, valid, workers, progress),
        torso.TorsoMotion._make,
    )
    tracked = tracks.assemble(
        landmarks,
        valid,
        grid.duplicate,
        head_to_camera,
        motion,
        focal,
        principal,
    )
    out.write_tracks(tracked)
    plate_seen = stages.write_plate(out, valid, progress)
    stages.write_preview(out, tracked, focal, principal, progress)

    kept = [round(grid.start, 3), round(grid.start + count / structs.FPS, 3)]
    reprojection = {"reprojection_px": round(float(poses.reprojection_px), 4)}
    out.write_meta(
        layout.Meta(
            height=window.out_height,
            width=window.out_width,
            focal=focal,
            principal=principal,
            frame_count=count,
            train_frames=layout.split(valid),
            source=work.source | {"window": window._asdict(), "stretch": kept},
            versions=workspace.tool_versions(model),
            quality=reprojection | tracks.quality(tracked, motion, plate_seen),
            audio_rate=structs.AUDIO_RATE if options.audio else None,
        )
    )


def _look(clip: Clip, options: Options, model, progress) -> survey.Survey:
    with faces.FaceDetector(model) as detector:
        return survey.look(
            clip,
            detector.detect,
            options.start,
            options.end,
            options.crop == "auto",
            options.person,
            progress,
        )


def _window(clip: Clip, options: Options, found: survey.Survey) -> crop.Window:
    if options.crop == "none":
        return crop.whole(clip.height, clip.width, options.size)
    return crop.head_and_shoulders(
        found.known_boxes, clip.height, clip.width, options.size
    )
