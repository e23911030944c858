"""What is each part of the model worth? The full model against models without one part.

    python -m benchmarks.ablation --data=data/dev --out=runs/ablate --newcomer=speaker_b

Every model is trained on the same identities with the same number of steps and scored
on their held-out frames. With --newcomer, that identity is left out of the training,
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
from scipy import stats

from benchmarks.prior_benefit import link_people
from benchmarks.prior_benefit_report import cost_to
from configs import adapt, multi_id
from lokitalk_jax import files, process
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.checkpoint import store
from lokitalk_jax.data import folder
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.references import spread
from lokitalk_jax.evaluate.held_out import rendered_frames
from lokitalk_jax.evaluate.metrics.psnr import masked_psnr
from lokitalk_jax.evaluate.score import score_tracked
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.structs import REGIONS
from lokitalk_jax.training import trainer

WHOLE = "full"
PARTS = (
    "holistic",
    "no_cascade",
    "no_attention",
    "no_conditioning",
    "no_hypernetwork",
    "no_offset",
    "no_encoder",
)
ADAPTED = ("no_prior",)  # says something of newcomers only
_TEST_FRAMES = 12  # of each clip, evenly spread over the held-out ones
_POINTS = 6  # checkpoints of a run, evenly spread, that its curve goes through
_SHORT_OF = 1.0  # dB of head PSNR, of the fixed quality below the whole model's last


def score(run: Run, name: str) -> dict[str, float]:
    """Scores of one person of a run on some held-out frames.

    Returns:
      PSNR by region, LPIPS, mouth distance, and `lip_gate` and `eye_gate`: overlap
      (intersection over union) of the rendered gate with the region's mask.
    """
    avatar = run.avatar(name)
    record = avatar.record
    data = Dataset.open(folder.IdentityFolder(record.source), run.config.data.size)
    shared = np.zeros((2, len(REGIONS)))

    def compare(index: int, maps: Rendered) -> None:
        gates, masks = maps.regions >= 0.5, data.region_masks(index) >= 0.5
        shared[:] += np.sum([gates & masks, gates | masks], axis=(1, 2))

    shown = spread(record.test_frames, _TEST_FRAMES)
    found = score_tracked(avatar, data, shown, compare)
    psnr = {region: found[region]["psnr"] for region in ("frame", *REGIONS)}
    overlap = dict(zip(REGIONS, shared[0] / np.maximum(shared[1], 1), strict=True))
    return psnr | {
        "lpips": found["frame"]["lpips_alex"],
        "lmd_px": found["lmd_px"],
        "lip_gate": overlap["lip"],
        "eye_gate": overlap["eye"],
    }


def head_psnr(run: Run, name: str) -> float:
    """The head's PSNR of `score` alone, which takes a fifth of the time."""
    avatar = run.avatar(name)
    record, head = avatar.record, REGIONS.index("head")
    data = Dataset.open(folder.IdentityFolder(record.source), run.config.data.size)
    shown = spread(record.test_frames, _TEST_FRAMES)
    pictures = np.stack([picture for *_, picture in rendered_frames(avatar, shown)])
    truth = np.stack([data.frames[index] for index in shown]) / np.float32(255)
    masks = np.stack([data.region_masks(index)[..., head] for index in shown])
    return masked_psnr(truth, pictures, masks)


def measure(run: Run) -> dict[str, float | None]:
    """Scores of a checkpoint, the mean over its people; None where nobody has one."""
    rows = [score(run, name) for name in run.identities]
    found = {key: [r[key] for r in rows if r[key] is not None] for key in rows[0]}
    return {k: float(np.mean(each)) if each else None for k, each in found.items()}


