"""LokiTalk in JAX: talking portraits as neural radiance fields, driven by speech.

    import lokitalk_jax as lokitalk

    lokitalk.prepare("me.mp4", "data/me")
    run = lokitalk.train("single_id", data="data/me", workdir="runs/me")
    avatar = lokitalk.Run("runs/me").avatar()
    avatar.speak("speech.wav").save("speech.mp4")
    avatar.reenact(frames="test").save("me.mp4")
    scores = lokitalk.evaluate(run)

Importing this package is cheap: a name loads what it needs when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lokitalk_jax.api.actions import evaluate, train
    from lokitalk_jax.api.avatar import Avatar, Speech
    from lokitalk_jax.api.prepare import (
        Outcome,
        PrepareOptions,
        prepare,
        prepare_all,
        prepare_speech,
    )
    from lokitalk_jax.api.run import Run
    from lokitalk_jax.avatar.controls import Controls
    from lokitalk_jax.avatar.footage import Footage, Frame
    from lokitalk_jax.avatar.live import LiveAvatar, LiveFrame
    from lokitalk_jax.avatar.live_stream import LiveReport, LiveStream
    from lokitalk_jax.avatar.sources import Sources
    from lokitalk_jax.evaluation.pair import PairOptions, evaluate_pair
    from lokitalk_jax.evaluation.results import Scores
    from lokitalk_jax.evaluation.score import EvaluateOptions
    from lokitalk_jax.evaluation.systems import evaluate_panels, evaluate_systems
    from lokitalk_jax.media.sound_file import Sound, open_sound
    from lokitalk_jax.progress import Bar, Progress

_HOMES = {
    "Avatar": "api.avatar",
    "Bar": "progress",
    "Controls": "avatar.controls",
    "EvaluateOptions": "evaluation.score",
    "Footage": "avatar.footage",
    "Frame": "avatar.footage",
    "LiveAvatar": "avatar.live",
    "LiveFrame": "avatar.live",
    "LiveReport": "avatar.live_stream",
    "LiveStream": "avatar.live_stream",
    "Outcome": "api.prepare",
    "PairOptions": "evaluation.pair",
    "PrepareOptions": "api.prepare",
    "Progress": "progress",
    "Run": "api.run",
    "Scores": "evaluation.results",
    "Sound": "media.sound_file",
    "Sources": "avatar.sources",
    "Speech": "api.avatar",
    "evaluate": "api.actions",
    "evaluate_pair": "evaluation.pair",
    "evaluate_panels": "evaluation.systems",
    "evaluate_systems": "evaluation.systems",
    "open_sound": "media.sound_file",
    "prepare": "api.prepare",
    "prepare_all": "api.prepare",
    "prepare_speech": "api.prepare",
    "train": "api.actions",
}

__all__ = [
    "Avatar",
    "Bar",
    "Controls",
    "EvaluateOptions",
    "Footage",
    "Frame",
    "LiveAvatar",
    "LiveFrame",
    "LiveReport",
    "LiveStream",
    "Outcome",
    "PairOptions",
    "PrepareOptions",
    "Progress",
    "Run",
    "Scores",
    "Sound",
    "Sources",
    "Speech",
    "evaluate",
    "evaluate_pair",
    "evaluate_panels",
    "evaluate_systems",
    "open_sound",
    "prepare",
    "prepare_all",
    "prepare_speech",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
