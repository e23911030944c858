"""Imports a folder of ER-NeRF, SyncTalk or TalkingGaussian as an identity folder.

Frames, poses, focal length, parsing maps, background and sound are taken over.
Landmarks are detected again, since 68 points are too few for our lip signal; lips, eyes
and the place of our head frame follow from them. Audio features, action units and torso
images are not used.
"""

import os
import pathlib
import shutil

import cv2
import numpy as np

from lokitalk_jax import face_mesh, structs
from lokitalk_jax.data import label_images, layout, peer_layout
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.doctor import check, finding, pictures
from lokitalk_jax.files import replacing
from lokitalk_jax.interop import peer_poses
from lokitalk_jax.media import clip_sound, image_file
from lokitalk_jax.preparation import (
    face_model,
    pose,
    stages,
    torso,
    tracks,
    workspace,
)
from lokitalk_jax.preparation.workspace import Workspace
from lokitalk_jax.progress import Progress, track

_FEWEST = 0.5  # share of the frames that must show a face
_PLATE_FRAMES = 64  # in which the background is looked for


def import_folder(
    source: str | os.PathLike,
    out: str | os.PathLike,
    model: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> layout.Meta:
    """Writes the identity folder `out`; continues after an interruption.

    Args:
      source: their folder, see `peer_layout`.
      out: the folder, new or begun by the same call.
      model: a FaceLandmarker model; None searches for it, see `face_model.find`.
      progress: called for every frame of every stage.

    Raises:
      ValueError: the doctor finds an error in `source`, too few frames show a face, or
        `out` holds something else.
      OSError: a file could not be written; the same call continues later.
    """
    source = pathlib.Path(source)
    if not peer_layout.is_peer(source):
        raise ValueError(
            f"import={source} is not laid out as a folder of ER-NeRF or SyncTalk: it "
            f"holds neither {peer_layout.TRANSFORMS[0]} nor {peer_layout.FRAMES}; give "
            "the folder that holds both"
        )
    findings = check.examine(source, progress)
    errors = [str(one) for one in findings if one.severity == finding.ERROR]
    if errors:
        listed = "\n  ".join(errors)
        raise ValueError(
            f"{source} cannot be imported as it is; mend these first:\n  {listed}"
        )
    known = workspace.file_identity(source / peer_layout.TRANSFORMS[0])
    with Workspace(pathlib.Path(out), known | {"imported": True}) as work:
        if not work.finished:
            _run_stages(source, work, face_model.find(model), progress)
    return IdentityFolder(out).meta


def _run_stages(
    source: pathlib.Path,
    work: Workspace,
    model: pathlib.Path | None,
    progress: Progress | None,
) -> None:
    theirs = peer_poses.read(source)
    count = len(theirs.camera_to_head)
    stored = peer_layout.images(source, peer_layout.FRAMES).values()
    out = FolderWriter(work.path, png=all(path.suffix == ".png" for path in stored))
    repeated = work.cached(
        "repeats",
        lambda: [_write_frames(source, out, count, progress)],
        lambda arrays: arrays[0],
    )
    landmarks, valid = work.cached(
        "landmarks",
        lambda: stages.find_landmarks(out, count, model, None, progress),
        tuple,
    )
    if valid.mean() <= _FEWEST:
        raise ValueError(
            f"{source.name}: {1 - valid.mean():.0%} of its frames show no face; "
            "look at them, and cut the video where no face is visible"
        )
    focal, principal = theirs.focal, theirs.principal
    poses = peer_poses.to_ours(theirs.camera_to_head)
    rigid = list(face_mesh.RIGID)
    head = peer_poses.fit_head(
        poses[valid],
        face_mesh.canonical_points()[rigid],
        (landmarks[valid][:, rigid, :2].astype(np.float64) - principal) / focal,
    )
    poses = peer_poses.of_our_head(poses, head).astype(np.float32)
    _write_labels(source, out, count, progress)
    motion = work.cached(
        "torso_points",
        lambda: stages.register_torso(out, poses, valid, os.cpu_count() or 1, progress),
        torso.TorsoMotion._make,
    )
    tracked = tracks.assemble(
        landmarks, valid, repeated, poses, motion, focal, principal
    )
    out.write_tracks(tracked)
    plate_seen = _write_plate(source, out, count)
    out.write_sound(_sound(source, count))
    stages.write_preview(out, tracked, focal, principal, progress)
    height, width = out.frame(0).shape[:2]
    fit = {
        "reprojection_px": round(head.error * pose.REFERENCE_FOCAL, 4),
        "head_scale": round(head.scale, 4),
    }
    out.write_meta(
        layout.Meta(
            height=height,
            width=width,
            focal=focal,
            principal=principal,
            frame_count=count,
            train_frames=theirs.train_frames,
            source=work.source,
            versions=workspace.tool_versions(model),
            quality=fit | tracks.quality(tracked, motion, plate_seen),
        )
    )


def _even(image: np.ndarray) -> np.ndarray:
    """Drops an odd last row or column, which no video can have."""
    height, width = image.shape[:2]
    return image[: height - height % 2, : width - width % 2]


def _write_frames(
    source: pathlib.Path, out: FolderWriter, count: int, progress: Progress | None
) -> np.ndarray:
    """Takes frames over; returns which of them are repeats, bool [F]."""
    repeats = pictures.Repeats()
    paths = peer_layout.images(source, peer_layout.FRAMES)
    for i in track(range(count), progress, "frames", count):
        path = paths[i]
        rgb = image_file.read_rgb(path)
        repeats.add(i, rgb)
        if out.frame_path(i).exists():
            continue
        whole = rgb.shape == _even(rgb).shape
        if whole and path.suffix == out.frame_path(i).suffix:
            # A copy of the file, since every encoding loses a little.
            with replacing(out.frame_path(i)) as temporary:
                shutil.copyfile(path, temporary)
        else:
            out.write_frame(i, _even(rgb))
    repeated = np.zeros(count, bool)
    repeated[repeats.repeated()] = True
    return repeated


def _write_labels(
    source: pathlib.Path, out: FolderWriter, count: int, progress: Progress | None
) -> None:
    """Makes masks and labels from parsing maps."""
    paths = peer_layout.images(source, peer_layout.PARSING_MAPS)
    for i in track(range(count), progress, "labels", count):
        if out.has_labels(i):
            continue
        labels = _even(label_images.read(paths[i]))
        person = np.where(labels == layout.BACKGROUND, 0, 255).astype(np.uint8)
        # Their maps end at whole pixels, a person does not.
        out.write_mask(i, cv2.GaussianBlur(person, (3, 3), 0))
        out.write_labels(i, labels)


def _write_plate(source: pathlib.Path, out: FolderWriter, count: int) -> float:
    """Writes the plate; returns the share of it that was visible in some frame."""
    rgb = _even(image_file.read_rgb(source / peer_layout.PLATE))
    seen = np.zeros(rgb.shape[:2], bool)
    for i in np.unique(np.linspace(0, count - 1, _PLATE_FRAMES).astype(int)):
        seen |= out.mask(i) == 0
    out.write_plate(rgb, seen)
    return float(seen.mean())


def _sound(source: pathlib.Path, count: int) -> np.ndarray:
    """The sound of `count` frames, float32 [S]; the doctor has checked its rate."""
    samples = clip_sound.samples(source / peer_layout.SOUND)
    length = count * structs.AUDIO_RATE // structs.FPS
    return np.pad(samples[:length], (0, max(length - len(samples), 0)))
