r"""What is a prior worth? Quality against training time, for seconds of video.

    python -m benchmarks.prior_benefit --data=data/dev --out=runs/transfer \
        --same_source=speaker_c+speaker_d --same_source=speaker_e+speaker_f
    python -m benchmarks.prior_benefit ... --methods=scratch --choose=first,best

For every identity a prior is trained on the identities of all other sources and adapted
to it from the first or the best seconds of its clip (`data.choose`); the baseline is
training from scratch with the same schedule. Every prior and every cell of the grid is
kept, with a picture of a held-out frame, so the command resumes where it was stopped.
Seconds are those of the process on all its cores, without compiling and scoring.
"""

import functools
import itertools
import json
import pathlib
import time
from collections.abc import Iterable

import numpy as np
from absl import app, flags
from absl import logging as absl_logging

from benchmarks import held_out_scores, prior_benefit_report, reports
from benchmarks.timed_training import TimedTraining
from configs import adapt, multi_id, single_id
from lokitalk_jax import process
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import folder
from lokitalk_jax.evaluation.held_out import rendered_frames
from lokitalk_jax.media import image_file, image_grid
from lokitalk_jax.training import trainer
from lokitalk_jax.training.session import Session, build_session

METHODS = ("scratch",) + tuple(
    f"{start}/{shared}"
    for start, shared in itertools.product(
        ("mean", "encoder"), ("frozen", "slow", "free")
    )
)


def sources(names: list[str], same: list[str]) -> dict[str, frozenset[str]]:
    """By identity, all identities of its source.

    Raises:
      ValueError: `same` names an identity that is not there.
    """
    groups = {name: frozenset([name]) for name in names}
    for text in same:
        group = frozenset(text.split("+"))
        unknown = sorted(group - groups.keys())
        if unknown:
            raise ValueError(f"--same_source={text}: no identity {', '.join(unknown)}")
        groups |= dict.fromkeys(group, group)
    return groups


def link_identities(
    out: pathlib.Path, identities: list[folder.IdentityFolder]
) -> pathlib.Path:
    """A folder below `out` with links to these identities only."""
    root = out / "identities"
    root.mkdir(parents=True, exist_ok=True)
    for one in identities:
        link = root / one.name
        if not link.exists():
            link.symlink_to(one.path.resolve(), target_is_directory=True)
    return root


def train_prior(
    out: pathlib.Path, identities: list[folder.IdentityFolder], changes: dict
) -> pathlib.Path:
    """Trains a prior, or resumes it; returns the folder of its run."""
    config = multi_id.get_config("draft_cpu")
    config.data.root = str(link_identities(out, identities))
    config.update_from_flattened_dict(changes)
    trainer.train(config, out / "run")
    return out / "run"


def columns(methods: list[str], priors: Iterable[str]) -> list[str]:
    """Methods of the grid: those of a prior, once for each that is given."""
    if not priors:
        return methods
    return [
        label
        for method in methods
        for label in (
            [method] if method == "scratch" else [f"{p}:{method}" for p in priors]
        )
    ]


def configure(
    method: str,
    source,
    prior,
    seconds: float,
    seed: int,
    steps: int = 0,
    choose: str = "first",
    preset: str = "draft_cpu",
):
    """The config of one cell; 0 `steps` are as many as adapting takes."""
    if method == "scratch":
        config = single_id.get_config(preset)
    else:
        config = adapt.get_config(preset)
        config.start, config.shared = method.rpartition(":")[2].split("/")
        config.prior = str(prior)
    config.train.steps = steps or adapt.get_config(preset).train.steps
    config.seed = seed
    config.data.root = str(source)
    config.data.max_seconds = seconds
    config.data.choose = choose
    return config


