"""Where the development clips are, which are not part of the repository."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
CLIPS = pathlib.Path(
    os.environ.get("LOKITALK_TEST_CLIPS") or ROOT.parent / "shared" / "clips"
)
SHARED = CLIPS.parent
