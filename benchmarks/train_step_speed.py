"""Where does a training step spend its time?

    python -m benchmarks.train_step_speed --data=data/demo/demo_00 --rays=4096

The compiled step of one identity (gradients, optimiser, metrics), the density-grid
update of every eighth step, and for comparison the step with a hash grid that JAX
differentiates by itself. One JSON line: times in turns, the share of each part from a
profile, rays a second, and the floating point operations and bytes that XLA counts,
compared with the machine's rates in a matrix product and a copy.
"""

import functools
from unittest import mock

import jax
from absl import app, flags

from benchmarks import hashgrid_speed as plain
from benchmarks import timing
from lokitalk_jax import base_config, process
from lokitalk_jax.model import hashgrid
from lokitalk_jax.training import session, train_step

# Patterns of operation names in each part of a step; those of optax and XLA have none.
PARTS = {
    "hash grid": r"cond/branch|scatter",
    "deformation, backward": r"transpose\(.*Deformation",
    "deformation, forward": r"Deformation",
    "decoder, backward": r"transpose\(.*Decoder",
    "decoder, forward": r"Decoder",
    "weight gradients": r"^(ynn_fusion|dot|gemm)",
    "sampling, compositing, losses": r"jvp",
}


def main(_) -> None:
    """Measures."""
    config = base_config.get_config(_PRESET.value)
    config.data.root = _DATA.value
    config.data.size = _SIZE.value
    config.data.rays_per_frame = _RAYS.value // config.data.frames_per_step
    config.sampling.samples = _SAMPLES.value
    begun = session.build_session(config)
    source = begun.batches.iterate(0)
    batch = next(source)
    source.close()
    spec = train_step.from_config(config, begun.training_set.count, lanes=1)
    arguments = begun.state, batch

    def program(name: str):
        """A step that does not give its arguments up, so that it can be repeated."""
        density = name == "density"
        step = train_step.density_step if density else train_step.train_step
        return functools.partial(step, spec)

    programs = {
        "step": program("step"),
        "visit to the density grid": program("density"),
    }

    def with_plain_grid(*arguments):
        with mock.patch.object(hashgrid, "encode", plain.unrolled):
            return program("step")(*arguments)

    programs["step, plain grid"] = with_plain_grid
    found = timing.in_turns(
        {name: (each, arguments) for name, each in programs.items()}, _ROUNDS.value
    )
    step, _, _ = timing.compile_timed(program("step"), arguments)
    parts = timing.by_scope(step, arguments, PARTS)
    whole = sum(parts.values())
    milliseconds = found["step"].median_ms
    cost = step.cost_analysis() or {}
    operations, moved = cost.get("flops", 0.0), cost.get("bytes accessed", 0.0)
    peaks = timing.peaks()
    rays = config.data.frames_per_step * config.data.rays_per_frame
    memory = jax.local_devices()[0].memory_stats() or {}
    timing.report(
        "train_step_speed",
        preset=_PRESET.value,
        rays=rays,
        samples=_SAMPLES.value,
        timings=timing.rounded(found),
        share={name: float(f"{part / whole:.2g}") for name, part in parts.items()},
        plain_over_ours=found["step, plain grid"].median_ms / milliseconds,
        rays_per_second=1000 * rays / milliseconds,
        gflop=operations / 1e9,
        gb_accessed=moved / 1e9,
        share_of_copy_rate=moved / 1e6 / milliseconds / peaks["copy_gb_s"],
        share_of_matmul_rate=operations / 1e6 / milliseconds / peaks["matmul_gflops"],
        device_peak_mb=memory.get("peak_bytes_in_use", 0) / 1e6,
        **peaks,
    )


if __name__ == "__main__":
    process.tune_memory()
    _DATA = flags.DEFINE_string("data", "data/demo/demo_00", "An identity folder.")
    _PRESET = flags.DEFINE_string("preset", "draft_cpu", "See presets.py.")
    _SIZE = flags.DEFINE_integer("size", 64, "Longest side, pixels.")
    _RAYS = flags.DEFINE_integer("rays", 4096, "Rays of a step.")
    _SAMPLES = flags.DEFINE_integer("samples", 16, "Samples of a ray.")
    _ROUNDS = flags.DEFINE_integer("rounds", 10, "Runs of each program.")
    app.run(main)
