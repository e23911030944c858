"""The command line of benchmarks that measure one identity of a run."""

from collections.abc import Callable

from absl import app, flags

from benchmarks import timing
from lokitalk_jax.avatar.run import OpenRun


def main(benchmark: str, measure: Callable[[OpenRun, str, int], dict]) -> None:
    """Reads the flags, measures, and prints one JSON line.

    Args:
      benchmark: its name, for the line.
      measure: of a run, the name of an identity and a number of held-out frames.
    """
    workdir = flags.DEFINE_string("workdir", None, "a run", required=True)
    identity = flags.DEFINE_string("identity", None, "one of several")
    frames = flags.DEFINE_integer("frames", 8, "held-out frames")

    def run_and_report(_) -> None:
        run = OpenRun(workdir.value)
        name = run.named(identity.value)
        found = measure(run, name, frames.value)
        timing.report(benchmark, clip=name, size=run.config.data.size, **found)

    app.run(run_and_report)
