"""Whether identity folders are still the clips that a run was begun with."""

from collections.abc import Iterable, Mapping

from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.speech import lip_sync


def digests(folders: Iterable[IdentityFolder]) -> dict[str, str]:
    """Digests of identity folders, by name."""
    return {folder.name: folder.digest() for folder in folders}


def changed(
    folders: Iterable[IdentityFolder], before: Mapping[str, str], hears: bool
) -> list[str]:
    """Names of the identities whose clip is another one than before.

    Args:
      folders: as they are now.
      before: `digests` as they were; identities that it lacks count as unchanged.
      hears: whether the run trains on lips from the sound.
    """
    return [
        one.name
        for one in folders
        if one.name in before and not _is_same(one, before[one.name], hears)
    ]


def _is_same(folder: IdentityFolder, before: str, hears: bool) -> bool:
    if folder.digest() == before:
        return True
    # Sound that was put in step since is still the same clip, unless it is heard.
    moved = folder.meta.quality.get(lip_sync.MOVED, 0)
    return folder.digest(lip_sync.NOTES) == before and not (hears and moved)
