"""Re-enactment: a motion in, the frames of a portrait out, one at a time."""

import collections
import pathlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import scipy.io.wavfile
from tqdm import tqdm

from lokitalk_jax import structs
from lokitalk_jax.avatar import frame_rate, panels
from lokitalk_jax.avatar.frames import FrameRenderer
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.avatar.run import Avatar
from lokitalk_jax.media import image_grid, picture_folder, sound_track, video_writer
from lokitalk_jax.model.rendering import Rendered

_AHEAD = 2  # frames worked on at once


def stream(
    renderer: FrameRenderer, moved: Iterable[FrameMotion], plate: np.ndarray
) -> Iterator[Rendered]:
    """Renders frames in order.

    Two frames are worked on while the caller is busy with the one before them: XLA's
    CPU backend leaves cores idle within a frame, and a GPU does while its host writes
    a video.

    Args:
      renderer: of the person.
      moved: pose and signals of each frame.
      plate: float32 [H, W, 3] in [0, 1], behind the person.

    Yields:
      maps [H, W, ...], on the device.
    """

    def render(pose, signals) -> Rendered:
        return jax.block_until_ready(renderer(pose, signals, plate))

    with ThreadPoolExecutor(_AHEAD) as workers:
        asked = collections.deque()
        for pose, signals in moved:
            asked.append(workers.submit(render, pose, signals))
            if len(asked) > _AHEAD:
                yield asked.popleft().result()
        while asked:
            yield asked.popleft().result()


def sound(path: pathlib.Path | None, frames: range) -> tuple[np.ndarray, int] | None:
    """A clip's sound during some frames, and its rate; None where there is none."""
    if path is None:
        return None
    rate, samples = scipy.io.wavfile.read(path, mmap=True)
    start, stop = (round(i * rate / structs.FPS) for i in (frames.start, frames.stop))
    samples = samples[start:stop]
    return (samples, rate) if len(samples) else None


def write_video(
    path: pathlib.Path,
    avatar: Avatar,
    moved: Iterable[FrameMotion],
    count: int,
    backdrop: np.ndarray | None,
    audio: sound_track.Audio | None,
    maps: bool = False,
    fps: float = structs.FPS,
) -> None:
    """Renders a motion into a video or pictures, with a progress bar.

    Args:
      path: see `video_writer.VideoWriter`; without a suffix a folder of PNG files,
        which have no sound.
      avatar: who is rendered.
      moved: pose and signals of each frame, at `structs.FPS`.
      count: how many there will be.
      backdrop: float32 [H, W, 3] in [0, 1]; None writes a transparent video.
      audio: the sound, or None.
      maps: puts depth, regions and deformation beside each frame.
      fps: frames a second of the video; others than `structs.FPS` are blended.

    Raises:
      ValueError: the video cannot be written in that format.
      OSError: writing failed.
    """
    transparent = backdrop is None
    if transparent and maps:
        raise ValueError(
            "maps stand beside the render and cannot be transparent; leave out --maps "
            "or choose another background than none"
        )
    height, width = avatar.record.camera.shape
    if transparent:
        backdrop = np.zeros((height, width, 3), np.float32)

    def picture(rendered: Rendered) -> np.ndarray:
        if transparent:
            return _cut_out(*jax.device_get((rendered.rgb, rendered.alpha)))
        if not maps:
            return image_grid.to_uint8(np.asarray(rendered.rgb))
        rendered = jax.device_get(rendered)
        shown = {"render": image_grid.to_uint8(rendered.rgb)}
        shown |= panels.maps(rendered, avatar.depth_range)
        return panels.row(shown)

    # A blank frame tells the size, so that a video which cannot be written is refused
    # before anything is rendered.
    channels = (3,), (), (), (4,), (4,)
    blank = Rendered(*(np.zeros((height, width, *c), np.float32) for c in channels))
    if path.suffix:
        size = picture(blank).shape[1::-1]
        writer = video_writer.VideoWriter(
            path, fps, size=size, audio=audio, alpha=transparent
        )
    else:
        writer = picture_folder.PictureWriter(path)
    if fps != structs.FPS:
        moved = frame_rate.at_rate(moved, fps)
        count = frame_rate.count_at_rate(count, fps)
    rendered = stream(avatar.renderer, moved, backdrop)
    with writer as video:
        for frame in tqdm(rendered, "rendering", count, unit="frame"):
            video.write(picture(frame))


def _cut_out(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """RGBA bytes of a person rendered over black, whose colours alpha had darkened."""
    alpha = np.clip(alpha, 0, 1)[..., None]
    return image_grid.to_uint8(
        np.concatenate([rgb / np.maximum(alpha, 1e-3), alpha], -1)
    )
