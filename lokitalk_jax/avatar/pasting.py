"""Puts rendered frames back into the video that an identity was prepared from."""

import os
import pathlib

import cv2
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import layout
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.preparation import source_video, workspace
from lokitalk_jax.preparation.crop import Window

_BLEND = 0.06  # of the window's side: the border over which both pictures are mixed
_CHUNK = 25  # frames of the original in memory


class Original:
    """The full frames that a clip was cut from.

    Attributes:
      height, width: of the full frames, pixels.
    """

    def __init__(self, path: str | os.PathLike, record: ClipRecord):
        """Finds where the clip lies in the video.

        Args:
          path: the video that the identity was prepared from.
          record: of the identity.

        Raises:
          ValueError: there is no such video, it is another one, or the identity folder
            is gone or was not made of a video.
        """
        path = pathlib.Path(path)
        self._clip = source_video.probe(path)
        self.height, self.width = self._clip.height, self._clip.width
        if not layout.is_identity(record.source):
            raise ValueError(
                f"paste={path} needs the identity folder {record.source}, which is "
                f"gone: put it back; it states where {record.name!r} is in the video"
            )
        source = IdentityFolder(record.source).meta.source
        if "window" not in source:
            raise ValueError(
                f"paste={path} needs an identity that was prepared from a video, which "
                f"{record.source} was not; leave paste out"
            )
        if source["sha256"] != workspace.file_identity(path)["sha256"]:
            raise ValueError(
                f"paste={path} is not the video that {record.name!r} was prepared "
                f"from; give {source['name']}, unchanged"
            )
        self._window = Window(**source["window"])
        self._start = float(source.get("stretch", [source.get("start", 0.0)])[0])
        self._share = _shares(self._window, self.height, self.width)
        self._chunk, self._frames = -1, []

    def with_frame(self, rgb: np.ndarray, index: int) -> np.ndarray:
        """The full frame `index` of the clip, with a rendered one in its place.

        Args:
          rgb: uint8 [H, W, 3], of any size.
          index: of the clip.

        Returns:
          uint8 [height, width, 3].
        """
        window, full = self._window, self._frame(index).copy()
        size = window.width, window.height
        method = cv2.INTER_AREA if rgb.shape[1] > window.width else cv2.INTER_CUBIC
        rgb = cv2.resize(rgb, size, interpolation=method)
        inside, outside = _overlap(window, self.height, self.width)
        share = self._share[inside]
        mixed = share * rgb[inside] + (1 - share) * full[outside]
        full[outside] = np.rint(mixed).astype(np.uint8)
        return full

    def _frame(self, index: int) -> np.ndarray:
        chunk = index // _CHUNK
        if chunk != self._chunk:
            self._chunk, self._frames = chunk, self._read(chunk * _CHUNK)
        return self._frames[min(index - chunk * _CHUNK, len(self._frames) - 1)]

    def _read(self, first: int) -> list[np.ndarray]:
        """Full frames of a chunk: the newest at or before each of its times."""
        ticks = self._start + (first + np.arange(_CHUNK)) / structs.FPS
        clip, frames, waiting = self._clip, [], None
        for time, frame in source_video.decode(clip, ticks[0], ticks[-1] + 1e-3):
            while waiting is not None and len(frames) < len(ticks):
                if ticks[len(frames)] >= time - source_video.CLOCK:
                    break
                frames.append(source_video.upright(clip, waiting))
            waiting = frame
        if waiting is None:
            raise ValueError(
                f"paste={clip.path} ends before frame {first} of the identity's clip; "
                "give the whole video"
            )
        last = source_video.upright(clip, waiting)
        return frames + [last] * (len(ticks) - len(frames))


def _overlap(window: Window, height: int, width: int) -> tuple[tuple, tuple]:
    """The part of a window that lies in the frame: rows and columns in both."""
    inside, outside = [], []
    for begin, side, room in (
        (window.top, window.height, height),
        (window.left, window.width, width),
    ):
        first, stop = max(begin, 0), min(begin + side, room)
        outside.append(slice(first, stop))
        inside.append(slice(first - begin, stop - begin))
    return tuple(inside), tuple(outside)


def _shares(window: Window, height: int, width: int) -> np.ndarray:
    """Share of the rendered picture, float32 [window.height, window.width, 1].

    It falls to 0 at those borders of the window that are not borders of the frame.
    """
    ramps = []
    for begin, side, room in (
        (window.top, window.height, height),
        (window.left, window.width, width),
    ):
        places = np.arange(side) + 0.5
        reach = max(_BLEND * side, 1)
        after = np.clip(places / reach, 0, 1) if begin > 0 else np.ones(side)
        before = places[::-1]
        ends = begin + side < room
        until = np.clip(before / reach, 0, 1) if ends else np.ones(side)
        ramps.append(np.minimum(after, until))
    share = np.minimum(ramps[0][:, None], ramps[1])
    # Eased, so that no edge is seen where the mixture begins.
    return (share * share * (3 - 2 * share)).astype(np.float32)[..., None]
