"""Decoded frames as RGB, in the colours that a player shows."""

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from lokitalk_jax.media import tone_mapping

# The YCbCr matrices of H.273 that swscale knows, by their tags.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
# The default conversion truncates: 4:2:0 video comes out 1 to 1.5 levels too dark.
_ROUNDED = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def to_rgb(
    frame: av.VideoFrame, width: int | None = None, height: int | None = None
) -> np.ndarray:
    """Converts a frame by the matrix, range, transfer and primaries of its tags.

    Args:
      frame: as decoded, of any pixel format.
      width, height: of the result, pixels; by default those of the frame.

    Returns:
      RGB uint8 [H, W, 3], of BT.709.
    """
    width, height = width or frame.width, height or frame.height
    shrinks = width < frame.width or height < frame.height
    scaling = Interpolation.AREA if shrinks else Interpolation.BILINEAR
    hdr = tone_mapping.is_needed(frame.color_trc, frame.color_primaries)
    full = frame.color_range == ColorRange.JPEG
    converted = frame.reformat(
        width,
        height,
        # Planar: swscale writes wrong colours into packed pixels of 16 bits.
        "gbrp16le" if hdr else "rgb24",
        src_colorspace=_matrix(frame),
        interpolation=scaling | _ROUNDED,
        src_color_range=ColorRange.JPEG if full else None,
    ).to_ndarray()
    if hdr:
        tags = frame.color_trc, frame.color_primaries
        return tone_mapping.to_bt709(converted, *tags)
    return converted


def _matrix(frame: av.VideoFrame) -> Colorspace:
    """The matrix of a frame; players guess that of an untagged one by its size."""
    high_definition = frame.width >= 1280 or frame.height > 576
    guess = Colorspace.ITU709 if high_definition else Colorspace.ITU601
    return _MATRICES.get(frame.colorspace, guess)
