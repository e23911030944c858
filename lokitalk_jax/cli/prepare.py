"""Makes identity folders of videos, checks data folders, converts them."""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lokitalk_jax import progress
from lokitalk_jax.cli import prepare_many, terminal
from lokitalk_jax.cli.terminal import Mode

if TYPE_CHECKING:
    from lokitalk_jax.data.folder import IdentityFolder

_HELP = """\
usage: {program} --video=FILE --out=FOLDER [...]

  --video    make an identity folder of a video, or of each video of a folder
  --check    check a data folder of this program, ER-NeRF, SyncTalk, TalkingGaussian
  --import   make an identity folder of a folder of one of those programs
  --export   write an identity folder as those programs read it

{program} --video=me.mp4 --out=data/me
{program} --video=clips --out=data
{program} --check=data/me
{program} --import=ernerf/data/obama --out=data/obama
{program} --export=data/me --out=ernerf/data/me

`{program} --video --help` lists the flags of --video, and so on.
"""


def main(
    arguments: Sequence[str] | None = None, program: str = "lokitalk prepare"
) -> int:
    """Runs the mode that the flags choose; returns the exit status."""
    return terminal.run_mode(parse, _HELP, arguments, program)


def parse(arguments: Sequence[str], program: str) -> tuple[Mode, argparse.Namespace]:
    """The mode that the flags choose, and its flags; see `terminal.parse_mode`."""
    given = [argument.partition("=")[0].removeprefix("--") for argument in arguments]
    chosen = [key for key in MODES if key in given]
    if len(chosen) != 1:
        modes = ", ".join(f"--{key}" for key in MODES)
        print(f"{program}: give one of {modes}; see --help", file=sys.stderr)
        raise SystemExit(2)
    [name] = chosen
    if "--help" in arguments or "-h" in arguments:
        arguments = ["--help"]
    parsers = terminal.mode_parsers(MODES, f"{program} --")
    return MODES[name], terminal.parse_mode(name, parsers, program, arguments)


def _prepare(flags: argparse.Namespace) -> int:
    from lokitalk_jax.api.prepare import PrepareOptions

    options = PrepareOptions(
        size=flags.size,
        crop=flags.crop,
        start=flags.start,
        end=flags.end,
        audio=not flags.no_audio,
        audio_track=flags.audio_track,
        person=flags.person,
        png=flags.png,
        trim=flags.trim,
    )
    if flags.speech_only:
        return prepare_many.run_speech(flags, options)
    video = flags.video[0]
    if len(flags.video) == 1 and not video.is_dir() and video.suffix != ".txt":
        return _prepare_one(flags, video, options)
    return prepare_many.run(flags, options)


def _prepare_one(flags: argparse.Namespace, video, options) -> int:
    from lokitalk_jax.api.prepare import prepare

    with progress.Bar() as bar:
        made = prepare(
            video,
            flags.out,
            options,
            model=flags.model,
            workers=flags.workers,
            audio_offset=flags.audio_offset,
            progress=bar,
        )
    print(_summary(made, flags.program))
    return 0


def _summary(made: "IdentityFolder", program: str) -> str:
    from lokitalk_jax.data import layout

    meta = made.meta
    size = f"{meta.frame_count} frames of {meta.width}x{meta.height}"
    found = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in meta.quality.items())
    preview = made.path / layout.PREVIEW
    check = f"{terminal.sibling(program, 'prepare')} --check={made.path}"
    return f"{made.path}: {size}; {found}; look at {preview}, and run {check}"


def _check(flags: argparse.Namespace) -> int:
    from lokitalk_jax.doctor import check

    with progress.Bar() as bar:
        found = check.examine(flags.check, bar)
    print((check.as_json if flags.json else check.as_text)(flags.check, found))
    return 1 if check.failed(found) else 0


def _import(flags: argparse.Namespace) -> int:
    from lokitalk_jax.data.folder import IdentityFolder
    from lokitalk_jax.interop import peer_import

    with progress.Bar() as bar:
        peer_import.import_folder(flags.imported, flags.out, flags.model, bar)
    print(_summary(IdentityFolder(flags.out), flags.program))
    return 0


def _export(flags: argparse.Namespace) -> int:
    from lokitalk_jax.interop import peer_export

    with progress.Bar() as bar:
        count = peer_export.export_folder(flags.exported, flags.out, bar)
    print(f"{flags.out}: {count} frames; still to be made:")
    print("\n".join(f"  {one}" for one in peer_export.STILL_TO_MAKE))
    return 0


def _add_video(parser: terminal.Parser) -> None:
    add = parser.add_argument
    add(
        "--video",
        type=pathlib.Path,
        action="append",
        required=True,
        help="one person, one take; may be repeated. Or a folder of videos, or a .txt "
        "file with the path of one on each line",
    )
    add(
        "--out",
        type=pathlib.Path,
        required=True,
        help="the identity folder; with several videos the folder that holds theirs",
    )
    add("--size", type=int, default=512, help="longest side in pixels (default 512)")
    add(
        "--crop",
        choices=("auto", "none"),
        default="auto",
        help="a square around head and shoulders (default), or the whole frame",
    )
    add("--start", type=float, default=0.0, help="seconds")
    add("--end", type=float, help="seconds")
    add("--no-audio", action="store_true", help="prepare without sound")
    add("--audio-track", type=int, help="number of the audio track, from 1")
    add("--person", help="who is meant in view: left, right, a number, or x,y")
    add(
        "--audio-offset",
        default="auto",
        help="milliseconds by which the sound is late; auto (default) estimates them",
    )
    add(
        "--speech-only",
        action="store_true",
        help="write landmarks and sound alone, a corpus to train a voice on",
    )
    add("--png", action="store_true", help="store frames without loss")
    add(
        "--trim",
        action="store_true",
        help="keep the longest usable stretch where the video would be refused for a "
        "cut, a missing face or several faces; several videos are always trimmed",
    )
    add("--model", type=pathlib.Path, help="a FaceLandmarker .task file")
    add("--workers", type=int, help="threads of the segmentation of one video")
    add(
        "--at-once",
        type=int,
        default=2,
        help="number of videos that are prepared at the same time (default 2)",
    )


def _add_check(parser: terminal.Parser) -> None:
    parser.add_argument("--check", type=pathlib.Path, required=True, help="the folder")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def _add_import(parser: terminal.Parser) -> None:
    add = parser.add_argument
    add("--import", dest="imported", type=pathlib.Path, required=True)
    add("--out", type=pathlib.Path, required=True, help="the identity folder to write")
    add("--model", type=pathlib.Path, help="a FaceLandmarker .task file")


def _add_export(parser: terminal.Parser) -> None:
    add = parser.add_argument
    add("--export", dest="exported", type=pathlib.Path, required=True)
    add("--out", type=pathlib.Path, required=True, help="the folder to write")


_AGAIN = "the same command continues"
MODES = {
    "video": Mode("Makes identity folders of videos.", _add_video, _prepare, _AGAIN),
    "check": Mode("Checks a data folder.", _add_check, _check),
    "import": Mode(
        "Makes an identity folder of a peer's.", _add_import, _import, _AGAIN
    ),
    "export": Mode("Writes an identity folder for peers.", _add_export, _export),
}
