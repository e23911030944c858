"""The identity encoder (LokiTalk, figure 2): a residual from reference frames.

Reference frames are aligned with the canonical grid (see `data.references`), so the
coarse levels of the grid's residual are read off the feature map at the same place, for
all depths at once. Frames are pooled by their mean: neither their order nor their
number matters.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from lokitalk_jax.model import hashgrid
from lokitalk_jax.model.identity import CODES
from lokitalk_jax.structs import References

Array = jax.Array

_CAMERA_UNITS = 32


def _neighbours(images: Array, stride: int) -> Array:
    """The 3 x 3 pixels around every `stride`-th one, as channels.

    A convolution is the product of these with its kernel, and is written as one: under
    `vmap` over identities the gradient of a kernel would be a grouped convolution, for
    which XLA sends all images to all devices.

    Args:
      images: [..., H, W, C], H and W multiples of `stride`.
      stride: pixels between the places that are kept.

    Returns:
      [..., H / stride, W / stride, 9 C].
    """
    *_, height, width, _ = images.shape
    around = [(0, 0)] * (images.ndim - 3) + [(1, 1), (1, 1), (0, 0)]
    padded = jnp.pad(images, around)
    rows = [padded[..., i : i + height : stride, :, :] for i in range(3)]
    both = [row[..., j : j + width : stride, :] for row in rows for j in range(3)]
    return jnp.concatenate(both, axis=-1)


class IdentityEncoder(nn.Module):
    """Predicts the residual of an identity, see `identity`; zero at the start.

    Attributes:
      code: D, length of each code.
      hidden: rows of a last layer.
      regions: whose last layers are predicted.
      offset: whether the canonical grid's residual is predicted.
      grid: sizes of the canonical grid; levels stored without hashing are predicted.
      width: channels of the feature map.
    """

    code: int
    hidden: int
    regions: tuple[str, ...]
    offset: bool
    grid: hashgrid.GridSpec
    width: int = 32

    @nn.compact
    def __call__(self, references: References) -> dict:
        """The predicted parts of a residual, leaves as there, without N.

        Args:
          references: leaves [K, ...], K at least 1.
        """

        def conv(features: int, stride: int, name: str):
            layer = nn.Dense(features, name=name)
            return lambda images: layer(_neighbours(images, stride))

        def head(features: int, name: str):
            zeros = nn.initializers.zeros
            return nn.Dense(features, kernel_init=zeros, name=name)

        seen = nn.relu(conv(self.width // 2, 2, "edges")(references.images - 0.5))
        seen = nn.relu(conv(self.width, 2, "parts")(seen))
        camera = nn.relu(nn.Dense(_CAMERA_UNITS, name="camera")(references.cameras))
        camera = nn.Dense(self.width, name="camera_map")(camera)
        seen = conv(self.width, 1, "joint")(seen) + camera[:, None, None]
        seen = nn.relu(nn.Dense(self.width, name="frame")(nn.relu(seen)))
        seen = jnp.mean(seen, axis=0)  # [E / 4, E / 4, width]

        whole = nn.relu(conv(self.width, 2, "halves")(seen))
        whole = nn.relu(conv(self.width, 2, "quarters")(whole))
        whole = nn.relu(nn.Dense(2 * self.width, name="whole")(whole.reshape(-1)))
        codes = head(len(CODES) * self.code, "codes")(whole)
        codes = jnp.split(codes, len(CODES))
        predicted: dict = {"codes": dict(zip(CODES, codes, strict=True))}
        if self.regions:
            layers = head(len(self.regions) * self.hidden * 3, "last_layers")(whole)
            layers = layers.reshape(len(self.regions), self.hidden, 3)
            predicted["last_layers"] = dict(zip(self.regions, layers, strict=True))
        if self.offset:
            predicted["grid"] = self._offset(seen, head)
        return predicted

    def _offset(self, seen: Array, head: Callable) -> Array:
        """A grid's table from a feature map, zero at levels with hashing."""
        levels = []
        for i, cells in enumerate(hashgrid.dense_cells(self.grid)):
            n = cells + 1
            at = jax.image.resize(seen, (n, n, self.width), "linear")
            columns = head(n * self.grid.features, f"level{i}")(at)
            columns = columns.reshape(n, n, n, self.grid.features)  # y, x, z
            levels.append(jnp.moveaxis(columns, 2, 0).reshape(n**3, -1))
        dense = jnp.concatenate(levels)
        rows = hashgrid.table_shape(self.grid)[0]
        return jnp.pad(dense, ((0, rows - len(dense)), (0, 0)))
