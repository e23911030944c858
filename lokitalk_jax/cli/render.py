"""Renders and scores the identities of a run.

Each mode has its own flags, so that flags which contradict each other do not parse.
"""

import argparse
import logging
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lokitalk_jax import progress
from lokitalk_jax.cli import terminal
from lokitalk_jax.cli.terminal import Mode

if TYPE_CHECKING:
    from lokitalk_jax.api.avatar import Avatar
    from lokitalk_jax.avatar.footage import Footage

_LOG = logging.getLogger("lokitalk_jax.render")

_HELP = """\
usage: {program} [reenact|speak|evaluate] --workdir=RUN ...

  reenact    render frames of a clip again, moved as they were or by someone else
  speak      render an identity speaking the words of a sound file
  evaluate   score held-out frames

{program} --workdir=runs/me --out=me.mp4
{program} speak --workdir=runs/me --audio=speech.wav --out=speech.mp4
{program} evaluate --workdir=runs/me
{program} reenact --workdir=runs/prior --identity=me --mute=head --maps --out=me.mp4
{program} reenact --workdir=runs/prior --identity=me --drive=you --out=swapped.mp4
{program} reenact --workdir=runs/prior --reference=data/new --out=zero_shot.mp4

Without a mode, --audio means speak, --evaluate means evaluate, and anything else
reenact. `{program} MODE --help` lists the flags of a mode.
"""


def main(
    arguments: Sequence[str] | None = None, program: str = "lokitalk render"
) -> int:
    """Reads the flags, then renders or scores; returns the exit status."""
    return terminal.run_mode(parse, _HELP, arguments, program)


def parse(arguments: Sequence[str], program: str) -> tuple[Mode, argparse.Namespace]:
    """The mode that the flags choose, and its flags; see `terminal.parse_mode`."""
    name, rest = _split(arguments)
    parsers = terminal.mode_parsers(MODES, f"{program} ")
    return MODES[name], terminal.parse_mode(name, parsers, program, rest)


