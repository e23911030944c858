"""Truth, render and error side by side: a video of all frames, pictures of some."""

import pathlib

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import panels
from lokitalk_jax.evaluation.report.extremes import Extremes
from lokitalk_jax.media import sound_track, video_writer


class Comparison:
    """Writes the video frame by frame; used as a context manager.

    Attributes:
      path: the video file, complete when the block ends.
      extremes: the worst and best frames added.
    """

    def __init__(
        self,
        path: pathlib.Path,
        shape: tuple[int, int],
        fps: float = structs.FPS,
        sound: sound_track.Audio | None = None,
    ):
        """Prepares the video.

        Args:
          path: an MP4 file.
          shape: height and width of the frames.
          fps: frames a second.
          sound: of the video, see `video_writer.VideoWriter`.
        """
        self.path = path
        self.extremes = Extremes()
        blank = np.zeros((*shape, 3), np.float32)
        size = panels.row(panels.comparison(blank, blank)).shape[1::-1]
        self._writer = video_writer.VideoWriter(path, fps, size=size, audio=sound)

    def __enter__(self) -> "Comparison":
        self._writer.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._writer.__exit__(*error)

    def add(
        self,
        index: int,
        truth: np.ndarray,
        prediction: np.ndarray,
        score: float | None,
    ) -> dict[str, np.ndarray]:
        """Adds a frame.

        Args:
          index: its number.
          truth, prediction: float32 [H, W, 3] in [0, 1].
          score: ranks it among the worst and best frames; higher is better.

        Returns:
          its panels by label, uint8 [H, W, 3].
        """
        pictures = panels.comparison(truth, prediction)
        row = panels.row(pictures)
        self._writer.write(row)
        self.extremes.add(score, index, row)
        return pictures
