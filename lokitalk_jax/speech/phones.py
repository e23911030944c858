"""Phone posteriors: what is being said, with little left of who says it.

The acoustic model that pocketsphinx carries (US English, BSD licence) holds for each of
42 phones a mixture of Gaussians over three streams: cepstra, their differences, and
the differences of those. Here a phone's mixture alone is asked, at every hundredth of
a second, without words or grammar, so that speech of any language has an answer.
"""

import functools
import pathlib

import numpy as np
import scipy.special

CEPSTRA = 13
REACH = 3  # rows before and after a row that its differences need

# Joint log-likelihoods of three streams are too sure of themselves. On six real clips a
# ridge regression of lip distances on the posteriors reached 0.38 with 0.08, 0.39 with
# 0.15 and 0.41 with this (leave one source out).
_TEMPERATURE = 0.3
_LEAST_VARIANCE = 1e-4  # as Sphinx floors them
_MAGIC = 0x11223344


def posteriors(cepstra: np.ndarray) -> np.ndarray:
    """Probabilities of the phones; rows sum to one.

    Args:
      cepstra: [time, 13], less the mean of the speaker and the room; with `REACH` rows
        before and after those that are asked for.

    Returns:
      float32 [time - 2 * REACH, 42].
    """
    cepstra = np.asarray(cepstra, np.float32)
    likelihood = 0.0
    for stream, (quadratic, linear, constant) in zip(
        _streams(cepstra), _acoustic_model(), strict=True
    ):
        scores = (stream**2) @ quadratic + stream @ linear + constant.ravel()
        scores = scores.reshape(len(stream), *constant.shape)
        likelihood = likelihood + scipy.special.logsumexp(scores, axis=-1)
    return scipy.special.softmax(likelihood * _TEMPERATURE, axis=-1).astype(np.float32)


def _streams(cepstra: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cepstra, first and second differences as Sphinx takes them."""
    count = len(cepstra) - 2 * REACH

    def at(shift: int) -> np.ndarray:
        return cepstra[REACH + shift : REACH + shift + count]

    return at(0), at(2) - at(-2), (at(3) - at(-1)) - (at(1) - at(-3))


@functools.cache
def _acoustic_model() -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]:
    """For each stream the coefficients of the log densities of D Gaussians a phone.

    Returns:
      of the squares [13, 42 * D], of the values [13, 42 * D], constants [42, D].
    """
    folder = _model_folder()
    means = _read(folder / "means")
    variances = np.maximum(_read(folder / "variances"), _LEAST_VARIANCE)
    parts = []
    for stream in range(means.shape[1]):
        mean, variance = means[:, stream], variances[:, stream]
        constant = -0.5 * (np.log(2 * np.pi * variance) + mean**2 / variance).sum(-1)
        squares = (-0.5 / variance).reshape(-1, CEPSTRA).T
        values = (mean / variance).reshape(-1, CEPSTRA).T
        parts.append((squares, values, constant))
    return tuple(parts)


def _model_folder() -> pathlib.Path:
    import pocketsphinx

    return pathlib.Path(pocketsphinx.get_model_path()) / "en-us" / "en-us"


def _read(path: pathlib.Path) -> np.ndarray:
    """Parameters of the Gaussians, float32 [phones, streams, densities, 13].

    Raises:
      ValueError: the file is not one that Sphinx wrote.
    """
    data = path.read_bytes()
    end = data.find(b"endhdr\n") + len(b"endhdr\n")
    words = np.frombuffer(data, "<i4", offset=end, count=4)
    if not data.startswith(b"s3\n") or words[0] != _MAGIC:
        raise ValueError(
            f"{path} is not a Sphinx acoustic model; install pocketsphinx again"
        )
    phones, streams, densities = words[1:]
    lengths = np.frombuffer(data, "<i4", offset=end + 16, count=streams)
    if (lengths != CEPSTRA).any():
        raise ValueError(
            f"{path} has streams of {lengths} numbers, not {CEPSTRA}; install "
            "pocketsphinx 5 again"
        )
    count = phones * streams * densities * CEPSTRA
    start = end + 16 + 4 * streams + 4
    values = np.frombuffer(data, "<f4", offset=start, count=count)
    return values.reshape(phones, streams, densities, CEPSTRA)
