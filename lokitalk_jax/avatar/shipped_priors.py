"""Priors that come with the package, by name.

priors/base    trained by `examples/train_prior.py` on the footage that its
               trained_on.json lists; holds shared parameters and the encoder. Its mean
               identity resembles one of the people in hair and clothes.
"""

import os
import pathlib

from lokitalk_jax.avatar.run import OpenRun

_SHIPPED = pathlib.Path(__file__).parent / "priors"


def names() -> list[str]:
    """Names of the package's priors."""
    if not _SHIPPED.is_dir():
        return []
    return sorted(path.name for path in _SHIPPED.iterdir() if path.is_dir())


def is_shipped(prior: str | os.PathLike) -> bool:
    """Whether the package has a prior of that name."""
    return os.fspath(prior) in names()


def find(prior: str | os.PathLike) -> pathlib.Path:
    """The folder of a prior: of the package, if it has one of that name, or a run."""
    return _SHIPPED / prior if is_shipped(prior) else pathlib.Path(prior)


def open_prior(prior: str | os.PathLike) -> OpenRun:
    """Opens a prior, and reads its parameters where it is one of the package.

    Args:
      prior: folder of a run, or the name of a prior of the package. A run in the
        working folder that has such a name is `./NAME`.

    Raises:
      ValueError: there is no such run or name, or the package's prior was trained with
        another version of the model.
    """
    if not find(prior).is_dir():
        known = ", ".join(names()) or "none"
        raise ValueError(
            f"there is no prior={prior}: give the folder of a run, or the name of a "
            f"prior of the package ({known})"
        )
    opened = OpenRun(find(prior))
    if is_shipped(prior):
        try:
            _ = opened.shared
        except ValueError as error:
            raise ValueError(
                f"the package's prior {prior} is of another version of the model "
                f"({error}); train one with examples/train_prior.py and give "
                "prior=RUN, or train from scratch with config=single_id"
            ) from error
    return opened
