"""The user's cache folder, and files that are downloaded into it once."""

import pathlib
from typing import Any

import pooch


def folder() -> pathlib.Path:
    """The folder, which may not exist yet."""
    return pathlib.Path(pooch.os_cache("lokitalk_jax"))


def fetch(url: str, name: str, sha256: str) -> pathlib.Path:
    """A file of the folder, downloaded where it is missing, and checked.

    Args:
      url: its address.
      name: in the folder.
      sha256: of its contents.

    Raises:
      OSError: there is no network, or no room.
      ValueError: the address gave another file, such as a page.
    """
    downloader: Any = pooch.HTTPDownloader(timeout=(3, 30))
    return pathlib.Path(
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=name,
            path=folder(),
            downloader=downloader,
        )
    )
