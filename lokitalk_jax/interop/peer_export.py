"""A folder that ER-NeRF, SyncTalk and TalkingGaussian train on, of an identity folder.

What only their own tools make stays to be made: audio features (aud_ds.npy) from
aud.wav, and OpenFace's au.csv.
"""

import pathlib
import shutil
import tempfile

import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.data import layout, torso_inpainting
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.interop import peer_poses
from lokitalk_jax.media import image_file
from lokitalk_jax.progress import Progress, track

# RGB of their parsing maps. Our torso includes the neck, which they only tell apart to
# join them again.
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
    source: pathlib.Path, out: pathlib.Path, progress: Progress | None = None
) -> int:
    """Writes `out` as their preparation does.

    Args:
      source: an identity folder.
      out: a folder that is not there yet; it appears when all is written.
      progress: hears of the frames.

    Returns:
      the number of frames.

    Raises:
      ValueError: `source` is no identity folder, some frame has no face, or `out` is
        there.
      OSError: a file could not be written.
    """
    identity, out = IdentityFolder(source), pathlib.Path(out)
    tracks, meta = identity.tracks(), identity.meta
    if out.exists():
        raise ValueError(f"out={out} is there already; give a new folder")
    if not tracks.valid.all():
        raise ValueError(
            f"{source} has {int((~tracks.valid).sum())} frames without a face; their "
            "programs shift all frames after such a gap: prepare a stretch without one"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _write(identity, tracks, scratch, progress)
        scratch.chmod(0o755)
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return meta.frame_count


def _write(identity, tracks, out: pathlib.Path, progress) -> None:
    meta = identity.meta
    for name in ("ori_imgs", "gt_imgs", "torso_imgs", "parsing"):
        (out / name).mkdir()
    plate = identity.plate()
    image_file.write(out / "bc.jpg", plate)
    palette = np.array([_COLOURS[label] for label in layout.LABEL_VALUES], np.uint8)
    for i in track(range(meta.frame_count), progress, "export", meta.frame_count):
        rgb, labels = identity.frame(i), identity.labels(i)
        share = identity.mask(i)[..., None] / 255
        image_file.write(out / "ori_imgs" / f"{i}.jpg", rgb)
        over = np.rint(share * rgb + (1 - share) * plate).astype(np.uint8)
        image_file.write(out / "gt_imgs" / f"{i}.jpg", over)
        torso = torso_inpainting.torso_image(rgb, labels)
        image_file.write(out / "torso_imgs" / f"{i}.png", torso)
        image_file.write(out / "parsing" / f"{i}.png", palette[labels])
        points = tracks.landmarks[i, list(face_mesh.MESH_TO_68), :2]
        np.savetxt(out / "ori_imgs" / f"{i}.lms", points, "%f")
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
        shutil.copyfile(identity.audio_path, out / "aud.wav")
