"""Makes identity folders of videos, and looks data folders over: see docs/data.md.

python prepare.py --video=me.mp4 --out=data/me
python prepare.py --check=data/me
python prepare.py --import=ernerf/data/obama --out=data/obama
python prepare.py --export=data/me --out=ernerf/data/me
"""

import argparse
import errno
import logging
import os
import pathlib
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

from lokitalk_jax.data import layout
from lokitalk_jax.doctor import check
from lokitalk_jax.interop import peer_export, peer_import
from lokitalk_jax.prepare import pipeline
from lokitalk_jax.prepare.options import Options
from lokitalk_jax.progress import Bar


def main(arguments: list[str] | None = None) -> int:
    """Prepares every --video; returns the exit status."""
    flags = _flags(arguments)
    if flags.check:
        return _check(flags.check, flags.json)
    if flags.imported or flags.exported:
        return _convert(flags)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    failures = 0
    try:
        outs = _outs([pathlib.Path(path) for path in flags.video], flags.out)
        options = Options(
            size=flags.size,
            crop=flags.crop,
            start=flags.start,
            end=flags.end,
            audio=not flags.no_audio,
            png=flags.png,
        )
    except ValueError as error:
        print(f"prepare: {error}", file=sys.stderr)
        return 1
    for path, out in outs.items():
        try:
            with Bar() as bar:
                meta = pipeline.prepare(
                    path, out, options, flags.model, flags.workers, bar
                )
        except ValueError as error:
            print(f"prepare: {error}", file=sys.stderr)
            failures += 1
        except OSError as error:
            if error.errno == errno.ENOSPC:
                error = f"the disk is full; free some space under {out}"
            print(
                f"prepare: {error}\nThe same command continues where this one stopped.",
                file=sys.stderr,
            )
            return 1
        else:
            print(_summary(out, meta))
    return 1 if failures else 0


def _check(path: pathlib.Path, as_json: bool) -> int:
    with Bar() as bar:
        found = check.examine(path, bar)
    print((check.as_json if as_json else check.as_text)(path, found))
    return 1 if check.failed(found) else 0


def _convert(flags: argparse.Namespace) -> int:
    """Brings another program's folder in, or writes one for it."""
    try:
        if flags.imported:
            with Bar() as bar:
                meta = peer_import.import_folder(
                    flags.imported, flags.out, flags.model, bar
                )
            print(_summary(flags.out, meta))
        else:
            with Bar() as bar:
                count = peer_export.export_folder(flags.exported, flags.out, bar)
            print(f"{flags.out}: {count} frames; still to be made:")
            print("\n".join(f"  {one}" for one in peer_export.STILL_TO_MAKE))
    except (ValueError, OSError) as error:
        print(f"prepare: {error}", file=sys.stderr)
        return 1
    return 0


def _summary(out, meta) -> str:
    size = f"{meta.frame_count} frames of {meta.width}x{meta.height}"
    preview = pathlib.Path(out) / layout.PREVIEW
    found = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in meta.quality.items())
    check = f"python prepare.py --check={out}"
    return f"{out}: {size}; {found}; look at {preview}, and judge it by {check}"


def _outs(videos, out) -> dict[pathlib.Path, pathlib.Path]:
    """The folder of each video: --out itself, or one per file name under it."""
    out = pathlib.Path(out)
    if len(videos) == 1:
        return {videos[0]: out}
    stems = [path.stem for path in videos]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ValueError(
            f"several videos are named {', '.join(twice)}, and each needs a folder of "
            "its own; rename one, or prepare them one by one"
        )
    return {path: out / path.stem for path in videos}


def _flags(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--video", action="append", help="a video; may be repeated")
    source.add_argument(
        "--check",
        type=pathlib.Path,
        help="look over a data folder of ours, ER-NeRF, SyncTalk or TalkingGaussian",
    )
    source.add_argument(
        "--import",
        dest="imported",
        type=pathlib.Path,
        help="make an identity folder of one of ER-NeRF, SyncTalk or TalkingGaussian",
    )
    source.add_argument(
        "--export",
        dest="exported",
        type=pathlib.Path,
        help="write an identity folder as these programs read it",
    )
    parser.add_argument("--json", action="store_true", help="--check for programs")
    parser.add_argument("--out", help="the identity folder to write")
    parser.add_argument("--size", type=int, default=512, help="longest side, pixels")
    parser.add_argument(
        "--crop",
        choices=("auto", "none"),
        default="auto",
        help="a square around head and shoulders, or the whole frame",
    )
    parser.add_argument("--model", help="a FaceLandmarker .task file")
    parser.add_argument(
        "--workers", type=int, help="threads of the segmentation; one per CPU"
    )
    parser.add_argument("--start", type=float, default=0.0, help="seconds")
    parser.add_argument("--end", type=float, help="seconds")
    parser.add_argument("--no-audio", action="store_true", help="prepare without sound")
    parser.add_argument("--png", action="store_true", help="store frames without loss")
    flags = parser.parse_args(arguments)
    if not flags.check and not flags.out:
        parser.error("--out is needed, the folder to write")
    if flags.json and not flags.check:
        parser.error("--json belongs to --check")
    return flags


if __name__ == "__main__":
    sys.exit(main())
