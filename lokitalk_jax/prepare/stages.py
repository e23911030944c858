"""The stages of preparation that go over all frames.

Each holds a few frames at a time, and leaves alone what an earlier run has written:
a file that is there is complete.
"""

import collections
import concurrent.futures
import functools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import tqdm

from lokitalk_jax import face_mesh
from lokitalk_jax.data import folder
from lokitalk_jax.files import write_image
from lokitalk_jax.media import video_io
from lokitalk_jax.prepare import crop, faces, masks, preview, timeline, torso, video


class Files:
    """Names of the files of an identity folder, and its frames."""

    def __init__(self, out: Path, png: bool):
        """Makes the subfolders of `out`; `png` is the format of new frames."""
        self.out = out
        self._frame_suffix = ".png" if png else ".jpg"
        for name in ("frames", "masks", "labels"):
            (out / name).mkdir(exist_ok=True)

    def frame(self, index: int) -> Path:
        """Path of a frame."""
        return self.out / "frames" / f"{index:06d}{self._frame_suffix}"

    def mask(self, index: int) -> Path:
        """Path of a person mask."""
        return self.out / "masks" / f"{index:06d}.png"

    def labels(self, index: int) -> Path:
        """Path of a label image."""
        return self.out / "labels" / f"{index:06d}.png"

    def read_rgb(self, index: int) -> np.ndarray:
        """A frame, uint8 [H, W, 3]."""
        return np.ascontiguousarray(_read(self.frame(index))[..., ::-1])


def _read(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise OSError(f"{path} is missing or damaged; delete it and run again")
    return image


def progress_bar(stage: str, total: int | None = None) -> Callable:
    """A tqdm for `stage`, still to be given its iterable or further options."""
    return functools.partial(
        tqdm.tqdm, desc=f"{stage:9}", total=total, unit="frame", mininterval=1
    )


def write_frames(
    clip: video.Clip, grid: timeline.Timeline, end: float | None, window, files: Files
) -> None:
    """Writes the frames of the 25 fps grid that are not there yet.

    Raises:
      OSError: the video changed while it was read, or a file cannot be written.
    """
    count = len(grid.source)
    missing = [i for i in range(count) if not files.frame(i).exists()]
    if not missing:
        return
    waiting = iter(missing)
    tick = next(waiting)
    with progress_bar("frames")(total=count, initial=count - len(missing)) as progress:
        for index, (_, frame) in enumerate(video.decode(clip, grid.start, end)):
            image = None
            while tick is not None and grid.source[tick] == index:
                if image is None:
                    image = crop.cut_out(video.upright(clip, frame), window)
                write_image(files.frame(tick), image)
                progress.update()
                tick = next(waiting, None)
            if tick is None:
                return
    raise OSError(f"{clip.path} gave fewer frames than at first; is it being written?")


def find_landmarks(
    files: Files, count: int, model: Path | None
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks float32 [F, 478, 3], zero where there are none, and valid bool [F]."""
    landmarks = np.zeros((count, face_mesh.LANDMARK_COUNT, 3), np.float32)
    valid = np.zeros(count, bool)
    with faces.FaceDetector(model) as detector:
        for i in progress_bar("landmarks")(range(count)):
            found = detector.detect(files.read_rgb(i))
            if found:
                landmarks[i], valid[i] = found[0], True
    return landmarks, valid


def write_masks(
    files: Files, landmarks: np.ndarray, valid: np.ndarray, workers: int
) -> None:
    """Writes masks and labels; a frame that has its labels is done.

    Frames without a face get a mask, and labels that are background throughout.
    """
    count = len(valid)
    missing = [i for i in range(count) if not files.labels(i).exists()]
    if not missing:
        return

    def finish(index: int, rgb: np.ndarray, mask: np.ndarray) -> None:
        labels = np.full_like(mask, folder.BACKGROUND)
        if valid[index]:
            labels = masks.label_regions(rgb, mask, landmarks[index])
        write_image(files.mask(index), mask)
        write_image(files.labels(index), labels)

    # Labels take ten times as long as masks, and only they are spread over threads.
    running = collections.deque()
    with (
        masks.PersonSegmenter() as segmenter,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
        progress_bar("masks")(total=count, initial=count - len(missing)) as progress,
    ):
        for index in missing:
            rgb = files.read_rgb(index)
            mask = segmenter.segment(rgb)
            running.append(pool.submit(finish, index, rgb, mask))
            if len(running) > 2 * workers:
                running.popleft().result()
                progress.update()
        for future in running:
            future.result()
            progress.update()


def register_torso(
    files: Files, head_to_camera: np.ndarray, valid: np.ndarray
) -> torso.Motion:
    """Follows the torso through all frames; see `torso`."""
    reference = torso.reference_frame(head_to_camera, valid)
    with progress_bar("torso")(total=len(valid)) as progress:
        return torso.register(
            files.read_rgb,
            _read(files.labels(reference), cv2.IMREAD_GRAYSCALE),
            reference,
            len(valid),
            progress.update,
        )


def write_plate(files: Files, valid: np.ndarray) -> float:
    """Writes background.png; returns the share of it that was seen."""
    path = files.out / "background.png"
    if not path.exists():
        plate = masks.BackgroundPlate()
        usable = np.flatnonzero(valid)
        spread = np.linspace(0, len(usable) - 1, masks.PLATE_FRAMES).astype(int)
        for i in progress_bar("plate")(usable[np.unique(spread)]):
            plate.add(files.read_rgb(i), _read(files.mask(i), cv2.IMREAD_GRAYSCALE))
        rgb, seen = plate.finish()
        alpha = np.where(seen, 255, 0).astype(np.uint8)
        write_image(path, np.dstack([rgb, alpha]))
    return float((_read(path, cv2.IMREAD_UNCHANGED)[..., 3] > 127).mean())


def write_preview(
    files: Files,
    tracks: folder.Tracks,
    focal: float,
    principal: tuple[float, float],
    sound: Path | None,
) -> None:
    """Writes preview.mp4: the tracks drawn over the video, with its sound."""
    path = files.out / "preview.mp4"
    if path.exists():
        return
    height, width = files.read_rgb(0).shape[:2]
    marks = preview.torso_marks(tracks)
    with video_io.VideoWriter(
        path, size=(width, height), audio=sound, synthetic=False
    ) as writer:
        for i in progress_bar("preview")(range(len(tracks.valid))):
            drawn = preview.draw(
                files.read_rgb(i),
                _read(files.labels(i), cv2.IMREAD_GRAYSCALE),
                tracks.landmarks[i],
                tracks.head_to_camera[i],
                focal,
                principal,
                tracks.valid[i],
                marks[i],
            )
            writer.write(drawn)
