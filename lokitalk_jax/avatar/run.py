"""A run, opened to render its identities; `api` offers them as `Run` and `Avatar`."""

import functools
import os
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from lokitalk_jax.avatar.frames import FrameRenderer
from lokitalk_jax.checkpoint import items, store
from lokitalk_jax.data import clip_records, signals
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.model import architecture, identity
from lokitalk_jax.structs import AvatarParams, Config


class OpenAvatar(NamedTuple):
    """An identity of an open run, ready to render.

    Attributes:
      record: of the identity's clip.
      renderer: of frames at the size of `record.camera`.
      depth_range: distances from the camera to the near and the far end of the scene
        box at rest, metres.
    """

    record: ClipRecord
    renderer: FrameRenderer
    depth_range: tuple[float, float]

    def at(self, size: int) -> "OpenAvatar":
        """The same identity with `size` pixels along the longest side.

        Raises:
          ValueError: that is too small for an image.
        """
        record = clip_records.resized(self.record, size)
        return self._replace(record=record, renderer=self.renderer.at(record.camera))

    def exact(self) -> "OpenAvatar":
        """The same identity, rendered as in training; see `frames.FrameRenderer`."""
        return self._replace(renderer=self.renderer.exact())


def assemble(
    model: architecture.Model,
    config: Config,
    record: ClipRecord,
    params: AvatarParams,
) -> OpenAvatar:
    """An identity ready to render.

    Args:
      model: the model.
      config: of its run.
      record: of the identity's clip.
      params: of the identity.
    """
    renderer = FrameRenderer(model, params, record.camera)
    distance = float(np.linalg.norm(record.rest_pose[:3, 3]))
    near, far = config.scene.low[2], config.scene.high[2]
    return OpenAvatar(record, renderer, (distance + near, distance + far))


class OpenRun:
    """A checkpoint of a run, to read only: the run may be in training.

    Attributes:
      workdir: the folder of the run.
      step: training steps of the checkpoint.
      config: of the run, at that step.
      config_hash: of `config`.
      digest: twelve digits of the checkpoint, wherever the run is.
      identities: names, in the order of the axis N.
      model: the model.
      opened_clips: identities and frames of folders that were opened for this run, by
        path; see `drivers.open_clip`.
    """

    def __init__(self, workdir: str | os.PathLike, step: int | None = None):
        """Opens the run.

        Args:
          workdir: its folder.
          step: of the checkpoint; None takes the latest.

        Raises:
          ValueError: there is no run, no complete checkpoint (of that step), or the
            stored config is not the one that the checkpoint was trained with.
        """
        self.workdir = pathlib.Path(workdir)
        self.opened_clips: dict[pathlib.Path, Any] = {}
        self._checkpoints, self.step = store.open_run(self.workdir, step)
        meta = self._checkpoints.meta(self.step)
        stored = self._checkpoints.config(self.step)
        where = self._checkpoints.path / str(self.step)
        self.config_hash = items.config_hash(stored)
        if self.config_hash != meta["config_hash"]:
            raise ValueError(
                f"the config in {where} has the hash {self.config_hash}, but the "
                f"checkpoint was trained with {meta['config_hash']}; restore the "
                "config, or train again"
            )
        self.digest = items.config_hash(meta)
        self.identities: list[str] = meta["identities"]
        self.config: Config = ml_collections.ConfigDict(stored)
        try:
            self.model = architecture.from_config(self.config)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"the config in {where} is of another version of this program "
                f"({error}); render with that version, or train again"
            ) from error

    def named(self, name: str | None) -> str:
        """`name`, or the run's only identity where it is None.

        Raises:
          ValueError: the run has no such identity, or several to choose from.
        """
        known = ", ".join(self.identities)
        if name is None and len(self.identities) > 1:
            raise ValueError(
                f"{self.workdir} was trained on {len(self.identities)} identities; "
                f"choose one with identity=NAME: {known}"
            )
        name = self.identities[0] if name is None else name
        if name not in self.identities:
            raise ValueError(
                f"identity={name} is none of those that {self.workdir} was trained "
                f"on: {known}"
            )
        return name

    def record(self, name: str) -> ClipRecord:
        """The record of an identity's clip.

        Raises:
          ValueError: the run has no such identity, or its record does not fit the
            config.
        """
        record = clip_records.load(self.workdir, self.named(name))
        size, trained = max(record.camera.shape), self.config.data.size
        dim, lip_dim = record.signals.lip.shape[-1], self.model.lip_dim
        if (size, dim) != (trained, lip_dim):
            raise ValueError(
                f"the clip record of {name!r} in {self.workdir} has {size} pixels and "
                f"{dim} lip coefficients, the run's config {trained} and {lip_dim}; it "
                "is that of another run: restore the right one, or resume training, "
                "which writes it"
            )
        return record

    def avatar(self, name: str) -> OpenAvatar:
        """An identity of the run, ready to render.

        Raises:
          ValueError: the run has no such identity, or checkpoint, config and record do
            not fit together.
        """
        record = self.record(name)
        return assemble(self.model, self.config, record, self.params(name))

    def params(self, name: str) -> AvatarParams:
        """Parameters and density grid of an identity of the run, in host memory.

        Raises:
          ValueError: the run has no such identity, or checkpoint and config do not fit
            together.
        """
        row = self.identities.index(self.named(name))
        residual, grid = jax.tree.map(
            lambda leaf: leaf[row], (self.residuals, self._restored[1])
        )
        return AvatarParams(
            self.shared, identity.combine(self.shared["base"], residual), grid
        )

    @property
    def shared(self) -> dict:
        """Parameters that all identities share, in host memory."""
        return self._restored[0]["shared"]

    @property
    def residuals(self) -> dict:
        """Residuals of all identities on the shared base, leaves lead with N."""
        return self._restored[0]["identity"]

    @functools.cached_property
    def fitted(self) -> signals.Fitted:
        """Signal parameters that were fitted on the training frames."""
        arrays = self._checkpoints.signals(self.step)
        return signals.Fitted.from_arrays(self.identities, arrays)

    @property
    def lip_basis(self) -> np.ndarray:
        """The basis [D_lip, 120] of the run's lip signal."""
        return self.fitted.lip_basis

    @functools.cached_property
    def _restored(self) -> tuple[dict, jax.Array]:
        """Parameters and density grids of all identities, in host memory."""
        count = len(self.identities)
        params = jax.eval_shape(
            lambda key: architecture.init(self.model, key, count), jax.random.key(0)
        )
        density = jax.ShapeDtypeStruct((count, *self.model.sampling.cells), jnp.float32)
        return self._checkpoints.restore_params(self.step, params, density)
