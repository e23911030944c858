"""Writes the demo cast: identity folders of people whose motion is known exactly."""

import concurrent.futures
import dataclasses
import json
import logging
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator

import numpy as np

from lokitalk_jax import face_mesh, structs
from lokitalk_jax.data import face_geometry, folder, layout
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.demo import looks, render, shapes, truth, voice
from lokitalk_jax.demo.motion import MotionStyle, perform
from lokitalk_jax.media import image_grid

logger = logging.getLogger(__name__)

# Increased whenever the same options give other images.
_VERSION = 3


def make_cast(
    root: os.PathLike | str,
    *,
    identities: int = 4,
    seconds: float = 8.0,
    size: int = 128,
    seed: int = 0,
    motion: MotionStyle | None = None,
    speckle: float = 0.0,
    workers: int | None = None,
) -> list[pathlib.Path]:
    """Writes identity folders `root`/demo_00, demo_01, ... with their ground truth.

    Complete folders made with the same options are kept.

    Args:
      root: the folder for the identity folders.
      identities: number of people.
      seconds: length of each clip.
      size: height and width, pixels.
      seed: the same seed gives the same bytes.
      motion: amounts of motion.
      speckle: strength of a pattern on skin and hair, which shows motion that plain
        skin hides; 0 is none, 1 strong.
      workers: processes, each making one identity at a time; by default one for each
        core.

    Returns:
      The identity folders.

    Raises:
      ValueError: an option is out of range, or a folder was made with other options.
    """
    motion = motion or MotionStyle()
    if identities < 1 or seconds < 1 or size < 32:
        raise ValueError(
            f"a demo cast with identities={identities} seconds={seconds} size={size} "
            "cannot be made; it needs at least 1 identity, 1 s and 32 px"
        )
    root = pathlib.Path(root)
    paths = [root / f"demo_{index:02d}" for index in range(identities)]
    sources = [
        _source(index, seconds, size, seed, motion, speckle)
        for index in range(identities)
    ]
    missing = [not _is_made(*pair) for pair in zip(paths, sources, strict=True)]
    jobs = [
        (paths[index], sources[index], index, seed, size, motion, speckle)
        for index in range(identities)
        if missing[index]
    ]
    for path in _written(jobs, workers or os.cpu_count() or 1):
        logger.info("Made %s", path)
    return paths


def _written(jobs: list[tuple], workers: int) -> Iterator[pathlib.Path]:
    """Folders of the identities, as up to `workers` processes finish them in order."""
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from (_write_identity(*job) for job in jobs)
        return
    # Frames are many small array operations, which threads do not run in parallel.
    # `multiprocessing` would run the caller's script again, unless it guards itself.
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        yield from pool.map(_write_in_process, jobs)


def _write_in_process(job: tuple) -> pathlib.Path:
    """Writes an identity in another process.

    Raises:
      OSError: it failed; says with which error.
    """
    code = "import pickle, sys; call, job = pickle.load(sys.stdin.buffer); call(*job)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps((_write_identity, job)),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.PIPE,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1] if said else f"its process ended with status {done.returncode}"
        raise OSError(f"{job[0]} could not be made: {why}")
    return job[0]


def _source(index, seconds, size, seed, motion, speckle) -> dict:
    options = dict(seconds=seconds, size=size, seed=seed, index=index)
    if speckle:
        options["speckle"] = speckle
    options["motion"] = dataclasses.asdict(motion)
    made = {"name": "demo cast", "version": _VERSION, **options}
    return json.loads(json.dumps(made))  # as it will be read back


def _is_made(path: pathlib.Path, source: dict) -> bool:
    """Whether `path` is complete; an incomplete identity is deleted."""
    if not path.exists():
        return False
    if not layout.is_identity(path):
        if not (path / truth.FILE).is_file() and any(path.iterdir()):
            raise ValueError(
                f"{path} holds files that are not a demo identity's; give another "
                "folder for the demo cast"
            )
        shutil.rmtree(path)
        return False
    found = _flat(folder.IdentityFolder(path).meta.source)
    source = _flat(source)
    if found == source:
        return True
    differing = [key for key in source if found.get(key) != source[key]]
    seen = ", ".join(f"{key} {found.get(key)!r}" for key in differing)
    wanted = ", ".join(f"{key} {source[key]!r}" for key in differing)
    raise ValueError(
        f"{path} was made with {seen}, not with {wanted}; delete it or give another "
        "folder for the demo cast"
    )