def curve(
    session: Session, marks: list[int], picture: pathlib.Path | None = None
) -> list[dict]:
    """Trains one identity and scores it after some numbers of steps.

    Args:
      session: of the identity.
      marks: numbers of steps, rising.
      picture: where the middle held-out frame goes: the truth, and as it is rendered
        after the first and after the last of `marks`.

    Returns:
      a dict at each mark: step, cpu_seconds, PSNR of frame, head and lip; at the last
      one lpips and lmd_px as well. Frames are rendered as in training.
    """
    training, points, shown = TimedTraining(session, time.process_time), [], []
    for mark in marks:
        training.run(mark - training.step)
        avatar = training.avatar().exact()
        found = held_out_scores.psnr(avatar, training.data)
        if picture and mark in (marks[0], marks[-1]):
            middle = avatar.record.test_frames[[len(avatar.record.test_frames) // 2]]
            shown += [frame for *_, frame in rendered_frames(avatar, middle)]
        if mark == marks[-1]:
            whole = held_out_scores.every(avatar, training.data)
            found["lpips"] = whole["frame"]["lpips_alex"]
            found["lmd_px"] = whole["lmd_px"]  # None where no face is found
        point = {"step": mark, "cpu_seconds": round(training.seconds, 2)}
        points.append(point | {k: v and round(float(v), 4) for k, v in found.items()})
    training.close()
    if picture:
        row = [training.data.frame(middle[0])[0], *shown]
        row = np.concatenate([image_grid.to_uint8(one) for one in row], axis=1)
        image_file.write(picture, row)
    return points


def _unseen(prior: OpenRun, source: frozenset[str]) -> pathlib.Path:
    known = sorted(source & set(prior.identities))
    if known:
        raise ValueError(
            f"the prior {prior.workdir} was trained on {', '.join(known)}, so adapting "
            "it to them proves nothing; choose others with --identity"
        )
    return prior.workdir


def main(_) -> None:
    """Trains the cells that are missing in the grid, then reports."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    out = pathlib.Path(_OUT.value)
    folders = {one.name: one for one in folder.find_identities(_DATA.value)}
    groups = sources(list(folders), _SAME.value)
    changes = json.loads(_PRIOR_CHANGES.value)
    lengths, seeds = map(float, _SECONDS.value), map(int, _SEEDS.value)
    priors = held_out_scores.named_runs(_PRIOR.value)
    methods = columns(_METHODS.value, priors)

    def cell(name: str, seconds: float, choose: str, method: str, seed: int, picture):
        prior = None
        if ":" in method:
            prior = _unseen(priors[method.partition(":")[0]], groups[name])
        elif method != "scratch":
            others = [one for n, one in folders.items() if n not in groups[name]]
            left_out = "+".join(sorted(groups[name]))
            prior = train_prior(out / "priors" / f"without_{left_out}", others, changes)
        path = folders[name].path
        options = _STEPS.value, choose, _PRESET.value
        config = configure(method, path, prior, seconds, seed, *options)
        steps = config.train.steps
        marks = [0, *(2**i * 24 for i in range(20) if 2**i * 24 < steps), steps]
        return {
            "identity": name,
            "seconds": seconds,
            "choose": choose,
            "method": method,
            "seed": seed,
            "curve": curve(build_session(config), marks, picture),
        }

    chosen = _IDENTITY.value or list(groups)
    for one in itertools.product(chosen, lengths, _CHOOSE.value, methods, seeds):
        name, seconds, choose, method, seed = one
        label = method.replace("/", "-").replace(":", "-")
        which = "" if choose == "first" else f"-{choose}"
        path = out / "cells" / f"{name}-{seconds:g}s{which}-{label}-{seed}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        reports.cached(path, functools.partial(cell, *one, path.with_suffix(".png")))
    prior_benefit_report.write(out)


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _OUT = flags.DEFINE_string("out", "runs/transfer", "Priors, cells, report.")
    _SAME = flags.DEFINE_multi_string(
        "same_source", [], "Identities of one source, with +."
    )
    _IDENTITY = flags.DEFINE_multi_string(
        "identity", [], "To leave out; all by default."
    )
    _SECONDS = flags.DEFINE_list("seconds", ["5"], "Of video; 0 takes all.")
    _CHOOSE = flags.DEFINE_list("choose", ["first"], "Which seconds: first, best.")
    _PRIOR = flags.DEFINE_multi_string(
        "prior", [], "NAME=RUN: adapt this run instead of training priors."
    )
    _METHODS = flags.DEFINE_list("methods", list(METHODS), "Columns of the grid.")
    _PRESET = flags.DEFINE_string("preset", "draft_cpu", "Of the cells.")
    _STEPS = flags.DEFINE_integer("steps", 0, "Of a cell; 0 is what adapting takes.")
    _SEEDS = flags.DEFINE_list("seeds", ["0"], "Of the cells.")
    _PRIOR_CHANGES = flags.DEFINE_string(
        "prior_changes", "{}", "JSON of fields, such as train.steps, of the priors."
    )
    flags.mark_flag_as_required("data")
    process.start()
    app.run(main)
