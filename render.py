"""Renders the people of a run, or scores them.

python render.py --workdir=runs/me --out=me.mp4
python render.py --workdir=runs/prior --identity=me --mute=head --maps --out=me.mp4
python render.py --workdir=runs/me --audio=speech.wav --out=me_speaking.mp4
python render.py --workdir=runs/prior --evaluate
python render.py --workdir=runs/prior --identity=me --drive=you --out=swapped.mp4
python render.py --prior=runs/prior --reference=data/me --out=at_once.mp4
"""

import argparse
import logging
import pathlib
import sys

from absl import logging as absl_logging

from lokitalk_jax import process, structs

# Regions that someone else can drive; the torso goes with the head.
DRIVEN = ("lip", "eye", "head")
# What drives them only where there is sound.
_WITH_SOUND = ("audio", "auto", "own", "still", "open")
_LEAST_SIZE = 16  # pixels

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
        elif flags.audio:
            _speak(flags)
        else:
            _reenact(flags)
    except (ValueError, OSError) as error:
        sys.exit(f"render.py: {error}")


def _reenact(flags: argparse.Namespace) -> None:
    from lokitalk_jax.avatar import backdrop, drivers, motion, video_file, zero_shot
    from lokitalk_jax.avatar.run import Run

    run = Run(flags.workdir)
    if flags.reference:
        avatar, _ = zero_shot.build_avatar(run, flags.reference)
    else:
        avatar = run.avatar(run.named(flags.identity))
    avatar = avatar.at(flags.size) if flags.size else avatar
    record = avatar.record
    names = {region: getattr(flags, region) or flags.drive for region in DRIVEN}
    drivers = {
        region: drivers.load_driver(run, name) for region, name in names.items() if name
    }
    # Whose lips they are, theirs is the sound.
    speaker = drivers.setdefault("lip", record)
    parts = {
        region: (one, motion.select_frames(one, flags.frames))
        for region, one in drivers.items()
    }
    frames = parts["lip"][1][: min(len(part) for _, part in parts.values())]
    if any(names.values()):
        own = motion.select_frames(record, flags.frames)
        moved = motion.swap(record, own, parts, len(frames))
    else:
        moved = motion.tracked(record, frames)
    muted = [name for name in flags.mute.split(",") if name]
    out = flags.out or flags.workdir / f"{record.name}.mp4"
    video_file.write_video(
        out,
        avatar,
        motion.hold(moved, record, muted).frames(),
        moved.frame_count,
        backdrop.find(flags.background, record),
        video_file.sound(speaker.audio, frames),
        flags.maps,
        flags.fps,
    )
    others = "".join(
        f", {region} of {one.name} from frame {part.start}"
        for region, (one, part) in parts.items()
        if one is not speaker
    )
    _LOG.info(
        "%s: %s, frames %d to %d of %s%s, step %d of the run",
        out,
        record.name,
        frames.start,
        frames.stop - 1,
        speaker.name,
        others,
        run.step,
    )


def _speak(flags: argparse.Namespace) -> None:
    from lokitalk_jax.avatar import backdrop, signal_table, speaking, video_file
    from lokitalk_jax.avatar.run import Run
    from lokitalk_jax.avatar.sources import Sources

    run = Run(flags.workdir)
    avatar = run.avatar(run.named(flags.identity))
    avatar = avatar.at(flags.size) if flags.size else avatar
    record = avatar.record
    sources = Sources(
        flags.lip or "audio",
        flags.eye or flags.drive or "auto",
        flags.head or flags.drive or "own",
        flags.gain,
        flags.seed,
        flags.features,
    )
    speech = speaking.SpeechMotion(run, record.name, sources, flags.audio)
    spoken = speaking.SpokenFile(speech, flags.audio)
    moved = iter(spoken)
    if flags.export_curves:
        moved = signal_table.recorded(moved, flags.export_curves)
    out = flags.out or flags.workdir / f"{record.name}.mp4"
    behind = backdrop.find(flags.background, record)
    video_file.write_video(
        out, avatar, moved, len(spoken), behind, flags.audio, flags.maps, flags.fps
    )
    _LOG.info(
        "%s: %s, %d frames; lips out of the range of training in %.1f%% of them",
        out,
        record.name,
        speech.frames,
        100 * speech.clipped / max(speech.frames, 1),
    )


