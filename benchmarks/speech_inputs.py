"""Which features of speech predict lips: encoder, layer, window, look-ahead, language.

    python -m benchmarks.speech_inputs --data=data/dev --names=a,b,c,d,e,f
        --advance=a:40,f:40 --corpus=data/speech,data/people --cache=runs/speech_cache
        --weights=tiny.en:model.bin,base:base.bin --curves=data/speech/facegood

A voice for each encoder (a file of `whisper_weights.read`) and layer, and for each
window, learns from the corpora alone and predicts the lips of identities, with all of
their sound known; look-aheads are those of a stream, by the voice of the second layer
and the usual window. The first of --weights must be the product's: layers, windows and
look-aheads are of it, and of the others the second layer alone. --curves: recordings
with blendshapes instead of landmarks (`blendshapes` [F, 116], `fps`), whose curve of
the opening mouth is compared with the predicted opening. A JSON line each, with the
correlations of `benchmarks.lips_from_speech`.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks import lip_distances, lips_from_speech, reports, speech_clips
from benchmarks.speech_clips import Clip, Taught
from lokitalk_jax import process
from lokitalk_jax.media import sound_file
from lokitalk_jax.speech import (
    audio2motion,
    spoken_clip,
    whisper,
    whisper_weights,
)
from lokitalk_jax.speech.audio2motion import Spec
from lokitalk_jax.speech.voice import Voice

_LAYERS = 1, 2, 3
_WINDOWS = (0, 0), (6, 4), (20, 12), (30, 20)  # rows before and after; and the usual
_LOOK_AHEADS = 0.04, 0.08, 0.12, 0.2
# Column of the curve of the opening mouth: the largest, and by its neighbours (pairs of
# equal left and right ones) the one named mouth_stretch_c, as names are off by one.
_OPENING = 74


def layer_rows(
    params: Mapping[str, Any], clips: Sequence[Clip], cache: pathlib.Path, kind: str
) -> dict[str, np.ndarray]:
    """Feature rows of clips by name, see `spoken_clip.rows`, by an encoder `params`."""
    found = {}
    for clip in clips:
        spoken = clip.spoken
        key = f"{kind} {spoken.advance:g}"
        path = speech_clips.kept(cache, key, spoken.audio, "npy")
        if not path.is_file():
            sound = spoken_clip.samples(spoken)
            rows = whisper.features(dict(params), sound)
            rows = rows.repeat(audio2motion.RATE // whisper.RATE, axis=0)
            rows = spoken_clip.with_loudness(rows, sound)
            np.save(path, rows.astype(np.float16))
        found[clip.name] = np.load(path).astype(np.float32)
    return found


def measured(
    one: Voice, clips: Sequence[Clip], rows: Mapping, look_ahead: float = 0.0
) -> dict[str, Any]:
    """Correlations of the clips' lips by a voice, and their mean with its interval."""
    found = [
        speech_clips.score(one, clip, rows[clip.name], look_ahead) for clip in clips
    ]
    total = speech_clips.summary(found)
    keys = "correlation", "correlation_ci95", "concordance"
    by_clip = {row["clip"]: row["correlation"] for row in found}
    return {key: total[key] for key in keys if key in total} | {"by_clip": by_clip}


def of_curves(one: Voice, folder: pathlib.Path, like: Clip) -> dict[str, Any]:
    """Correlation of the predicted opening with curves, mean over recordings.

    Args:
      one: a voice.
      folder: of the recordings.
      like: a clip whose lips at rest the predicted ones start from.
    """
    _, fitted = speech_clips.in_basis(like, one.lip_basis)
    found = []
    for path in sorted(folder.glob("*.npz")):
        sound_path = path.with_suffix(".flac")
        sound = np.concatenate(list(sound_file.open_sound(sound_path).read()))
        with np.load(path) as stored:
            curve, fps = stored["blendshapes"][:, _OPENING], float(stored["fps"])
        rows = whisper.features(whisper_weights.load(), sound)
        rows = rows.repeat(audio2motion.RATE // whisper.RATE, axis=0)
        times = np.arange(len(curve)) * audio2motion.RATE / fps
        seen = audio2motion.windows(one.spec, rows, times)
        lips = audio2motion.apply(one.params, seen)
        opening = speech_clips.distances_of(np.asarray(lips), fitted)[:, :1]
        found.append(float(lip_distances.correlation(opening, curve[:, None])[0]))
    return {"correlation": round(float(np.mean(found)), 3), "recordings": len(found)}


def main(_) -> None:
    """Measures, and writes the scores."""
    data, cache = pathlib.Path(_DATA.value), pathlib.Path(_CACHE.value)
    late = {k: float(v) / 1000 for k, v in (one.split(":") for one in _ADVANCE.value)}
    clips = [
        speech_clips.open_folder(data / name, late.get(name, 0.0))
        for name in _NAMES.value
    ]
    opened = sum((speech_clips.open_corpus(one, cache) for one in _CORPUS.value), [])
    corpus = lips_from_speech.apart(opened, _NAMES.value)
    basis = speech_clips.shared_basis(corpus)

    def trained(spec: Spec, rows: Mapping[str, np.ndarray]) -> Voice:
        lessons: dict[str, Taught] = speech_clips.taught(corpus, rows, basis)
        return speech_clips.train(spec, [*lessons.values()], basis)

    lines = []

    def write(**line: Any) -> None:
        lines.append(line)
        print(json.dumps(line), flush=True)
        reports.write_json(pathlib.Path(_OUT.value), lines)

    usual: tuple[Spec, dict] | None = None
    for place, (name, path) in enumerate(one.split(":", 1) for one in _WEIGHTS.value):
        for layer in (whisper_weights.LAYERS,) if place else _LAYERS:
            params = whisper_weights.read(path, layer)
            kind = f"whisper {name} {layer}"
            rows = layer_rows(params, [*clips, *corpus], cache, kind)
            width = params["positions"].shape[1]
            spec = Spec(hears="whisper", inputs=width, lip_dim=len(basis))
            found = measured(trained(spec, rows), clips, rows)
            write(encoder=name, layer=layer, window_ms="-120 to 80", **found)
            if not place and layer == whisper_weights.LAYERS:
                usual = spec, rows
    if usual is None:
        return
    spec, rows = usual
    for back, ahead in _WINDOWS:
        one = trained(spec._replace(back=back, ahead=ahead), rows)
        window = f"{-10 * back} to {10 * ahead}"
        write(window_ms=window, **measured(one, clips, rows))
    one = trained(spec, rows)
    for look_ahead in _LOOK_AHEADS:
        write(look_ahead_ms=1000 * look_ahead, **measured(one, clips, rows, look_ahead))
    if _CURVES.value:
        folder = pathlib.Path(_CURVES.value)
        write(curves=folder.name, **of_curves(one, folder, clips[0]))


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _NAMES = flags.DEFINE_list("names", [], "Of the identities.")
    _CORPUS = flags.DEFINE_list("corpus", [], "Folders of speech corpora.")
    _ADVANCE = flags.DEFINE_list(
        "advance", [], "NAME:MS, identities whose sound is so much late."
    )
    _WEIGHTS = flags.DEFINE_list("weights", [], "NAME:FILE, encoders.")
    _CURVES = flags.DEFINE_string("curves", "", "Folder of recordings with curves.")
    _CACHE = flags.DEFINE_string("cache", None, "Folder that keeps tracks and rows.")
    _OUT = flags.DEFINE_string("out", "runs/speech_inputs.json", "Of the scores.")
    flags.mark_flags_as_required(["data", "cache"])
    process.start()
    app.run(main)
