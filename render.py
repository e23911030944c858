"""Renders the people of a run, or scores them.

python render.py --workdir=runs/me --out=me.mp4
python render.py --workdir=runs/prior --identity=me --mute=head --maps --out=me.mp4
python render.py --workdir=runs/prior --evaluate
"""

import argparse
import logging
import pathlib
import sys

from absl import logging as absl_logging

from lokitalk_jax import process

_LOG = logging.getLogger("lokitalk_jax.render")


def main(arguments: list[str] | None = None) -> None:
    """Reads the flags, then renders or scores."""
    flags = _parse(arguments)
    process.start()
    # Orbax tells that it will write nothing.
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        if flags.evaluate:
            _evaluate(flags)
        else:
            _reenact(flags)
    except (ValueError, OSError) as error:
        sys.exit(f"render.py: {error}")


def _reenact(flags: argparse.Namespace) -> None:
    from lokitalk_jax import backdrop, motion, reenact
    from lokitalk_jax.run import Run

    run = Run(flags.workdir)
    avatar = run.avatar(run.named(flags.identity))
    portrait = avatar.portrait
    frames = motion.select_frames(portrait, flags.frames)
    muted = [name for name in flags.mute.split(",") if name]
    out = flags.out or flags.workdir / f"{portrait.name}.mp4"
    reenact.write_video(
        out,
        avatar,
        motion.hold(motion.tracked(portrait, frames), portrait, muted),
        backdrop.find(flags.background, portrait),
        reenact.sound(portrait.audio, frames),
        flags.maps,
    )
    _LOG.info(
        "%s: frames %d to %d of %s, step %d of the run",
        out,
        frames.start,
        frames.stop - 1,
        portrait.name,
        run.step,
    )


def _evaluate(flags: argparse.Namespace) -> None:
    from lokitalk_jax.evaluate import score
    from lokitalk_jax.run import Run

    run = Run(flags.workdir)
    names = run.identities if flags.identity is None else [run.named(flags.identity)]
    out = flags.out or flags.workdir / "evaluation"
    score.evaluate(run, names, out, flags.data, flags.max_frames)
    _LOG.info("%s: metrics.json, a video and a sheet of each identity", out)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--workdir", required=True, type=pathlib.Path, help="folder of the run")
    add("--identity", help="whom to render; a run of one identity needs no name")
    add("--out", type=pathlib.Path, help="video; with --evaluate a folder")

    group = parser.add_argument_group("re-enacting frames of the clip")
    group.add_argument("--frames", help="test (held-out ones, default), all or a:b")
    group.add_argument(
        "--mute", help="regions held at rest, with commas: lip,eye,head,torso"
    )
    group.add_argument(
        "--background",
        help="plate (default), a colour, an image, or none for alpha (.mov, .webm)",
    )
    group.add_argument(
        "--maps", action="store_true", help="depth, regions, deformation beside it"
    )

    group = parser.add_argument_group("scoring held-out frames")
    group.add_argument("--evaluate", action="store_true")
    group.add_argument(
        "--data", type=pathlib.Path, help="identity folders, where they have moved"
    )
    group.add_argument(
        "--max_frames", type=int, help="score this many, spread over the held-out ones"
    )

    flags = parser.parse_args(arguments)
    alien = ("frames", "mute", "background", "maps")
    if not flags.evaluate:
        alien = ("data", "max_frames")
    for name in alien:
        if getattr(flags, name) not in (None, False):
            kind = "re-enacts" if flags.evaluate else "scores"
            parser.error(f"--{name} belongs to what {kind}: see --help")
    if flags.max_frames is not None and flags.max_frames < 1:
        parser.error(f"--max_frames={flags.max_frames} must be at least 1")
    flags.frames = flags.frames or "test"
    flags.mute = flags.mute or ""
    flags.background = flags.background or "plate"
    return flags


if __name__ == "__main__":
    main()
