"""The wheel, installed and used from an empty folder."""

import json
import os
import pathlib
import site
import subprocess
import sys
import venv

import av
import pytest
import tiny_model

from lokitalk_jax import config

ROOT = pathlib.Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder of the programs of an environment that has the wheel.

    Other packages are those of the tests' environment; its installation of this package
    is not among them, as site.py reads no .pth file of a folder that one has added.
    """
    root = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", f"--wheel-dir={root}"]
    subprocess.run([*pip, "wheel", *options, str(ROOT)], check=True)
    venv.create(root / "env")
    programs = root / "env" / ("Scripts" if os.name == "nt" else "bin")
    (packages,) = root.glob("env/[Ll]ib/**/site-packages")
    (packages / "shared.pth").write_text("\n".join(site.getsitepackages()))
    (wheel,) = root.glob("*.whl")
    python = f"--python={programs / 'python'}"
    options = ["--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, python, "install", *options], check=True)
    return programs


def test_it_is_whole_in_an_empty_folder(installed, tiny_run, tmp_path):
    """Trains, renders, speaks for no lips, scores, and answers in Python."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    lokitalk, python = str(installed / "lokitalk"), str(installed / "python")
    where = run(python, "-c", "import lokitalk_jax; print(lokitalk_jax.__path__[0])")
    assert pathlib.Path(where.strip()).is_relative_to(installed.parent)
    opened = "from lokitalk_jax.avatar import shipped_priors; print('prior of', "
    opened += "shipped_priors.open_prior('base').identities)"
    assert "prior of ['mean']" in run(python, "-c", opened)
    run(
        lokitalk,
        "train",
        "--config=multi_id:draft_cpu",
        "--workdir=runs/demo",
        f"--config.data.root={tiny_run.data}",
        *_tiny_fields(),
    )
    one = ["--workdir=runs/demo", f"--identity={tiny_run.names[0]}"]
    run(lokitalk, "reenact", *one, "--frames=0:3", "--out=x.mp4")
    said = f"--audio={tiny_run.data / tiny_run.names[1] / 'audio.wav'}"
    run(lokitalk, "speak", *one, said, "--lip=still", "--fps=2", "--out=said.mp4")
    for name, frames in ("x", 3), ("said", 4):
        with av.open(str(tmp_path / f"{name}.mp4")) as video:
            assert video.streams.video[0].frames == frames
    run(lokitalk, "evaluate", *one, "--max-frames=1", "--out=scores")
    scores = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert scores["identities"].keys() == {tiny_run.names[0]}
    assert (tmp_path / "scores" / "report.html").is_file()
    run(lokitalk, "prepare", f"--check={tiny_run.data / tiny_run.names[0]}")


def _tiny_fields() -> list[str]:
    """Flags that make the run of multi_id as small as `tiny_run`."""
    tiny, full = tiny_model.config(encoder=True), config.load("multi_id:draft_cpu")
    return [
        f"--config.{field}={config.get_field(tiny, field)}"
        for field in config.fields(full)
        if config.get_field(tiny, field) != config.get_field(full, field)
    ]
