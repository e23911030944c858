"""Footage of an avatar: rendered frame by frame, or written into a video."""

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from lokitalk_jax import files, structs
from lokitalk_jax import progress as reporting
from lokitalk_jax.avatar import backdrop, frame_rate, frame_stream, panels, pasting
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.avatar.run import OpenAvatar
from lokitalk_jax.media import image_grid, picture_folder, sound_track, video_writer
from lokitalk_jax.media.latest_frame import LatestFrame
from lokitalk_jax.media.sound_file import Sound
from lokitalk_jax.model.rendering import Rendered

_FPS_RANGE = 1, 120


class Frame(NamedTuple):
    """One rendered frame.

    Attributes:
      time: its beginning, seconds from the first frame's.
      rgb: uint8 [H, W, 3]; [H, W, 4] with alpha over a transparent background.
    """

    time: float
    rgb: np.ndarray


class Footage:
    """Frames of an avatar in motion, rendered when they are iterated or saved.

    Iterating yields every `Frame` at 25 frames a second, and may be repeated.
    """

    def __init__(
        self,
        avatar: OpenAvatar,
        motion_frames: Callable[[], Iterable[FrameMotion]],
        count: int,
        background: str | os.PathLike = "plate",
        audio: sound_track.Audio | None = None,
        order: Callable[[], Iterable[int]] | None = None,
    ):
        """Describes the footage.

        Args:
          avatar: the identity that is rendered.
          motion_frames: gives pose and signals of the frames, anew at each call.
          count: of the frames.
          background: see `backdrop.find`.
          audio: the sound, or None.
          order: gives the number of the clip's frame that each frame is nearest to, for
            `save` with `paste`.

        Raises:
          ValueError: there is no such background.
        """
        self._avatar, self._motion_frames, self._count = avatar, motion_frames, count
        self._audio, self._order = audio, order
        plate = backdrop.find(background, avatar.record)
        self._transparent, self._background = plate is None, background
        blank = np.zeros((*avatar.record.camera.shape, 3), np.float32)
        self._plate = blank if plate is None else plate

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        moved = self._motion_frames()
        stream = frame_stream.render(self._avatar.renderer, moved, self._plate)
        for number, rendered in enumerate(stream):
            yield Frame(number / structs.FPS, self._picture(rendered))

    def save(
        self,
        path: str | os.PathLike,
        *,
        fps: float = structs.FPS,
        maps: bool = False,
        paste: str | os.PathLike | None = None,
        latest_frame: str | os.PathLike | None = None,
        progress: reporting.Progress | None = None,
    ) -> None:
        """Renders into a video, with the sound.

        Args:
          path: a .mp4 or .mov file; over a transparent background .mov or .webm;
            without a suffix a folder of PNG files, which has no sound.
          fps: frames a second; motion between the 25 is interpolated.
          maps: puts depth, regions and deformation next to each frame.
          paste: the video that the identity was prepared from; the frames are put back
            into its full picture, see `pasting`.
          latest_frame: a .jpg or .png file that shows the newest frame meanwhile.
          progress: see `lokitalk_jax.progress`.

        Raises:
          ValueError: video or picture cannot be written in that format, or is one of
            the files that are read.
          OSError: writing failed.
        """
        path = pathlib.Path(path)
        audio = self._audio.path if isinstance(self._audio, Sound) else self._audio
        for written in filter(None, (path, latest_frame)):
            files.refuse_overwriting(
                written, paste=paste, audio=audio, background=self._background
            )
        low, high = _FPS_RANGE
        if not low <= fps <= high:
            raise ValueError(f"fps={fps:g} must be from {low} to {high}")
        if self._transparent and maps:
            raise ValueError(
                "maps=True needs an opaque picture, and background=none is "
                "transparent; leave one of them out"
            )
        latest = LatestFrame(latest_frame)
        original = self._original(paste, fps, maps)
        writer = self._writer(path, fps, maps, original)
        moved, count = self._motion_frames(), self._count
        if fps != structs.FPS:
            moved = frame_rate.at_rate(moved, fps)
            count = frame_rate.count_at_rate(count, fps)
        stream = frame_stream.render(self._avatar.renderer, moved, self._plate)
        with writer as video:
            shown = reporting.track(stream, progress, "rendering", count)
            pictures = (self._picture(rendered, maps) for rendered in shown)
            if original is not None and self._order is not None:
                # Not strict: an order is endless.
                places = zip(pictures, self._order(), strict=False)
                pictures = (original.with_frame(*pair) for pair in places)
            for picture in pictures:
                video.write(picture)
                latest.show(picture)

    def _original(
        self, path: str | os.PathLike | None, fps: float, maps: bool
    ) -> pasting.Original | None:
        """The video into which frames are put back, or None."""
        if path is None:
            return None
        others = {"maps=True": maps, f"fps={fps:g}": fps != structs.FPS}
        others |= {"background=none": self._transparent}
        for other, given in others.items():
            if given:
                raise ValueError(
                    f"paste={path} puts whole frames into another picture, at "
                    f"{structs.FPS} frames a second; leave out {other}"
                )
        return pasting.Original(path, self._avatar.record)

    def _writer(
        self,
        path: pathlib.Path,
        fps: float,
        maps: bool,
        original: pasting.Original | None,
    ):
        if not path.suffix:
            return picture_folder.PictureWriter(path)
        # A blank frame has the size of all, so that a video which cannot be written is
        # refused before anything is rendered.
        shape = self._avatar.record.camera.shape
        channels = (3,), (), (), (4,), (4,)
        blank = Rendered(*(np.zeros((*shape, *c), np.float32) for c in channels))
        height, width = self._picture(blank, maps).shape[:2]
        if original is not None:
            height, width = original.height, original.width
        return video_writer.VideoWriter(
            path,
            fps,
            size=(width, height),
            audio=self._audio,
            alpha=self._transparent,
        )

    def _picture(self, rendered: Rendered, maps: bool = False) -> np.ndarray:
        if self._transparent:
            return _cut_out(*jax.device_get((rendered.rgb, rendered.alpha)))
        if not maps:
            return image_grid.to_uint8(np.asarray(rendered.rgb))
        rendered = jax.device_get(rendered)
        shown = {"render": image_grid.to_uint8(rendered.rgb)}
        shown |= panels.maps(rendered, self._avatar.depth_range)
        return panels.row(shown)


def _cut_out(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """RGBA bytes of a render over black, whose colours alpha had darkened."""
    alpha = np.clip(alpha, 0, 1)[..., None]
    return image_grid.to_uint8(
        np.concatenate([rgb / np.maximum(alpha, 1e-3), alpha], -1)
    )
