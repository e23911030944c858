"""A trained run, from which avatars are opened."""

import os
import pathlib

from lokitalk_jax import process
from lokitalk_jax.api.avatar import Avatar
from lokitalk_jax.avatar import prior_export, zero_shot
from lokitalk_jax.avatar import run as runs


class Run:
    """A run: the checkpoint of a prior or of an adaptation; it is only read.

    Attributes:
      workdir: its folder.
      step: steps that the checkpoint has been trained for.
      identities: names of the identities that it was trained on.
      config: the config that it was trained with.
      opened: the open checkpoint.
    """

    def __init__(self, workdir: str | os.PathLike, step: int | None = None):
        """Opens the latest checkpoint, or that of `step`.

        Raises:
          ValueError: there is no run, or no such checkpoint.
        """
        process.tune()
        self.opened = runs.OpenRun(pathlib.Path(workdir), step)
        self.workdir = self.opened.workdir
        self.step = self.opened.step
        self.identities = self.opened.identities
        self.config = self.opened.config

    def avatar(self, identity: str | None = None, size: int | None = None) -> Avatar:
        """An identity of the run, ready to render.

        Args:
          identity: its name; not needed in a run of one.
          size: pixels along the longest side of its frames, by default as trained.

        Raises:
          ValueError: the run has no such identity, or several to choose from.
        """
        opened = self.opened.avatar(self.opened.named(identity))
        return _resized(Avatar(self.opened, opened), size)

    def zero_shot(self, folder: str | os.PathLike, size: int | None = None) -> Avatar:
        """An identity that the run was not trained on, ready to render.

        Args:
          folder: its identity folder.
          size: see `avatar`.

        Raises:
          ValueError: this is not an identity folder, or the run has no identity
            encoder.
        """
        opened, clip = zero_shot.build_avatar(self.opened, pathlib.Path(folder))
        return _resized(Avatar(self.opened, opened, clip), size)

    def export_prior(self, out: str | os.PathLike) -> "Run":
        """Writes what new identities start from, without any identity of this run.

        A few megabytes, to be given as `prior` to `train("adapt", ...)`.

        Args:
          out: a new folder.

        Raises:
          ValueError: the folder holds something, or this run has a single identity.
        """
        return Run(prior_export.export(self.opened, out))


def _resized(avatar: Avatar, size: int | None) -> Avatar:
    return avatar if size is None else avatar.resized(size)
