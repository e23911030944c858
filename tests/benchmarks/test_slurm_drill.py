"""A run that SLURM preempts comes back, on a real SLURM where one is installed."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")


@pytest.mark.heavy
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    not all(shutil.which(name, path="/usr/bin:/usr/sbin") for name in PROGRAMS),
    reason="needs Debian's slurmctld, slurmd, slurm-client and munge",
)
def test_a_preempted_run_comes_back_to_the_same_bits():
    done = subprocess.run(
        ["benchmarks/slurm_drill.sh", "--only=preemption"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin:/usr/sbin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    [line] = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0 and line["passed"], line
    assert "came back by itself" in line["saw"] and "arrays equal" in line["saw"]
