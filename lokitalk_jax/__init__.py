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

# Names by the module that they are in.
_HOMES = {
    "api.actions": "evaluate train",
    "api.avatar": "Avatar Speech",
    "api.prepare": "Outcome PrepareOptions prepare prepare_all prepare_speech",
    "api.run": "Run",
    "avatar.controls": "Controls",
    "avatar.footage": "Footage Frame",
    "avatar.live": "LiveAvatar LiveFrame",
    "avatar.live_stream": "LiveReport LiveStream",
    "avatar.sources": "Sources",
    "evaluation.pair": "PairOptions evaluate_pair",
    "evaluation.results": "Scores",
    "evaluation.score": "EvaluateOptions",
    "evaluation.systems": "evaluate_panels evaluate_systems",
    "media.sound_file": "Sound open_sound",
    "progress": "Bar Progress",
}
_MODULES = {name: home for home, names in _HOMES.items() for name in names.split()}
__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:  # the same for type checkers
    from lokitalk_jax.api.actions import evaluate as evaluate
    from lokitalk_jax.api.actions import train as train
    from lokitalk_jax.api.avatar import Avatar as Avatar
    from lokitalk_jax.api.avatar import Speech as Speech
    from lokitalk_jax.api.prepare import Outcome as Outcome
    from lokitalk_jax.api.prepare import PrepareOptions as PrepareOptions
    from lokitalk_jax.api.prepare import prepare as prepare
    from lokitalk_jax.api.prepare import prepare_all as prepare_all
    from lokitalk_jax.api.prepare import prepare_speech as prepare_speech
    from lokitalk_jax.api.run import Run as Run
    from lokitalk_jax.avatar.controls import Controls as Controls
    from lokitalk_jax.avatar.footage import Footage as Footage
    from lokitalk_jax.avatar.footage import Frame as Frame
    from lokitalk_jax.avatar.live import LiveAvatar as LiveAvatar
    from lokitalk_jax.avatar.live import LiveFrame as LiveFrame
    from lokitalk_jax.avatar.live_stream import LiveReport as LiveReport
    from lokitalk_jax.avatar.live_stream import LiveStream as LiveStream
    from lokitalk_jax.avatar.sources import Sources as Sources
    from lokitalk_jax.evaluation.pair import PairOptions as PairOptions
    from lokitalk_jax.evaluation.pair import evaluate_pair as evaluate_pair
    from lokitalk_jax.evaluation.results import Scores as Scores
    from lokitalk_jax.evaluation.score import EvaluateOptions as EvaluateOptions
    from lokitalk_jax.evaluation.systems import evaluate_panels as evaluate_panels
    from lokitalk_jax.evaluation.systems import evaluate_systems as evaluate_systems
    from lokitalk_jax.media.sound_file import Sound as Sound
    from lokitalk_jax.media.sound_file import open_sound as open_sound
    from lokitalk_jax.progress import Bar as Bar
    from lokitalk_jax.progress import Progress as Progress


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
