"""Colours of HDR and wide-gamut video, on a standard screen.

HLG and PQ are those of Recommendation ITU-R BT.2100. Reference white, 75% of HLG and
203 cd/m2 of PQ (Report ITU-R BT.2408), becomes white; brighter light is compressed.
"""

import functools
from collections.abc import Callable

import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

_CODES = 1 << 16
_KNEE = 0.85  # of white: darker colours are kept as they are
_PQ_WHITE = 203 / 10_000
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073

# Chromaticities (x, y) of red, green, blue and white.
_D65 = (0.3127, 0.3290)
_BT709 = (0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65
_GAMUTS: dict[int, tuple] = {
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    ColorPrimaries.SMPTE432: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}


def is_needed(transfer: int, primaries: int) -> bool:
    """Whether colours with these tags, of H.273, are not those of BT.709."""
    return transfer in _TRANSFERS or primaries in _GAMUTS


def to_bt709(rgb: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """Converts colours.

    Args:
      rgb: uint16 [H, W, 3], coded by `transfer`.
      transfer, primaries: tags of H.273; HDR is of BT.2020 where it has no primaries.

    Returns:
      uint8 [H, W, 3], coded as BT.709.
    """
    decode, encode = _tables(transfer)
    if transfer in _TRANSFERS and primaries not in _GAMUTS:
        primaries = ColorPrimaries.BT2020
    linear = cv2.transform(decode[rgb], _to_bt709(primaries))
    np.maximum(linear, 0, out=linear)
    brightest = linear.max(axis=-1, keepdims=True)
    over = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
    kept = np.minimum(brightest, _KNEE) - (1 - _KNEE) * np.expm1(-over)
    linear *= kept / np.maximum(brightest, 1e-6)
    return encode[(np.sqrt(linear) * (_CODES - 1) + 0.5).astype(np.uint16)]


@functools.cache
def _tables(transfer: int) -> tuple[np.ndarray, np.ndarray]:
    """Light of each code, 1 for white, and the byte of each root of light."""
    to_light, to_signal = _TRANSFERS.get(transfer, (_bt709_light, _bt709_signal))
    codes = np.linspace(0, 1, _CODES)
    signal = np.clip(to_signal(np.square(codes)), 0, 1)
    light = to_light(codes).astype(np.float32)
    return light, np.rint(255 * signal).astype(np.uint8)


@functools.cache
def _to_bt709(primaries: int) -> np.ndarray:
    """Matrix [3, 3] from light of these primaries to that of BT.709."""
    if primaries not in _GAMUTS:
        return np.eye(3)
    return np.linalg.solve(_to_xyz(_BT709), _to_xyz(_GAMUTS[primaries]))


def _to_xyz(gamut) -> np.ndarray:
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in gamut]).T
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])


def _hlg_light(code: np.ndarray) -> np.ndarray:
    """Light of the scene; white is 75% of the signal."""

    def light(signal):
        bright = (np.exp((signal - _HLG_C) / _HLG_A) + _HLG_B) / 12
        return np.where(signal <= 0.5, np.square(signal) / 3, bright)

    return light(code) / light(np.float64(0.75))


def _pq_light(code: np.ndarray) -> np.ndarray:
    """Light of the screen."""
    root = np.power(code, 32 / 2523)
    over = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
    return np.power(over, 8192 / 1305) / _PQ_WHITE


def _bt709_light(code: np.ndarray) -> np.ndarray:
    bright = np.power((code + 0.099) / 1.099, 1 / 0.45)
    return np.where(code < 0.081, code / 4.5, bright)


def _bt709_signal(light: np.ndarray) -> np.ndarray:
    bright = 1.099 * np.power(light, 0.45) - 0.099
    return np.where(light < 0.018, 4.5 * light, bright)


def _screen_signal(light: np.ndarray) -> np.ndarray:
    """Signal that makes this light on a screen of BT.1886."""
    return np.power(light, 1 / 2.4)


_Curve = Callable[[np.ndarray], np.ndarray]
_TRANSFERS: dict[int, tuple[_Curve, _Curve]] = {
    ColorTrc.ARIB_STD_B67: (_hlg_light, _bt709_signal),
    ColorTrc.SMPTE2084: (_pq_light, _screen_signal),
}
