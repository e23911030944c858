r"""What is a prior worth? Quality against training time, for seconds of video.

    python -m benchmarks.prior_benefit --data=data/dev --out=runs/transfer \
        --same_source=speaker_c+speaker_d --same_source=speaker_e+speaker_f

For every identity a prior is trained on the identities of all other sources and adapted
to it from the first seconds of its clip; the baseline is training from scratch with the
same schedule. Every prior and every cell of the grid is kept, so the command resumes
where it was stopped. Seconds are those of the process on all its cores, without
compiling and scoring.
"""

import itertools
import json
import pathlib
import time
from collections.abc import Iterable

import jax
from absl import app, flags
from absl import logging as absl_logging

from benchmarks import prior_benefit_report
from configs import adapt, multi_id, single_id
from lokitalk_jax import files, process
from lokitalk_jax.avatar.run import Run, assemble
from lokitalk_jax.data import folder, references
from lokitalk_jax.evaluate.score import score_tracked
from lokitalk_jax.training import train_step, trainer
from lokitalk_jax.training.session import Session, build_session

METHODS = ("scratch",) + tuple(
    f"{start}/{common}"
    for start, common in itertools.product(
        ("mean", "encoder"), ("frozen", "slow", "free")
    )
)
_TEST_FRAMES = 12  # of each clip, evenly spread over the held-out ones


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


def link_people(out: pathlib.Path, people: list[folder.IdentityFolder]):
    """A folder of just these people, below `out`."""
    root = out / "people"
    root.mkdir(parents=True, exist_ok=True)
    for one in people:
        link = root / one.name
        if not link.exists():
            link.symlink_to(one.path.resolve(), target_is_directory=True)
    return root


def train_prior(out: pathlib.Path, people: list[folder.IdentityFolder], changes):
    """Trains the prior of some people, or goes on; returns its run's folder."""
    config = multi_id.get_config("cpu")
    config.data.root = str(link_people(out, people))
    config.update_from_flattened_dict(changes)
    trainer.train(config, out / "run")
    return out / "run"


def given_priors(texts: list[str]) -> dict[str, Run]:
    """Priors by name, of NAME=RUN.

    Raises:
      ValueError: a text has no name, or there is no such run.
    """
    found = {}
    for text in texts:
        name, _, workdir = text.partition("=")
        if not (name and workdir):
            raise ValueError(f"--prior={text}: say NAME=RUN, such as demo=runs/demo")
        found[name] = Run(pathlib.Path(workdir))
    return found


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


def configure(method: str, source, prior, seconds: float, seed: int, steps: int = 0):
    """The config of one cell; 0 `steps` are as many as adapting takes."""
    if method == "scratch":
        config = single_id.get_config("cpu")
    else:
        config = adapt.get_config("cpu")
        config.start, config.shared = method.rpartition(":")[2].split("/")
        config.prior = str(prior)
    config.train.steps = steps or adapt.get_config("cpu").train.steps
    config.seed = seed
    config.data.root = str(source)
    config.data.max_seconds = seconds
    return config


def curve(session: Session, marks: list[int]) -> list[dict]:
    """Trains one identity; scores at some steps.

    Returns:
      a dict at each mark: step, cpu_seconds, and scores.
    """
    (data,) = session.training_set.datasets
    record = session.training_set.record(data)
    steps = session.config.train.steps
    # Donated buffers are gone, so that compiling takes a copy.
    spare = jax.tree.map(lambda leaf: leaf.copy(), session.state)
    source = session.batches.iterate(0)
    first = next(source)
    jax.block_until_ready(session.advance(spare, 0, first))
    state, spent, points = session.state, 0.0, []
    batches = itertools.chain([first], source)
    for step in range(steps + 1):
        if step in marks:
            jax.block_until_ready(state)
            points.append({"step": step, "cpu_seconds": round(spent, 2)})
            points[-1] |= _score(session, state, data, record)
        if step < steps:
            began = time.process_time()
            state, metrics = session.advance(state, step, next(batches))
            jax.block_until_ready(metrics)
            spent += time.process_time() - began
    source.close()
    return points


