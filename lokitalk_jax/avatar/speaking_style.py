"""The voice of a run in an identity's manner of speaking, or in that of another."""

from lokitalk_jax.avatar import drivers
from lokitalk_jax.avatar.drivers import Speaker
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.speech import manner, spoken_clip
from lokitalk_jax.speech import voice as voices
from lokitalk_jax.speech.voice import Voice

OWN, NEUTRAL = "own", "neutral"


def styled_voice(run: OpenRun, speaker: Speaker, style: str = OWN) -> Voice:
    """The voice that drives an identity.

    Args:
      run: the run.
      speaker: the identity.
      style: "own", measured on the identity's clip; "neutral", that of people in
        general; an identity of the run, or the path of an identity folder, whose
        manner it is.

    Raises:
      ValueError: the style is none of these.
    """
    voice = voices.of_run(run.workdir, run.lip_basis)
    model = speaker
    if style not in (OWN, NEUTRAL):
        model = drivers.load_speaker(run, style, "style", (OWN, NEUTRAL))
    found = manner.neutral(voice)
    if style != NEUTRAL:
        clip = spoken_clip.of_record(model.record)
        found = manner.measured(voice, clip, lip_scale=_lip_scale(model))
    return manner.in_style(voice, found, _lip_scale(speaker))


def _lip_scale(speaker: Speaker) -> float:
    return float(speaker.fitted.lip_scale[speaker.fitted.index(speaker.record.name)])