def _split(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The name of the mode and its own arguments."""
    if arguments[0] in MODES:
        return arguments[0], list(arguments[1:])
    if "--evaluate" in arguments:
        return "evaluate", [one for one in arguments if one != "--evaluate"]
    flags = [argument.partition("=")[0] for argument in arguments]
    return "speak" if "--audio" in flags else "reenact", list(arguments)


def _started(task: terminal.Task) -> terminal.Task:
    def run(flags: argparse.Namespace) -> int | None:
        # Imported after the flags were read, as JAX takes seconds to load.
        from lokitalk_jax import process

        process.start()
        return task(flags)

    return run


def _avatar(flags: argparse.Namespace) -> "Avatar":
    from lokitalk_jax.api.run import Run

    run, size = Run(flags.workdir), getattr(flags, "size", None)
    if flags.reference:
        avatar = run.zero_shot(flags.reference, size)
    else:
        avatar = run.avatar(flags.identity, size)
    return avatar.exact() if flags.exact else avatar


def _reenact(flags: argparse.Namespace) -> None:
    avatar = _avatar(flags)
    footage = avatar.reenact(
        flags.frames,
        drive=flags.drive,
        lip=flags.lip,
        eye=flags.eye,
        head=flags.head,
        mute=[name for name in flags.mute.split(",") if name],
        background=flags.background,
    )
    _save(avatar, footage, flags)


def _speak(flags: argparse.Namespace) -> None:
    from lokitalk_jax.media import sound_file

    sound = sound_file.open_sound(flags.audio, flags.audio_track)
    avatar = _avatar(flags)
    speech = avatar.speak(
        sound,
        lip=flags.lip,
        eye=flags.eye,
        head=flags.head,
        gain=flags.gain,
        seed=flags.seed,
        features=flags.features,
        background=flags.background,
    )
    if flags.style != "own":
        speech = speech.in_style(flags.style)
    if flags.idle is not None:
        speech = speech.idling(flags.idle)
    if flags.export_curves:
        speech.save_curves(flags.export_curves)
    _save(avatar, speech, flags)


def _save(avatar: "Avatar", footage: "Footage", flags: argparse.Namespace) -> None:
    out = flags.out or flags.workdir / f"{avatar.name}.mp4"
    with progress.Bar() as bar:
        footage.save(
            out,
            fps=flags.fps,
            maps=flags.maps,
            paste=flags.paste,
            latest_frame=flags.latest_frame,
            progress=bar,
        )
    _LOG.info("%s: %s at step %d of the run", out, avatar.name, avatar.run.step)


def _evaluate(flags: argparse.Namespace) -> None:
    from lokitalk_jax.api import actions
    from lokitalk_jax.evaluation.score import EvaluateOptions

    whole_run = not flags.identity and not flags.reference
    options = EvaluateOptions(
        flags.max_frames,
        flags.signals,
        flags.protocol,
        flags.tracking,
        flags.vgg,
        flags.exact,
        flags.recode,
    )
    with progress.Bar() as bar:
        scores = actions.evaluate(
            actions.Run(flags.workdir) if whole_run else _avatar(flags),
            flags.out,
            data=flags.data,
            options=options,
            progress=bar,
        )
    for line in scores.summary():
        _LOG.info("%s", line)
    _LOG.info("%s: open report.html", scores.folder)


def _add_reenact(parser: terminal.Parser) -> None:
    _add_identity(parser)
    add = parser.add_argument
    add(
        "--frames",
        default="test",
        help="test (held-out, the default), all or a:b; of drivers' clips too",
    )
    add("--mute", default="", help="regions held at rest: lip,eye,head,torso")
    group = parser.add_argument_group(
        "driving by another identity of the run, or by an identity folder"
    )
    group.add_argument("--drive", help="drives lip, eye and head")
    for region in ("lip", "eye", "head"):
        group.add_argument(f"--{region}", help=f"drives {region} alone")
    _add_pictures(parser)


def _add_speak(parser: terminal.Parser) -> None:
    _add_identity(parser)
    add = parser.add_argument
    add("--audio", type=pathlib.Path, required=True, help="a sound or video file")
    add("--audio-track", type=int, help="number of its audio track, from 1")
    add(
        "--features",
        type=pathlib.Path,
        help=".npy file of features of that sound that another program made",
    )
    group = parser.add_argument_group(
        "motion",
        "A region takes one of the words below, an identity of the run, an identity "
        "folder, or a .csv file of --export-curves.",
    )
    add = group.add_argument
    add("--lip", default="audio", help="audio (default) or still")
    add("--eye", default="auto", help="auto, which blinks (default), or open")
    add("--head", default="own", help="own, the clip's poses (default), or still")
    add("--idle", help="in pauses: own, those of the clip; or as above (default: none)")
    add("--gain", type=_gains, help="factors of the motion: lip:1.2,head:0.5")
    add(
        "--style",
        default="own",
        help="manner of speaking: own, as in the clip (default), neutral, an identity "
        "of the run or an identity folder",
    )
    add("--seed", type=int, default=0, help="seed of the blinks")
    add("--export-curves", type=pathlib.Path, help="write the signals into a .csv file")
    _add_pictures(parser)


def _add_evaluate(parser: terminal.Parser) -> None:
    _add_identity(parser)
    add = parser.add_argument
    add("--out", type=pathlib.Path, help="folder of the results (default: in the run)")
    add(
        "--signals",
        choices=("tracked", "audio"),
        default="tracked",
        help="lips: tracked (default), or predicted from the sound of the clip",
    )
    add(
        "--protocol",
        choices=("full", "peer"),
        default="full",
        help="everything synthesised (default), or the head over the true torso",
    )
    add(
        "--tracking",
        choices=("plain", "refined"),
        default="plain",
        help="poses as prepared (default), or fitted to the scored frames as well",
    )
    add("--vgg", action="store_true", help="LPIPS by VGG16 too; slow")
    add("--recode", help="crf23 or the like: code truth and render by H.264 first")
    add("--data", type=pathlib.Path, help="identity folders, where they have moved")
    add("--max-frames", type=int, help="frames to score, spread evenly (default: all)")


def _add_identity(parser: terminal.Parser) -> None:
    parser.add_argument(
        "--workdir", type=pathlib.Path, required=True, help="folder of the run"
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--identity", help="identity; not needed in a run of one")
    who.add_argument(
        "--reference",
        type=pathlib.Path,
        help="folder of an identity that the run was not trained on (zero-shot)",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="evaluate the networks at every sample, as in training (slower)",
    )


def _add_pictures(parser: terminal.Parser) -> None:
    add = parser.add_argument_group("pictures").add_argument
    add(
        "--out",
        type=pathlib.Path,
        help="video; without a suffix a folder of PNG files (default: in the run)",
    )
    add(
        "--background",
        default="plate",
        help="plate (default), a colour, an image, or none for alpha (.mov, .webm)",
    )
    add(
        "--paste",
        type=pathlib.Path,
        help="the video of the identity, to put the frames back into its full picture",
    )
    add("--maps", action="store_true", help="show depth, regions and deformation too")
    add("--size", type=int, help="pixels along the longest side (default: as trained)")
    add("--fps", type=float, default=25.0, help="frames a second (default 25)")
    add("--latest-frame", type=pathlib.Path, help="a picture of the newest frame, .jpg")


def _gains(text: str) -> dict[str, float]:
    pairs = (part.partition(":") for part in text.split(","))
    try:
        return {region: float(value) for region, _, value in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like lip:1.2,head:0.5"
        ) from None


MODES = {
    "reenact": Mode(
        "Renders frames of a clip again.", _add_reenact, _started(_reenact)
    ),
    "speak": Mode("Renders an identity speaking.", _add_speak, _started(_speak)),
    "evaluate": Mode(
        "Scores held-out frames of a run. With --truth and --pred instead it scores\n"
        "videos; `lokitalk compare --help` lists the flags.",
        _add_evaluate,
        _started(_evaluate),
    ),
}