def _score(session: Session, state, data, record) -> dict:
    params = train_step.avatar_params(state, 0)
    avatar = assemble(session.model, session.config, record, params)
    shown = references.spread(record.test_frames, _TEST_FRAMES)
    found = score_tracked(avatar, data, shown)
    flat = {region: found[region]["psnr"] for region in ("frame", "head", "lip")}
    more = {"lpips": found["frame"]["lpips_alex"], "lmd_px": found["lmd_px"]}
    # No mouth can be measured where no face is seen, as before the first step.
    return {k: v and round(float(v), 4) for k, v in (flat | more).items()}


def _unseen(prior: Run, source: frozenset[str]) -> pathlib.Path:
    known = sorted(source & set(prior.identities))
    if known:
        raise ValueError(
            f"the prior {prior.workdir} was trained on {', '.join(known)}, whom it is "
            "to be adapted to; choose others with --identity"
        )
    return prior.workdir


def main(_) -> None:
    """Trains what is missing of the grid, then reports."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    out = pathlib.Path(_OUT.value)
    people = folder.find_identities(_DATA.value)
    groups = sources([one.name for one in people], _SAME.value)
    cells = out / "cells"
    cells.mkdir(parents=True, exist_ok=True)
    changes = json.loads(_PRIOR_CHANGES.value)
    chosen = _IDENTITY.value or list(groups)
    lengths, seeds = map(float, _SECONDS.value), map(int, _SEEDS.value)
    priors = given_priors(_PRIOR.value)
    methods = columns(_METHODS.value, priors)
    grid = itertools.product(chosen, lengths, methods, seeds)
    for name, seconds, method, seed in grid:
        label = method.replace("/", "-").replace(":", "-")
        path = cells / f"{name}-{seconds:g}s-{label}-{seed}.json"
        if path.exists():
            continue
        others = [one for one in people if one.name not in groups[name]]
        (source,) = (one for one in people if one.name == name)
        prior = None
        if ":" in method:
            prior = _unseen(priors[method.partition(":")[0]], groups[name])
        elif method != "scratch":
            left_out = "+".join(sorted(groups[name]))
            prior = train_prior(out / "priors" / f"without_{left_out}", others, changes)
        config = configure(method, source.path, prior, seconds, seed, _STEPS.value)
        steps = config.train.steps
        marks = [0, *(2**i * 12 for i in range(20) if 2**i * 12 < steps), steps]
        result = {
            "identity": name,
            "seconds": seconds,
            "method": method,
            "seed": seed,
            "curve": curve(build_session(config), marks),
        }
        print(json.dumps(result))
        with files.replacing(path) as temporary:
            temporary.write_text(json.dumps(result) + "\n")
    prior_benefit_report.write(out)


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _OUT = flags.DEFINE_string("out", "runs/transfer", "Priors, cells, report.")
    _SAME = flags.DEFINE_multi_string(
        "same_source", [], "Identities of one source, with +."
    )
    _IDENTITY = flags.DEFINE_multi_string("identity", [], "Whom to leave out; all.")
    _SECONDS = flags.DEFINE_list("seconds", ["5"], "Of video; 0 takes all.")
    _PRIOR = flags.DEFINE_multi_string(
        "prior", [], "NAME=RUN: adapt this run instead of training priors."
    )
    _METHODS = flags.DEFINE_list("methods", list(METHODS), "Columns of the grid.")
    _STEPS = flags.DEFINE_integer("steps", 0, "Of a cell; 0 is what adapting takes.")
    _SEEDS = flags.DEFINE_list("seeds", ["0"], "Of the cells.")
    _PRIOR_CHANGES = flags.DEFINE_string(
        "prior_changes", "{}", "JSON of fields, such as train.steps, of the priors."
    )
    flags.mark_flag_as_required("data")
    process.start()
    app.run(main)
