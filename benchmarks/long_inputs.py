"""Peak memory of a long clip in preparation, and of long speech in rendering.

    python -m benchmarks.long_inputs prepare --video=me.mp4 --minutes=10
    python -m benchmarks.long_inputs speak --workdir=runs/me --audio=me.wav --minutes=60

The clip is played forwards and backwards until it is long enough, and its sound is
repeated. Frames of the same bytes are searched for a face, and divided into head and
torso, once: MediaPipe holds one frame at a time, and most of the CPU time is its own.
Prints the resident size after each stage, or each minute of speech, as JSON lines;
Linux only.
"""

import argparse
import contextlib
import functools
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from unittest import mock

import imageio_ffmpeg
import numpy as np

import lokitalk_jax as lokitalk
from lokitalk_jax import structs
from lokitalk_jax.preparation import faces, head_labels, person_mask


def report(**facts: object) -> None:
    """Prints them with the resident size now and at its peak, and the CPU time."""
    status = pathlib.Path("/proc/self/status").read_text()
    now, peak = (
        int(re.findall(rf"{name}:\s+(\d+)", status)[0]) * 1024 // 10**6
        for name in ("VmRSS", "VmHWM")
    )
    more = {"now_mb": now, "peak_mb": peak, "cpu_s": round(time.process_time())}
    print(json.dumps(facts | more), flush=True)


def repeated_sound(source: pathlib.Path, seconds: float, target: pathlib.Path) -> None:
    """Writes a WAV file again and again into another one, 16 bits."""
    with wave.open(str(source)) as sound, wave.open(str(target), "w") as out:
        out.setparams(sound.getparams())
        piece = sound.readframes(sound.getnframes())
        for _ in range(-(-int(seconds * sound.getframerate()) // sound.getnframes())):
            out.writeframes(piece)


def repeated_clip(source: pathlib.Path, seconds: float, target: pathlib.Path) -> None:
    """Writes a clip forwards and backwards, again and again, with its sound."""
    run = functools.partial(_ffmpeg, target.parent)
    coded = ("-r", structs.FPS, "-crf", 12, "-c:a", "pcm_s16le")
    run("-i", source.resolve(), *coded, "once.mkv")
    both = "[0:v]split[a][b];[b]reverse[c];[a][c]concat[v];[0:a]aloop=1:2147483647[s]"
    both = ("-filter_complex", both, "-map", "[v]", "-map", "[s]", "-shortest")
    run("-i", "once.mkv", *both, *coded, "twice.mkv")
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(target.parent / "twice.mkv"))
    times = -(-int(seconds * structs.FPS) // int(frames or 1))
    (target.parent / "list.txt").write_text("file twice.mkv\n" * times)
    run("-f", "concat", "-i", "list.txt", "-c", "copy", "-t", seconds, target.name)


def _ffmpeg(folder: pathlib.Path, *words: object) -> None:
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    subprocess.run([*program, *map(str, words)], check=True, cwd=folder)


def once_for_each(function: Callable) -> Callable:
    """A function of arrays that computes the result for the same bytes once."""
    known = {}

    def found(*arguments):
        arrays = [one for one in arguments if isinstance(one, np.ndarray)]
        key = hashlib.sha1(b"".join(one.tobytes() for one in arrays)).digest()
        if key not in known:
            known[key] = function(*arguments)
        return known[key]

    return found


@contextlib.contextmanager
def mediapipe_once() -> Iterator[None]:
    """Frames of the same bytes are searched, masked and labelled once.

    The package has no such cache, as frames of a real clip differ; so its functions are
    replaced for the time of the measurement.
    """
    with contextlib.ExitStack() as stack:
        for place, name in (
            (faces.FaceDetector, "detect"),
            (person_mask.PersonSegmenter, "segment"),
            (head_labels, "label_regions"),
        ):
            changed = once_for_each(getattr(place, name))
            stack.enter_context(mock.patch.object(place, name, changed))
        yield


def prepare(video: pathlib.Path, minutes: float, size: int) -> None:
    """Prepares a clip that lasts some minutes."""
    with tempfile.TemporaryDirectory() as name, mediapipe_once():
        clip, folder = pathlib.Path(name, "clip.mkv"), pathlib.Path(name, "clip")
        repeated_clip(video, 60 * minutes, clip)
        stages = []

        def progress(stage: str, *_) -> None:
            if stage not in stages[-1:]:
                if stages:
                    report(minutes=minutes, after=stages[-1])
                stages.append(stage)

        options = lokitalk.PrepareOptions(size=size)
        identity = lokitalk.prepare(clip, folder, options, progress=progress)
        frames = identity.meta.frame_count
        report(minutes=minutes, after="sound and lips", frames=frames)


def speak(workdir: pathlib.Path, audio: pathlib.Path, minutes: float, fps: int) -> None:
    """Renders speech that lasts some minutes into a video."""
    with tempfile.TemporaryDirectory() as name:
        sound, film = pathlib.Path(name, "said.wav"), pathlib.Path(name, "film.mp4")
        repeated_sound(audio, 60 * minutes, sound)
        speech = lokitalk.Run(workdir).avatar().speak(sound)
        report(minutes=0, after="opening", frames=len(speech))

        def progress(stage: str, done: int, *_) -> None:
            if done and done % (60 * fps) == 0:
                report(minutes=done // (60 * fps), after=stage)

        speech.save(film, fps=fps, progress=progress)
        report(minutes=minutes, after="the end")


def main() -> int:
    """Measures one of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("prepare")
    one.add_argument("--video", type=pathlib.Path, required=True, help="of a person")
    one.add_argument("--size", type=int, default=64)
    two = commands.add_parser("speak")
    two.add_argument("--workdir", type=pathlib.Path, required=True, help="of a run")
    two.add_argument("--audio", type=pathlib.Path, required=True, help="a WAV file")
    two.add_argument("--fps", type=int, default=structs.FPS, help="pictures a second")
    for each in (one, two):
        each.add_argument("--minutes", type=float, required=True)
    flags = parser.parse_args()
    if flags.command == "prepare":
        prepare(flags.video, flags.minutes, flags.size)
    else:
        speak(flags.workdir, flags.audio, flags.minutes, flags.fps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