def curve(workdir: pathlib.Path) -> list[dict]:
    """The head's PSNR at all checkpoints of a run, all scores at the last.

    Beside them stand `step` and `seconds`. Seconds are those of the steps, as the
    log's lines are apart in the middle: compiling and previews are left out.
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
        run = Run(workdir, step)
        if step == kept[-1]:
            found = measure(run)
        else:
            heads = [head_psnr(run, name) for name in run.identities]
            found = {"head": float(np.mean(heads))}
        points.append({"step": step, "seconds": step * pace} | found)
    return points


def with_checkpoints(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The config of a run whose curve is read from its checkpoints."""
    config.train.checkpoint_every = max(config.train.steps // _POINTS, 1)
    config.train.keep = _POINTS + 1
    config.train.log_every = max(config.train.steps // (2 * _POINTS), 1)
    config.voice.steps = 0  # nobody is heard
    return config


def configure(part: str, root: pathlib.Path, steps: int, seed: int):
    """The config that trains a model without `part`."""
    module = multi_id
    if part != WHOLE:
        module = importlib.import_module(f"configs.ablations.{part}")
    config = module.get_config("cpu")
    config.data.root = str(root)
    config.seed = seed
    if part not in ADAPTED:
        config.train.steps = steps
    return with_checkpoints(config)


def configure_adapting(part: str, prior: pathlib.Path, source, seconds, seed):
    """The config that adapts a model without `part` to a newcomer."""
    if part in ADAPTED:
        config = configure(part, source, 0, seed)
    else:
        config = adapt.get_config("cpu")
        config.prior = str(prior)
        config.start = "mean" if part == "no_encoder" else "encoder"
        config.model.identity_offset = part != "no_offset"
    config.data.root, config.data.max_seconds = str(source), seconds
    config.seed = seed
    return with_checkpoints(config)


def difference(whole: list[float], less: list[float]) -> tuple[float, float]:
    """Mean over seeds of what leaving a part out changes, and half its 95% interval.

    The interval (Student's t on differences of the same seed) is infinite for one seed.
    """
    gaps = np.subtract(less, whole)
    if len(gaps) < 2:
        return float(gaps.mean()), float("inf")
    reach = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5
    return float(gaps.mean()), float(reach)


def table(cells: list[dict], group: str) -> str:
    """Markdown: means of the whole model, then differences from it.

    Args:
      cells: {'part', 'seed', 'group', 'curve'} each, see `curve`.
      group: which cells, 'people' or 'newcomer'.
    """
    those = [c for c in cells if c["group"] == group]
    found = {(c["part"], c["seed"]): c["curve"][-1] for c in those}
    seeds = sorted({seed for part, seed in found if part == WHOLE})
    keys = [k for k in found[WHOLE, seeds[0]] if k not in ("step", "seconds")]
    lines = [f"| {group} | seeds | " + " | ".join(keys) + " |"]
    lines.append("|---" * (len(keys) + 2) + "|")
    for part in (WHOLE, *PARTS, *ADAPTED):
        both = [seed for seed in seeds if (part, seed) in found]
        if not both:
            continue
        cells_of_part = []
        for key in keys:
            whole = [found[WHOLE, seed][key] for seed in both]
            less = [found[part, seed][key] for seed in both]
            digits = 4 if key == "lpips" else 2
            if part == WHOLE:
                cells_of_part.append(f"{np.mean(whole):.{digits}f}")
                continue
            mean, reach = difference(whole, less)
            cells_of_part.append(f"{mean:+.{digits}f} ± {reach:.{digits}f}")
        lines.append(f"| {part} | {len(both)} | " + " | ".join(cells_of_part) + " |")
    return "\n".join(lines) + "\n"


def times(cells: list[dict], group: str) -> str:
    """Markdown: steps and seconds until the head reaches a fixed quality.

    Args:
      cells: {'part', 'seed', 'group', 'curve'} each, see `curve`.
      group: which cells, 'people' or 'newcomer'.
    """
    curves = {(c["part"], c["seed"]): c["curve"] for c in cells if c["group"] == group}
    whole = [c[-1]["head"] for (part, _), c in curves.items() if part == WHOLE]
    level = float(np.mean(whole)) - _SHORT_OF
    lines = [f"| {group}: head at {level:.2f} dB | reached | steps | seconds |"]
    lines.append("|---" * 4 + "|")
    for part in (WHOLE, *PARTS, *ADAPTED):
        its = [c for (name, _), c in curves.items() if name == part]
        if not its:
            continue
        costs = [
            [cost_to(c, level, cost=cost) for c in its] for cost in ("step", "seconds")
        ]
        reached = len(its) - costs[0].count(None)
        cells_of_part = [f"{reached} of {len(its)}"]
        # A mean over those seeds that reach it would flatter the others.
        every = reached == len(its)
        cells_of_part += [f"{np.mean(each):.0f}" if every else "-" for each in costs]
        lines.append(f"| {part} | " + " | ".join(cells_of_part) + " |")
    return "\n".join(lines) + "\n"


def _kept(path: pathlib.Path, make) -> dict:
    """What `make` gives, kept in a file."""
    if not path.exists():
        made = make()
        print(json.dumps(made), flush=True)
        with files.replacing(path) as temporary:
            temporary.write_text(json.dumps(made) + "\n")
    return json.loads(path.read_text())


def main(_) -> None:
    """Trains what is missing, then reports."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    out, newcomer = pathlib.Path(_OUT.value), _NEWCOMER.value
    people = folder.find_identities(_DATA.value)
    sources = {one.name: one.path for one in people}
    if newcomer and newcomer not in sources:
        raise app.UsageError(
            f"--newcomer={newcomer}: no such identity in {_DATA.value}"
        )
    root = link_people(out, [one for one in people if one.name != newcomer])
    (out / "cells").mkdir(exist_ok=True)

    def train(part: str, seed: int) -> dict:
        workdir = out / "runs" / f"{part}-{seed}"
        trainer.train(configure(part, root, _STEPS.value, seed), workdir)
        cell = {"part": part, "seed": seed, "group": "people"}
        return cell | {"curve": curve(workdir)}

    def take_in(part: str, seed: int) -> dict:
        prior = out / "runs" / f"{part}-{seed}"
        workdir = out / "adapted" / f"{part}-{seed}"
        source = sources[newcomer]
        config = configure_adapting(part, prior, source, _SECONDS.value, seed)
        trainer.train(config, workdir)
        cell = {"part": part, "seed": seed, "group": "newcomer"}
        return cell | {"curve": curve(workdir)}

    cells = []
    for seed, part in itertools.product(map(int, _SEEDS.value), _PARTS.value):
        if part not in ADAPTED:
            path = out / "cells" / f"people-{part}-{seed}.json"
            cells.append(_kept(path, lambda part=part, seed=seed: train(part, seed)))
        if newcomer:
            path = out / "cells" / f"newcomer-{part}-{seed}.json"
            cells.append(_kept(path, lambda part=part, seed=seed: take_in(part, seed)))
    groups = ("people", "newcomer") if newcomer else ("people",)
    with files.replacing(out / "ablate.md") as temporary:
        parts = [make(cells, group) for make in (table, times) for group in groups]
        temporary.write_text("\n".join(parts))


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _OUT = flags.DEFINE_string("out", "runs/ablate", "Runs, scores, table.")
    _PARTS = flags.DEFINE_list("parts", [WHOLE, *PARTS, *ADAPTED], "Rows.")
    _SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Of the runs.")
    _STEPS = flags.DEFINE_integer("steps", 600, "Of the runs of all people.")
    _NEWCOMER = flags.DEFINE_string("newcomer", None, "Whom to leave out and adapt to.")
    _SECONDS = flags.DEFINE_float("seconds", 5.0, "Of the newcomer's video.")
    flags.mark_flag_as_required("data")
    process.start()
    app.run(main)
