"""What is each part of the model worth? The full model against models without one part.

    python -m benchmarks.ablation --data=data/dev --out=runs/ablate --adapt_to=speaker_b

Every model is trained on the same identities with the same number of steps and scored
on their held-out frames. With --adapt_to, that identity is left out of the training,
and each model is then adapted to the first seconds of its clip. Differences are taken
between runs of the same seed. The effect on speed is the number of steps and seconds
until the head is a decibel below the full model's last PSNR. Every run and its scores
are kept, so the command resumes where it was stopped.
"""

import importlib
import itertools
import json
import pathlib

import ml_collections
import numpy as np
from absl import app, flags
from absl import logging as absl_logging

from benchmarks import ablation_report, held_out_scores, reports
from benchmarks.ablation_report import ADAPTED, PARTS, WHOLE
from benchmarks.prior_benefit import link_identities
from configs import adapt, multi_id
from lokitalk_jax import process
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.checkpoint import store
from lokitalk_jax.data import folder
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.structs import REGIONS
from lokitalk_jax.training import trainer

_POINTS = 6  # checkpoints of a run, evenly spread, on its curve


def score(run: OpenRun, name: str) -> dict[str, float]:
    """Scores of one identity of a run on some held-out frames.

    Returns:
      PSNR by region, LPIPS, mouth distance, and `lip_gate` and `eye_gate`: overlap
      (intersection over union) of the rendered gate with the region's mask.
    """
    avatar = run.avatar(name)
    data = held_out_scores.open_clip(run, avatar.record)
    areas = np.zeros((2, len(REGIONS)))  # of intersection and union

    def compare(index: int, maps: Rendered) -> None:
        gates, masks = maps.regions >= 0.5, data.region_masks(index) >= 0.5
        areas[:] += np.sum([gates & masks, gates | masks], axis=(1, 2))

    found = held_out_scores.every(avatar, data, compare)
    psnr = {region: found[region]["psnr"] for region in ("frame", *REGIONS)}
    overlap = dict(zip(REGIONS, areas[0] / np.maximum(areas[1], 1), strict=True))
    return psnr | {
        "lpips": found["frame"]["lpips_alex"],
        "lmd_px": found["lmd_px"],
        "lip_gate": overlap["lip"],
        "eye_gate": overlap["eye"],
    }


def measure(run: OpenRun) -> dict[str, float | None]:
    """Mean scores of the identities of a checkpoint; None where none has a score."""
    rows = [score(run, name) for name in run.identities]
    found = {key: [r[key] for r in rows if r[key] is not None] for key in rows[0]}
    return {k: float(np.mean(each)) if each else None for k, each in found.items()}


def head_psnr(run: OpenRun) -> float:
    """The head's PSNR in `measure` alone, which takes a fifth of the time."""
    avatars = [run.avatar(name) for name in run.identities]
    found = [
        held_out_scores.psnr(avatar, held_out_scores.open_clip(run, avatar.record))
        for avatar in avatars
    ]
    return float(np.mean([one["head"] for one in found]))


def curve(workdir: pathlib.Path) -> list[dict]:
    """The head's PSNR at all checkpoints of a run, all scores at the last.

    Points have `step` and `seconds` too. Seconds are those of the steps, by the median
    distance of lines in the log, which leaves out compiling and previews.
    """
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    logged = np.array([(line["step"], line["time"]) for line in lines])
    steps, seconds = np.diff(logged, axis=0).T
    pace = float(np.median(seconds / steps))
    checkpoints, _ = store.open_run(workdir)
    kept = checkpoints.steps()
    checkpoints.close()
    points = []
    for step in kept:
        run = OpenRun(workdir, step)
        found = measure(run) if step == kept[-1] else {"head": head_psnr(run)}
        points.append({"step": step, "seconds": step * pace} | found)
    return points


def with_checkpoints(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The config of a run whose curve is read from its checkpoints."""
    config.train.checkpoint_every = max(config.train.steps // _POINTS, 1)
    config.train.keep = _POINTS + 1
    config.train.log_every = max(config.train.steps // (2 * _POINTS), 1)
    config.voice.fit = False  # speech is not scored
    return config


def configure(part: str, root: pathlib.Path, steps: int, seed: int):
    """The config that trains a model without `part`."""
    module = multi_id
    if part != WHOLE:
        module = importlib.import_module(f"configs.ablations.{part}")
    config = module.get_config("draft_cpu")
    config.data.root = str(root)
    config.seed = seed
    if part not in ADAPTED:
        config.train.steps = steps
    return with_checkpoints(config)


def configure_adapting(part: str, prior: pathlib.Path, source, seconds, seed):
    """The config that adapts a model without `part` to an identity."""
    if part in ADAPTED:
        config = configure(part, source, 0, seed)
    else:
        config = adapt.get_config("draft_cpu")
        config.prior = str(prior)
        config.start = "mean" if part == "no_encoder" else "encoder"
        config.model.identity_offset = part != "no_offset"
    config.data.root, config.data.max_seconds = str(source), seconds
    config.seed = seed
    return with_checkpoints(config)


def main(_) -> None:
    """Trains the runs that are missing, then reports."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    out, target = pathlib.Path(_OUT.value), _ADAPT_TO.value
    identities = folder.find_identities(_DATA.value)
    sources = {one.name: one.path for one in identities}
    if target and target not in sources:
        raise app.UsageError(f"--adapt_to={target}: no such identity in {_DATA.value}")
    root = link_identities(out, [one for one in identities if one.name != target])

    def train(part: str, seed: int) -> dict:
        workdir = out / "runs" / f"{part}-{seed}"
        trainer.train(configure(part, root, _STEPS.value, seed), workdir)
        cell = {"part": part, "seed": seed, "group": "trained"}
        return cell | {"curve": curve(workdir)}

    def adapt_to(part: str, seed: int) -> dict:
        prior = out / "runs" / f"{part}-{seed}"
        workdir = out / "adapted" / f"{part}-{seed}"
        config = configure_adapting(part, prior, sources[target], _SECONDS.value, seed)
        trainer.train(config, workdir)
        cell = {"part": part, "seed": seed, "group": "adapted"}
        return cell | {"curve": curve(workdir)}

    cells = []
    for seed, part in itertools.product(map(int, _SEEDS.value), _PARTS.value):
        for group, compute in (("trained", train), ("adapted", adapt_to)):
            if part in ADAPTED if group == "trained" else not target:
                continue
            path = out / "cells" / f"{group}-{part}-{seed}.json"
            cells.append(
                reports.cached(
                    path,
                    lambda part=part, seed=seed, compute=compute: compute(part, seed),
                )
            )
    groups = ("trained", "adapted") if target else ("trained",)
    tables = [
        make(cells, group)
        for make in (ablation_report.table, ablation_report.times)
        for group in groups
    ]
    reports.write(out / "ablate.md", "\n".join(tables))


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _OUT = flags.DEFINE_string("out", "runs/ablate", "Runs, scores, table.")
    _PARTS = flags.DEFINE_list("parts", [WHOLE, *PARTS, *ADAPTED], "Rows.")
    _SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Of the runs.")
    _STEPS = flags.DEFINE_integer("steps", 600, "Of the runs of all identities.")
    _ADAPT_TO = flags.DEFINE_string("adapt_to", None, "An identity to leave out first.")
    _SECONDS = flags.DEFINE_float("seconds", 5.0, "Of video to adapt with.")
    flags.mark_flag_as_required("data")
    process.start()
    app.run(main)
