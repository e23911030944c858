"""One ungated deformation field for all regions, as an ablation.

    x_can = x + Delta(PE(x), lip, eye, head, torso, d)

Region-specific fields, LokiTalk's first contribution, are measured against it.
"""

import flax.linen as nn
import jax.numpy as jnp

from lokitalk_jax.model.deformation import Deformed, RegionFields, zero_at_rest
from lokitalk_jax.structs import Signals

REGIONS = ("all",)


class HolisticDeformation(nn.Module):
    """Replaces `deformation.Deformation`.

    Attributes:
      width, hidden, octaves, scale, compute: see `deformation.RegionFields`.
    """

    width: int
    hidden: int
    octaves: int
    scale: float
    compute: str

    @nn.compact
    def __call__(self, points, signals: Signals, identity: dict) -> Deformed:
        """Arguments and result as of `deformation.Deformation`.

        The whole offset is returned as that of the torso, which no loss keeps small;
        the lip and eye gates are 1, so that the decoder sees their signals unchanged.
        """
        sizes = (self.width, self.hidden, self.octaves, self.scale, self.compute)
        everything = jnp.concatenate(list(zero_at_rest(signals)), axis=-1)
        deltas = RegionFields(REGIONS, *sizes, name="field")(
            points,
            identity["codes"]["dynamic"],
            {"all": everything},
            identity["last_layers"],
        )
        moved, still = deltas["all"], jnp.zeros_like(points)
        one, none = jnp.ones_like(points[..., 0]), jnp.zeros_like(points[..., 0])
        return Deformed(
            points=points + moved,
            gates=jnp.stack([one, one, one, none], axis=-1),
            offsets=jnp.stack([still, still, still, moved], axis=-2),
            torso_rotation=jnp.broadcast_to(jnp.eye(3), (len(points), 3, 3)),
        )