def _flat(source: dict) -> dict:
    """Options in one level: those of the motion as motion.turn and so on."""
    motion = source.get("motion", {})
    flat = {key: value for key, value in source.items() if key != "motion"}
    return flat | {f"motion.{key}": value for key, value in motion.items()}


def make_truth(
    index: int,
    seconds: float,
    size: int,
    seed: int,
    motion: MotionStyle,
    speckle: float = 0.0,
) -> tuple[truth.Truth, np.ndarray]:
    """The ground truth of identity `index` of a cast, and its speech, float32 [S]."""
    person = shapes.build_person(looks.draw_looks(seed, index, speckle))
    rng = np.random.default_rng([seed, index, 41])
    speech = voice.speak(seconds, rng, rng.uniform(95, 210))
    frame_count = round(seconds * structs.FPS)
    performance = perform(speech, frame_count, motion, rng)
    camera = render.Camera.of_size(size)
    return truth.Truth(person, performance, camera, seed, index), speech.audio


def _write_identity(path, source, index, seed, size, motion, speckle) -> pathlib.Path:
    known, samples = make_truth(index, source["seconds"], size, seed, motion, speckle)
    path.mkdir(parents=True)
    truth.write_truth(path, known)
    out = FolderWriter(path)
    renderer = truth.Renderer(known)
    frame_count = len(known.performance.head)
    seen = np.zeros((size, size), bool)
    for frame in range(frame_count):
        seen |= _write_frame(out, renderer, frame)
    out.write_plate(image_grid.to_uint8(renderer.paints.background), seen)
    out.write_tracks(tracks(known))
    out.write_sound(samples)
    meta = layout.Meta(
        height=size,
        width=size,
        focal=known.camera.focal,
        principal=known.camera.principal,
        frame_count=frame_count,
        train_frames=layout.train_count(frame_count),
        source=source,
        versions={"demo": _VERSION},
        quality={"reprojection_px": 0.0},
    )
    out.write_meta(meta)
    return path


def _write_frame(out: FolderWriter, renderer: truth.Renderer, frame: int) -> np.ndarray:
    """Writes a frame's images; returns where the background shows, bool [S, S]."""
    picture = renderer(frame)
    out.write_frame(frame, image_grid.to_uint8(picture.rgb))
    out.write_mask(frame, image_grid.to_uint8(picture.alpha))
    out.write_labels(frame, picture.labels)
    return picture.alpha == 0


def tracks(known: truth.Truth) -> layout.Tracks:
    """Tracks of a demo clip by a tracker with the pose error of the cast."""
    person, performance, camera, *_ = known
    count = len(performance.head)
    landmarks = np.empty((count, 478, 3))
    lip_points = np.empty((count, len(face_mesh.LIPS), 3))
    for frame in range(count):
        surface = render.moved_vertices(person, performance, frame)[:468]
        irises = person.irises[::-1].reshape(10, 3)
        irises = render.transform(performance.head[frame], irises)
        mesh = np.concatenate([surface, irises])
        origin = performance.head[frame, 2, 3]
        landmarks[frame, :, :2] = camera.project(mesh)
        landmarks[frame, :, 2] = camera.focal * (mesh[:, 2] - origin) / origin
        to_head = np.linalg.inv(performance.tracked[frame])
        lip_points[frame] = render.transform(to_head, surface[list(face_mesh.LIPS)])
    return layout.Tracks(
        head_to_camera=performance.tracked.astype(np.float32),
        landmarks=landmarks.astype(np.float32),
        lips=lip_points.astype(np.float32),
        eye_ratio=face_geometry.eye_ratios(landmarks),
        valid=np.ones(count, bool),
        duplicate=np.zeros(count, bool),
        torso_to_camera=performance.torso.astype(np.float32),
    )