def _evaluate(flags: argparse.Namespace) -> None:
    from lokitalk_jax.avatar import zero_shot
    from lokitalk_jax.avatar.run import Run
    from lokitalk_jax.evaluate import results, score
    from lokitalk_jax.progress import Bar

    run = Run(flags.workdir)
    signals = flags.signals or "tracked"
    options = score.Options(flags.max_frames, signals, flags.protocol, flags.vgg)
    with Bar() as bar:
        if flags.reference:
            avatar, data = zero_shot.build_avatar(run, flags.reference)
            folder = score.default_folder(run, options) / "zero_shot" / data.name
            out = flags.out or folder
            avatars = {data.name: (avatar, data)}
            found = score.evaluate_avatars(run, avatars, out, options, bar)
        else:
            names = None if flags.identity is None else [run.named(flags.identity)]
            out = flags.out or score.default_folder(run, options, names)
            found = score.evaluate(run, out, names, flags.data, options, bar)
    for line in results.summary(found):
        _LOG.info("%s", line)
    _LOG.info("%s: open report.html", out)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--workdir", type=pathlib.Path, help="folder of the run")
    where.add_argument(
        "--prior", type=pathlib.Path, help="run that renders someone it has not seen"
    )
    add("--reference", type=pathlib.Path, help="with --prior: the person's folder")
    add("--identity", help="whom to render; a run of one identity needs no name")
    add(
        "--out",
        type=pathlib.Path,
        help="video; without a suffix a folder of PNG files; with --evaluate a folder",
    )

    group = parser.add_argument_group("re-enacting frames of the clip")
    group.add_argument(
        "--frames",
        help="test (held-out ones, default), all or a:b; of drivers' clips too",
    )
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

    group.add_argument(
        "--size", type=int, help="pixels along the longest side (default: as trained)"
    )
    group.add_argument(
        "--fps", type=float, help="frames a second (default 25); others are blended"
    )

    group = parser.add_argument_group("speaking")
    add = group.add_argument
    add("--audio", type=pathlib.Path, help="sound or video file that drives the lips")
    add(
        "--features",
        type=pathlib.Path,
        help=".npy file of that sound, for a voice that hears what other programs make",
    )
    add("--gain", type=_gains, help="of regions' motion, such as lip:1.2,head:0.5")
    add("--seed", type=int, help="of the blinks (default 0)")
    add("--export-curves", type=pathlib.Path, help="write the signals into a .csv file")

    group = parser.add_argument_group(
        "driving by someone else: an identity of the run, or an identity folder",
        "With --audio also: --lip=audio|still, --eye=auto|open, --head=own|still, or a "
        ".csv file of --export-curves for any of them.",
    )
    group.add_argument("--drive", help="for lip, eye and head; not lip with --audio")
    for region in DRIVEN:
        group.add_argument(f"--{region}", help=f"for {region} alone")

    group = parser.add_argument_group("scoring held-out frames")
    group.add_argument("--evaluate", action="store_true")
    group.add_argument(
        "--signals",
        choices=("tracked", "audio"),
        help="what drives the lips: as tracked (default), or the clip's sound",
    )
    group.add_argument(
        "--protocol",
        choices=("full", "peer"),
        help="all synthesised (default), or the head alone over the true torso",
    )
    group.add_argument("--vgg", action="store_true", help="LPIPS by VGG16 too; slow")
    group.add_argument(
        "--data", type=pathlib.Path, help="identity folders, where they have moved"
    )
    group.add_argument(
        "--max-frames", type=int, help="score this many, spread over the held-out ones"
    )

    flags = parser.parse_args(arguments)
    _refuse_contradictions(parser, flags)
    flags.workdir = flags.workdir or flags.prior
    flags.gain, flags.seed = flags.gain or {}, flags.seed or 0
    flags.fps = flags.fps or float(structs.FPS)
    flags.protocol = flags.protocol or "full"
    flags.frames = flags.frames or "test"
    flags.mute = flags.mute or ""
    flags.background = flags.background or "plate"
    return flags


def _refuse_contradictions(
    parser: argparse.ArgumentParser, flags: argparse.Namespace
) -> None:
    """Ends the program where flags do not go together or have no meaning."""
    if bool(flags.prior) != bool(flags.reference):
        parser.error("--prior and --reference belong together: see --help")
    if flags.prior and flags.signals:
        parser.error("--signals belongs to --workdir: see --help")
    if flags.prior and flags.identity:
        parser.error("--identity belongs to --workdir: see --help")
    speech = ("gain", "seed", "export_curves", "features")
    alien = ("frames", "mute", "background", "maps", "size", "fps", "audio", "drive")
    alien += (*DRIVEN, *speech)
    if not flags.evaluate:
        alien = ("data", "max_frames", "signals", "protocol", "vgg")
    for name in alien:
        if getattr(flags, name) not in (None, False):
            kind = "re-enacts" if flags.evaluate else "scores"
            parser.error(
                f"--{name.replace('_', '-')} belongs to what {kind}: see --help"
            )
    if flags.max_frames is not None and flags.max_frames < 1:
        parser.error(f"--max-frames={flags.max_frames} must be at least 1")
    for name in ("frames", "mute", "reference") if flags.audio else speech:
        if getattr(flags, name) is not None:
            which = "does not go with" if flags.audio else "needs"
            parser.error(f"--{name.replace('_', '-')} {which} --audio: see --help")
    if not flags.audio:
        for name in DRIVEN:
            text = getattr(flags, name) or ""
            if text in _WITH_SOUND or text.endswith(".csv"):
                parser.error(
                    f"--{name}={text} needs --audio; --mute={name} holds a region still"
                )
    if flags.size is not None and flags.size < _LEAST_SIZE:
        parser.error(f"--size={flags.size} must be at least {_LEAST_SIZE}")
    if flags.fps is not None and not 1 <= flags.fps <= 120:
        parser.error(f"--fps={flags.fps:g} must be from 1 to 120")


def _gains(text: str) -> dict[str, float]:
    pairs = (part.partition(":") for part in text.split(","))
    try:
        return {region: float(value) for region, _, value in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like lip:1.2,head:0.5"
        ) from None


if __name__ == "__main__":
    main()
