"""The notebook of examples/ runs from top to bottom."""

import os
import pathlib
import subprocess
import sys

import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"

_RUN = """
import sys
import nbclient, nbformat

notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=500, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.mark.heavy
def test_the_notebook_runs(tmp_path):
    variables = {"LOKITALK_QUICKSTART_STEPS": "8", "LOKITALK_QUICKSTART_SIZE": "32"}
    variables["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(NOTEBOOK), str(tmp_path / "run.ipynb")],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name in "reenacted.mp4", "speech.mp4", "runs/quickstart/evaluation":
        assert (tmp_path / name).exists()
    *_, scores = nbformat.read(tmp_path / "run.ipynb", 4).cells
    printed = [one.text for one in scores.outputs if one.get("name") == "stdout"]
    assert "PSNR" in "".join(printed)


def test_the_notebook_is_kept_without_outputs():
    for cell in nbformat.read(NOTEBOOK, 4).cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
