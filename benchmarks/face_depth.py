"""Does a trained face lie at the depth of its landmarks?

    python -m benchmarks.face_depth --workdir=runs/me

Images of a head that turns little hardly determine its depth: the fields of deformation
make up for parallax. Rays of some held-out frames go through the landmarks of the face;
the depth is the median of the weights of volume rendering, and the landmark's is that
of `data.face_geometry`, which the tracked pose anchors. Prints one JSON line:
millimetres, negative where the drawn face is nearer to the camera.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import held_out_scores, measured_run
from lokitalk_jax.avatar import motion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import face_points
from lokitalk_jax.data.references import spread
from lokitalk_jax.model import nerf, rays
from lokitalk_jax.structs import UNIT, Rays

_SAMPLES = 48
# Numbers of landmarks.
_AREAS = {
    "nose": (1, 4, 5, 195, 197),
    "forehead": (9, 10, 108, 151, 337),
    "cheeks": (50, 101, 205, 280, 330, 425),
    "chin": (148, 152, 175, 377),
    "temples": (93, 127, 234, 323, 356, 454),
}


@functools.partial(jax.jit, static_argnums=0)
def _depths(model, params, points, intrinsics, pose, signals):
    """Distances [P] of the surface and of points [P, 3] from the camera, in `UNIT`."""
    pixel = jnp.zeros((1, 1, 2))
    origin = rays.generate(pixel, intrinsics, pose[None]).origins
    away = points[None] - origin
    distance = jnp.linalg.norm(away, axis=-1, keepdims=True)
    _, found = nerf.render(
        model,
        params,
        Rays(origin, away / distance),
        jax.tree.map(lambda leaf: leaf[None], signals),
        jnp.zeros_like(away),
    )
    through = jnp.cumsum(found.weights[0], axis=-1)
    middle = jnp.argmax(through >= through[:, -1:] / 2, axis=-1)
    surface = jnp.take_along_axis(found.distances[0], middle[:, None], axis=-1)
    return surface[:, 0], distance[0, :, 0]


def measure(run: OpenRun, name: str, frames: int) -> dict[str, float]:
    """Median over frames and landmarks of surface less landmark, mm, by area."""
    record, params = run.record(name), run.params(name)
    points = face_points.face_points(held_out_scores.open_clip(run, record))
    sampling = run.model.sampling._replace(samples=_SAMPLES)
    model = run.model._replace(sampling=sampling)
    nearer = []
    for index in spread(record.test_frames, frames):
        pose, signals = motion.tracked(record, [index]).frame(0)
        surface, landmark = _depths(
            model, params, points[index], record.camera.intrinsics, pose, signals
        )
        nearer.append(1000 * UNIT * (np.asarray(surface) - np.asarray(landmark)))
    middle = np.median(nearer, axis=0)
    by_area = {area: float(np.median(middle[[*of]])) for area, of in _AREAS.items()}
    return {"depth_error_face_mm": float(np.median(middle))} | {
        f"depth_error_{area}_mm": value for area, value in by_area.items()
    }


if __name__ == "__main__":
    measured_run.main("face_depth", measure)
