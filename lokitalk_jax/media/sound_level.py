"""How loud a sound is, and whether its channels cancel when they are averaged."""

import av
import numpy as np

LOUD = 1e-4  # a sample above this, of 1, is not silence

# Share of the channels' power that their average keeps: 1 of equal channels, 1 / C of
# C that have nothing in common, 0 of two in opposite phase. Below half of 1 / C, an
# average would cancel the speech.
_KEPT = 0.5


class Level:
    """Figures of the samples added so far.

    Attributes:
      frames: number of frames added.
      channels: number of channels, of the latest frame.
      peak: largest magnitude of a sample, in [0, 1].
    """

    def __init__(self):
        """Starts without samples."""
        self.frames, self.channels, self.peak = 0, 0, 0.0
        self._power = np.zeros(0)  # of each channel, summed over samples
        self._averaged = 0.0  # of the channels' average

    def add(self, frame: av.AudioFrame) -> int | None:
        """Adds a frame; returns the place of its first sample that is not finite."""
        samples = _floats(frame)
        finite = np.isfinite(samples).all(axis=0)
        if not finite.all():
            return int(np.argmin(finite))
        if len(samples) != self.channels:
            self.channels = len(samples)
            self._power, self._averaged = np.zeros(self.channels), 0.0
        self.frames += 1
        self.peak = max(self.peak, float(np.abs(samples).max(initial=0.0)))
        self._power += np.square(samples).sum(axis=1)
        self._averaged += float(np.square(samples.mean(axis=0)).sum())
        return None

    def single_channel(self) -> int | None:
        """The loudest channel where an average would cancel it, None elsewhere."""
        power = self._power.mean() if self.channels else 0.0
        if self.channels < 2 or self._averaged >= _KEPT / self.channels * power:
            return None
        return int(self._power.argmax())


def _floats(frame: av.AudioFrame) -> np.ndarray:
    """Samples of a frame, float [channels, T] in [-1, 1]."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if np.issubdtype(samples.dtype, np.floating):
        return samples.astype(np.float64)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float64) - 128) / 128
    return samples / 2.0 ** (8 * samples.dtype.itemsize - 1)
