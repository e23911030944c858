"""A model of a few thousand parameters, for drills that start many runs."""

# Of `multi_id:draft_cpu`.
FIELDS = {
    "data.size": 32,
    "data.frames_per_step": 2,
    "data.rays_per_frame": 16,
    "data.landmarks": 8,
    "grid.levels": 2,
    "grid.finest": 24,
    "grid.log2_entries": 8,
    "sampling.samples": 4,
    "sampling.cells": "(8,8,4)",
    "model.encoder": False,
    "model.residual_dropout": 0.0,
    "model.deform_width": 8,
    "model.decoder_width": 8,
    "train.coarse": 0.0,
    "train.perceptual": 0.0,
    "train.density_every": 2,
    "train.density_points": 32,
    "train.preview_every": 10_000,
    "voice.fit": False,
}

# Programs that run for seconds need not be compiled well.
XLA_FLAGS = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


def spoken_run(data: object, workdir: object) -> list[str]:
    """The command that trains a run with a voice on an identity folder."""
    changed = flags(train__steps=2, data__root=data, voice__fit=True)
    return ["train", "--config=single_id:draft_cpu", f"--workdir={workdir}", *changed]


def flags(**changes: object) -> list[str]:
    """Flags of `lokitalk train`; `changes` are fields with __ in place of the dot."""
    fields = FIELDS | {k.replace("__", "."): v for k, v in changes.items()}
    return [f"--config.{field}={value}" for field, value in fields.items()]
