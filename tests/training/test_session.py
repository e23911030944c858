"""From a config and folders to what a run starts with."""

import shutil

import numpy as np
import tiny_model

from lokitalk_jax.data import layout, npz_file
from lokitalk_jax.training import session


def test_a_torso_is_fitted_to_the_pictures_only_where_it_has_no_track(
    tiny_run, tmp_path
):
    config = tiny_model.config()
    config.data.root = str(tiny_run.data)
    rate = config.lr.torso
    assert rate > 0
    assert session.build_session(config).config.lr.torso == 0
    assert config.lr.torso == rate

    untracked = tmp_path / "untracked"
    shutil.copytree(tiny_run.data, untracked)
    tracks = next(iter(sorted(untracked.iterdir()))) / layout.TRACKS
    arrays = npz_file.read(tracks)
    del arrays["torso_to_camera"]
    np.savez(tracks, **arrays)
    config.data.root = str(untracked)
    assert session.build_session(config).config.lr.torso == rate
