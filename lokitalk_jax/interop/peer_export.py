"""Exports an identity folder for training in ER-NeRF, SyncTalk or TalkingGaussian.

Only their tools can make two files: audio features (aud_ds.npy) from aud.wav, and
OpenFace's au.csv.
"""

import os
import pathlib
import shutil

import numpy as np

from lokitalk_jax import face_mesh, files
from lokitalk_jax.data import layout, peer_layout, torso_inpainting
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.interop import peer_poses
from lokitalk_jax.media import image_file
from lokitalk_jax.progress import Progress, track

# Colours of labels in parsing maps. The torso includes the neck; their programs join
# both.
_COLOURS = {
    layout.BACKGROUND: (255, 255, 255),
    layout.TORSO: (255, 0, 0),
    layout.HEAD: (0, 0, 255),
}

STILL_TO_MAKE = (
    "aud_ds.npy (or aud_hu.npy, aud_eo.npy), by their data_utils from aud.wav",
    "au.csv, by OpenFace's FeatureExtraction from the frames (ER-NeRF)",
)


def export_folder(
    source: str | os.PathLike,
    out: str | os.PathLike,
    progress: Progress | None = None,
) -> int:
    """Writes a folder as their preparation does; see `peer_layout`.

    Args:
      source: an identity folder.
      out: a new folder; it appears when it is complete.
      progress: called for every frame.

    Returns:
      The number of frames.

    Raises:
      ValueError: `source` is not an identity folder, a frame has no face, or `out`
        exists.
      OSError: a file could not be written.
    """
    identity, out = IdentityFolder(source), pathlib.Path(out)
    tracks = identity.tracks()
    if out.exists():
        raise ValueError(f"out={out} is there already; give a new folder")
    if not tracks.valid.all():
        raise ValueError(
            f"{source} has {int((~tracks.valid).sum())} frames without a face; their "
            "programs shift all frames after such a gap: prepare a stretch without one"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    files.sweep(out.parent)
    scratch = files.scratch(out)
    try:
        _write(identity, tracks, scratch, progress)
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return identity.meta.frame_count


def _write(
    identity: IdentityFolder,
    tracks: layout.Tracks,
    out: pathlib.Path,
    progress: Progress | None,
) -> None:
    kinds = (
        peer_layout.FRAMES,
        peer_layout.OVER_PLATE,
        peer_layout.TORSOS,
        peer_layout.PARSING_MAPS,
    )
    for kind in kinds:
        (out / kind).mkdir(parents=True)
    meta, plate = identity.meta, identity.plate()
    image_file.write(out / peer_layout.PLATE, plate)
    palette = np.array([_COLOURS[label] for label in layout.LABEL_VALUES], np.uint8)
    for i in track(range(meta.frame_count), progress, "export", meta.frame_count):
        rgb, labels = identity.frame(i), identity.labels(i)
        share = identity.mask(i)[..., None] / 255
        over_plate = np.rint(share * rgb + (1 - share) * plate).astype(np.uint8)
        torso = torso_inpainting.torso_image(rgb, labels)
        images = rgb, over_plate, torso, palette[labels]
        for kind, image in zip(kinds, images, strict=True):
            image_file.write(peer_layout.image(out, kind, i), image)
        points = tracks.landmarks[i, list(face_mesh.MESH_TO_68), :2]
        np.savetxt(peer_layout.landmarks(out, i), points, "%f")
    peer_poses.write(
        out,
        peer_poses.PeerPoses(
            peer_poses.to_theirs(tracks.head_to_camera),
            meta.focal,
            meta.principal,
            meta.train_frames,
        ),
    )
    if identity.audio_path:
        shutil.copyfile(identity.audio_path, out / peer_layout.SOUND)
