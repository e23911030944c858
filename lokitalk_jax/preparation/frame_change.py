"""How much a frame differs from the frame before it, and which frames are repeats.

Frames are compared as thumbnails, float32 RGB [THUMBNAIL, THUMBNAIL, 3].
"""

import av
import cv2
import numpy as np

THUMBNAIL = 128
_BLOCK = 8

# Mean absolute difference (0 to 255) of two thumbnails, in the block where it is
# largest, under which a frame repeats the frame before it. A codec leaves up to 0.8 in
# a repeated frame, and more after strong motion; a person who sits still in front of a
# studio camera makes 1 or more, a lively person 2.5.
REPEAT = 0.9
_REPEAT_LIVELY = 2.0
_REPEAT_SHARE = 0.06  # of the clip's median change, between the two


def frame_thumbnail(frame: av.VideoFrame) -> np.ndarray:
    """Thumbnail of a decoded frame, float32 [128, 128, 3]."""
    return frame.to_ndarray(
        format="rgb24", width=THUMBNAIL, height=THUMBNAIL, interpolation="AREA"
    ).astype(np.float32)


def image_thumbnail(rgb: np.ndarray) -> np.ndarray:
    """Thumbnail of an image, uint8 [H, W, 3]."""
    size = (THUMBNAIL, THUMBNAIL)
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def change(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Difference of two thumbnails [128, 128, 3]: worst block, and 16 worst blocks.

    The worst block separates moving lips before a still wall from a repeated frame;
    the 16, a sixteenth of the image, cover a person who is small in the frame.
    """
    difference = np.abs((one - other).mean(-1))  # chroma is noisier than luma
    blocks = difference.reshape(THUMBNAIL // _BLOCK, _BLOCK, -1, _BLOCK).mean((1, 3))
    worst = np.sort(blocks, axis=None)[-16:]
    return float(worst[-1]), float(worst.mean())


def repeats(changes: np.ndarray) -> np.ndarray:
    """Which frames repeat the frame before them, bool [S]; never the first.

    Args:
      changes: [S], worst-block change from the frame before; the first is ignored.
    """
    threshold = np.clip(_REPEAT_SHARE * np.median(changes), REPEAT, _REPEAT_LIVELY)
    repeated = changes < threshold
    repeated[0] = False
    return repeated
