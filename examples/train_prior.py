"""Trains a prior that may be given away, on identities of your own.

    lokitalk prepare --video=clips --out=data
    python examples/train_prior.py --data=data --names=names.txt --out=runs/base
    lokitalk train --config=adapt --config.prior=runs/base/prior \
        --config.data.root=data/me --workdir=runs/me

`names.txt` names, one on each line, the identities whose footage permits it; without
it all of them are taken. The prior holds shared parameters and the encoder only, no
person. `trained_on.json` lists its training data; distribute it together with the
prior, with the attributions that the licences of the footage ask for. Called again
after an interruption, it continues.

Images are small, whatever the preset: a prior knows how faces move and roughly how they
look, which small images show, and adaptation fills the finer levels of the preset's
grid from images of any size.
"""

import argparse
import json
import pathlib
import shutil
import sys

import lokitalk_jax as lokitalk
from lokitalk_jax import demo, files
from lokitalk_jax.data import folder

MOST_BYTES = 12_000_000
_SIZE = 64  # longest side of the training images, pixels
_CAST_SECONDS, _CAST_SIZE = 4, 128


def chosen(
    data: pathlib.Path, names: pathlib.Path | None
) -> list[folder.IdentityFolder]:
    """The identity folders below `data` that `names` lists, or all.

    Raises:
      ValueError: one of the names is not there.
    """
    found = {one.name: one for one in folder.find_identities(data)}
    if names is None:
        return list(found.values())
    wanted = [line.strip() for line in names.read_text("utf-8").splitlines()]
    wanted = [name for name in wanted if name]
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise ValueError(f"{data} has no identity {', '.join(missing)}")
    return [found[name] for name in wanted]


def gather(
    root: pathlib.Path, people: list[folder.IdentityFolder], animated: int
) -> None:
    """Makes `root` the folder of these people and the demo cast, and of no others.

    Raises:
      ValueError: it holds another folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    targets = {one.name: one.path.resolve() for one in people}
    for link in root.iterdir():
        if link.is_symlink():
            link.unlink()
    for name, target in targets.items():
        (root / name).symlink_to(target, target_is_directory=True)
    cast = []
    if animated:
        cast = demo.make_cast(
            root, identities=animated, seconds=_CAST_SECONDS, size=_CAST_SIZE
        )
    others = {one.name for one in folder.find_identities(root)} - set(targets)
    others -= {one.name for one in cast}
    if others:
        raise ValueError(
            f"{root} also holds {', '.join(sorted(others))}, which this call does not "
            "name; remove it, or give another --out"
        )


def train(flags: argparse.Namespace) -> pathlib.Path:
    """Trains the run and exports its prior; returns the prior's folder.

    Raises:
      ValueError: an identity is not there, one is left of a call with other flags, or
        the prior is larger than 12 MB.
    """
    root = flags.out / "identities"
    people = chosen(flags.data, flags.names)
    gather(root, people, flags.animated)
    with lokitalk.Bar() as bar:
        run = lokitalk.train(
            f"multi_id:{flags.preset}",
            data=root,
            workdir=flags.out / "run",
            overrides={
                "data.size": _SIZE,
                "train.coarse": 1.0,
                "train.coarse_size": _SIZE,
                "train.perceptual": 0.0,
                # More steps for the encoder than in a run that is rendered itself.
                "model.residual_dropout": 0.25,
                "train.steps": flags.steps,
                "train.identities_per_step": flags.identities_per_step,
                # Audio2Motion is no part of a prior.
                "voice.fit": False,
            },
            progress=bar,
        )
    if run.step < flags.steps:
        raise ValueError(f"stopped at step {run.step}; run the same command again")
    out = flags.out / "prior"
    files.sweep(flags.out)
    # It counts as finished under its name, so it gets that when it is whole.
    unnamed = files.scratch(out)
    run.export_prior(unnamed)
    shutil.rmtree(out, ignore_errors=True)  # that of fewer steps
    unnamed.rename(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    facts = {
        "footage": flags.footage,
        "people": [one.name for one in people],
        "animated": flags.animated,
        "steps": run.step,
        "bytes": size,
    }
    text = json.dumps(facts, indent=2) + "\n"
    (flags.out / "trained_on.json").write_text(text, "utf-8")
    if size > MOST_BYTES:
        raise ValueError(f"{out} has {size} bytes, more than {MOST_BYTES}")
    return out


def main(arguments: list[str] | None = None) -> int:
    """Reads the flags and trains."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data", type=pathlib.Path, required=True, help="folder of identity folders")
    add("--names", type=pathlib.Path, help="file with the names to train on")
    add("--footage", default="", help="its source and licence, for trained_on.json")
    add("--out", type=pathlib.Path, required=True)
    add("--animated", type=int, default=0, help="identities of the demo cast to add")
    add("--preset", default="standard", help="of the grid, draft, standard or full")
    add("--steps", type=int, default=2000)
    add("--identities-per-step", type=int, default=8)
    flags = parser.parse_args(arguments)
    try:
        print(train(flags))
    except ValueError as error:
        print(f"train_prior.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
