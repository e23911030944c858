"""Fixed encodings of positions and directions."""

import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax.broadcasting import trailing

Array = jax.Array


def positional(points: Array, octaves: int) -> Array:
    """Sinusoidal encoding (NeRF, equation 4), the coordinates themselves first.

    Args:
      points: [..., 3], about [-1, 1].
      octaves: frequencies pi, 2 pi, 4 pi ...

    Returns:
      [..., 3 + 6 * octaves].
    """

    # Doubling an angle costs three multiplications; a sine costs twenty times that. In
    # a loop, since XLA would otherwise compute the first sines again for each octave.
    def double(waves, _):
        sine, cosine = waves
        return (2 * sine * cosine, 1 - 2 * sine * sine), jnp.stack(waves)

    waves = jnp.sin(np.pi * points), jnp.cos(np.pi * points)
    _, waves = jax.lax.scan(double, waves, length=octaves)  # [octaves, 2, ..., 3]
    waves = jnp.moveaxis(waves, (0, 1), (-3, -2)).reshape(*points.shape[:-1], -1)
    return jnp.concatenate([points, waves], axis=-1)


def spherical_harmonics(directions: Array) -> Array:
    """Real spherical harmonics of degrees 0 to 2, unnormalised by 1/sqrt(4 pi).

    Args:
      directions: [..., 3] of length 1.

    Returns:
      [..., 9].
    """
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    return jnp.stack(
        [
            jnp.ones_like(x),
            np.sqrt(3) * y,
            np.sqrt(3) * z,
            np.sqrt(3) * x,
            np.sqrt(15) * x * y,
            np.sqrt(15) * y * z,
            np.sqrt(5) / 2 * (3 * z * z - 1),
            np.sqrt(15) * x * z,
            np.sqrt(15) / 2 * (x * x - y * y),
        ],
        axis=-1,
    )


def rotation_matrix(vector: Array) -> Array:
    """Rotation by a vector's length, in radians, about its direction (Rodrigues).

    Args:
      vector: [..., 3].

    Returns:
      [..., 3, 3].
    """
    square = jnp.sum(vector * vector, axis=-1)[..., None, None]
    # Series below a hundredth of a radian, where the quotients lose precision.
    small = square < 1e-4
    angle = jnp.sqrt(jnp.where(small, 1.0, square))
    first = jnp.where(small, 1 - square / 6, jnp.sin(angle) / angle)
    second = jnp.where(small, 0.5 - square / 24, (1 - jnp.cos(angle)) / angle**2)
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    zero = jnp.zeros_like(x)
    cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    cross = cross.reshape(*vector.shape, 3)
    return trailing(jnp.eye(3), cross) + first * cross + second * (cross @ cross)
