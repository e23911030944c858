"""Files that appear whole or not at all, and what killed processes leave."""

import errno
import os
import subprocess
import sys
import time

import pytest

from lokitalk_jax import files

_LEAVE = """
import pathlib, sys
from lokitalk_jax import files
path = files.scratch(pathlib.Path(sys.argv[1]))
path.mkdir() if path.suffix == "" else path.touch()
"""


def leave(path) -> None:
    """Has a process that ends leave the scratch of `path`."""
    subprocess.run([sys.executable, "-c", _LEAVE, str(path)], check=True)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as temporary:
        temporary.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_errors_of_writing_name_the_file(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match="No space left.*a.txt"), files.replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="^only a sentence$"), files.replacing(path):
        raise OSError("only a sentence")


def test_what_killed_processes_left_goes_and_that_of_the_living_stays(tmp_path):
    leave(tmp_path / "film.mp4")
    leave(tmp_path / ("long " * 40 + "é.mp4"))
    leave(tmp_path / "frames")
    living = files.scratch(tmp_path / "film.mp4")
    living.touch()
    strangers = [tmp_path / ".a-b-c-d", tmp_path / ".film-00000000-x-00000000.mp4"]
    for path in strangers:
        path.touch()
    assert len(list(tmp_path.iterdir())) == 6
    files.sweep(tmp_path)
    assert set(tmp_path.iterdir()) == {living, *strangers}


def test_what_other_hosts_left_goes_after_a_day(tmp_path):
    young, old = (tmp_path / f".a-00000000-1-0000000{i}.npz" for i in (1, 2))
    for path, age in ((young, 3600), (old, 2 * 86400)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    files.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [young]


def test_a_file_that_is_read_is_not_written(tmp_path):
    path, other = tmp_path / "a.mp4", tmp_path / "link.mp4"
    path.touch()
    other.symlink_to(path)
    files.refuse_overwriting(tmp_path / "new.mp4", paste=path)
    files.refuse_overwriting(path, paste=None, background="plate", audio=([0.0], 1))
    for same in (path, str(path), other):
        with pytest.raises(ValueError, match="a.mp4 is also paste=.*would replace"):
            files.refuse_overwriting(path, audio=None, paste=same)
