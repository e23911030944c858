"""Uploads: the body of a request, straight to the disk, and checked before it is kept.

The server chooses every file name; a suffix is taken over from a short list.
"""

import errno
import pathlib
from collections.abc import Callable

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request

from lokitalk_jax import files
from lokitalk_jax.media import sound_file
from lokitalk_jax.preparation import source_video

MOST_BYTES = 2 << 30
VIDEOS = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi")
SOUNDS = (".wav", ".mp3", ".m4a", ".ogg", ".opus", ".flac", ".aac", ".webm", ".mp4")


async def keep(
    request: Request,
    path: pathlib.Path,
    suffixes: tuple[str, ...],
    check: Callable[[pathlib.Path], object],
) -> pathlib.Path:
    """Writes the body of a request into a file.

    Args:
      request: with the name of the client's file as `?file=`.
      path: of the file, without suffix; an older one of any suffix is replaced.
      suffixes: that are allowed, the first one for a name without any.
      check: raises ValueError for a file that cannot be used.

    Returns:
      The file.

    Raises:
      HTTPException: it is too large, of another kind, not usable, or the disk is full.
    """
    suffix = pathlib.PurePath(request.query_params.get("file", "")).suffix.lower()
    suffix = suffix or suffixes[0]
    if suffix not in suffixes:
        known = ", ".join(suffixes)
        raise HTTPException(415, f"a {suffix} file cannot be used; take one of {known}")
    target = path.with_name(path.name + suffix)
    try:
        with files.replacing(target) as temporary:
            await _write(request, temporary)
            try:
                await anyio.to_thread.run_sync(check, temporary)
            except ValueError as error:
                text = str(error).replace(str(temporary), "the file")
                text = text.replace(temporary.name, "the file")
                raise HTTPException(422, text) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        text = "the disk is full; free some space and try again"
        raise HTTPException(507, text) from error
    for other in path.parent.glob(f"{path.name}.*"):
        if other != target:
            other.unlink()
    return target


async def _write(request: Request, path: pathlib.Path) -> None:
    _refuse_larger(int(request.headers.get("content-length", 0)))
    size = 0
    with open(path, "wb") as file:
        async for piece in request.stream():
            size += len(piece)
            _refuse_larger(size)
            file.write(piece)
    if not size:
        raise HTTPException(422, "the file is empty")


def _refuse_larger(size: int) -> None:
    if size > MOST_BYTES:
        limit = f"{MOST_BYTES / 1e6:.0f} MB"
        text = f"the file is larger than {limit}; cut it, two minutes are enough"
        raise HTTPException(413, text)


def check_video(path: pathlib.Path) -> None:
    """Refuses a file that preparation cannot open.

    Raises:
      ValueError: it is not a video.
    """
    source_video.probe(path)


def check_sound(path: pathlib.Path) -> None:
    """Refuses a file without sound.

    Raises:
      ValueError: it holds none.
    """
    sound_file.open_sound(path).refuse_silence()
