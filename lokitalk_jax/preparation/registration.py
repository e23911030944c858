"""Registers images to a template: a shift, a turn and a scale in the image plane.

Gauss-Newton on the difference of grey values (Lucas and Kanade, 1981). On plain
surfaces some of the four parameters are hardly determined: a prior towards the start
decides them.
"""

import cv2
import numpy as np

_BLURS = (4.0, 1.5)  # pixels, from coarse to fine
_ITERATIONS = 12  # at each blur
_STEP = 2.0  # pixels, standard deviation of the prior
_INDEPENDENT = 1 / 30  # share of the pixels whose noise is independent


class Registration:
    """A template to which images are registered.

    Parameters are float64 [4], pixels: the turn and the logarithm of the scale, both
    times the template's radius, and the shift of its middle.
    """

    def __init__(self, template: np.ndarray, mask: np.ndarray):
        """Takes the template, uint8 [H, W], and the pixels to compare, bool [H, W]."""
        self._mask = mask
        self._templates = [_blurred(template, blur)[mask] for blur in _BLURS]
        places = np.argwhere(mask)[:, ::-1].astype(np.float64)
        self._middle = places.mean(0)
        self._places = places - self._middle
        self._radius = np.sqrt((self._places**2).sum(1).mean())

    def _linear(self, parameters: np.ndarray) -> np.ndarray:
        angle, size = parameters[:2] / self._radius
        c, s = np.exp(size) * np.cos(angle), np.exp(size) * np.sin(angle)
        return np.array([[c, -s], [s, c]])

    def warp(self, parameters: np.ndarray) -> np.ndarray:
        """The warp [2, 3] from pixels of the template to pixels of the image."""
        linear = self._linear(parameters)
        shift = self._middle + parameters[2:] - linear @ self._middle
        return np.concatenate([linear, shift[:, None]], 1)

    def solve(self, image: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, float]:
        """Registers an image.

        Args:
          image: uint8 [H, W].
          start: parameters near the solution.

        Returns:
          The parameters, and the correlation of the warped image with the template.
        """
        parameters = start
        for template, blur in zip(self._templates, _BLURS, strict=True):
            smooth = _blurred(image, blur)
            slopes = [
                cv2.Sobel(smooth, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1))
            ]
            for _ in range(_ITERATIONS):
                values, *slope = (
                    cv2.warpAffine(
                        channel,
                        self.warp(parameters),
                        self._mask.shape[::-1],
                        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                        borderMode=cv2.BORDER_REPLICATE,
                    )[self._mask]
                    for channel in (smooth, *slopes)
                )
                parameters, step = self._step(
                    parameters, start, values, np.stack(slope), template
                )
                if np.abs(step).max() < 0.01:
                    break
        return parameters, float(np.corrcoef(values, template)[0, 1])

    def _step(self, parameters, start, values, slope, template):
        """One Gauss-Newton step: the new parameters and their change."""
        gain = template.std() / max(values.std(), 1e-6)
        residual = gain * (values - values.mean()) - (template - template.mean())
        x, y = self._linear(parameters) @ self._places.T / self._radius
        gradient = gain * np.stack(
            [slope[1] * x - slope[0] * y, slope[0] * x + slope[1] * y, *slope]
        )
        # Pixels that differ much, as hair and hands in front of clothes, get small
        # weights (Cauchy's).
        noise = 1.5 * np.median(np.abs(residual)) + 1e-3
        weighted = _INDEPENDENT * gradient / (1 + (residual / (2 * noise)) ** 2)
        prior = noise**2 / _STEP**2
        normal = weighted @ gradient.T + prior * np.eye(4)
        step = -np.linalg.solve(
            normal, weighted @ residual + prior * (parameters - start)
        )
        return parameters + step, step


def _blurred(image: np.ndarray, blur: float) -> np.ndarray:
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), blur)
