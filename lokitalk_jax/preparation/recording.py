"""A recording of speech without pictures: landmarks and sound of a video.

This is all that Audio2Motion learns from, and a twentieth of the work and of the space
of an identity folder; see `training.speech_corpus` for the files.
"""

import os
import pathlib

import numpy as np

from lokitalk_jax import face_mesh, files, structs
from lokitalk_jax.media import clip_sound
from lokitalk_jax.preparation import (
    face_identity,
    face_model,
    faces,
    source_sound,
    source_video,
    stretch,
    survey,
    timeline,
)
from lokitalk_jax.preparation.options import Options
from lokitalk_jax.preparation.source_video import Clip

MIN_SECONDS = 2.0  # with a face
_SIZE = 1024  # longest side of the copy that is searched, pixels
_CLOSEST = 0.03  # seconds from one searched frame to the next


def record(
    source: str | os.PathLike,
    out: str | os.PathLike,
    options: Options = Options(),  # noqa: B008 (immutable)
    model: str | os.PathLike | None = None,
) -> pathlib.Path:
    """Writes landmarks and sound of a video, the longest stretch that can be used.

    Args:
      source: a video of one person.
      out: the .npz file to write; the .wav file has the same name.
      options: start, end, audio track and person.
      model: a FaceLandmarker model; None searches for it, see `face_model.find`.

    Returns:
      `out`; a file that exists is complete and left alone.

    Raises:
      ValueError: the video cannot be used, or has no sound.
      OSError: a file could not be written.
    """
    out = pathlib.Path(out)
    if out.is_file():
        return out
    clip = source_video.probe(source)
    if not clip.has_audio:
        raise ValueError(
            f"{clip.path.name} has no audio stream, and Audio2Motion learns from "
            "sound; give a video with sound"
        )
    sound = source_sound.find(clip, options.audio_track)
    with faces.FaceDetector(face_model.find(model)) as detector:
        found = survey.look(
            clip,
            detector.detect,
            options.start,
            options.end,
            person=options.person,
        )
        found, start, end = stretch.trim(found, options.start, options.end)
        survey.check(clip, found, start, MIN_SECONDS)
        expected = np.median(found.known_boxes, axis=0)
        seen = _search(clip, start, end, detector, expected)
    times, landmarks, size = seen
    seconds = times[-1] - times[0] + timeline.spacing(times)
    faceless = np.isnan(landmarks[:, 0, 0]).mean()
    survey.check_faces(clip.path.name, faceless, seconds, MIN_SECONDS)
    count = round(seconds * structs.AUDIO_RATE)
    clip_sound.write(
        out.with_suffix(".wav"), source_sound.read(clip, sound, times[0], count)
    )
    with files.replacing(out) as temporary:
        np.savez_compressed(
            temporary,
            landmarks=landmarks,
            timestamps=times,
            width=np.int32(size[0]),
            height=np.int32(size[1]),
        )
    return out


def _search(
    clip: Clip,
    start: float,
    end: float | None,
    detector: faces.FaceDetector,
    expected: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Landmarks of the person in the frames of a stretch.

    Args:
      clip: the video.
      start, end: seconds; an end of None is the video's.
      detector: of faces.
      expected: [4], the person's usual box, pixels of the upright frame.

    Returns:
      times [F], seconds; landmarks float32 [F, 478, 3], NaN where the person is not
      seen; and width and height of the picture that they are in.
    """
    times, seen, size = [], [], (clip.width, clip.height)
    for time, frame in source_video.decode(clip, start, end):
        if times and time < times[-1] + _CLOSEST:
            continue
        rgb = source_video.upright(clip, frame, _SIZE)
        size = rgb.shape[1], rgb.shape[0]
        times.append(time)
        seen.append([face_identity.candidate(rgb, f) for f in detector.detect(rgb)])
    scale = size[0] / clip.width
    landmarks = np.full((len(times), face_mesh.LANDMARK_COUNT, 3), np.nan, np.float32)
    for i, which in enumerate(face_identity.choose(seen, expected * scale)):
        if which is not None:
            landmarks[i] = seen[i][which].landmarks
    return np.array(times), landmarks, size
