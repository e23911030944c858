"""An avatar of LokiTalk in LiveTalking, https://github.com/lipku/LiveTalking.

LiveTalking connects speech synthesisers and language models to an avatar, and sends
its pictures by WebRTC, by RTMP, or as a virtual camera.

1. Copy this file to `avatars/lokitalk_avatar.py` of LiveTalking, and a run of one
   identity to `data/avatars/me`.
2. In `app.py`, add the module to `_avatar_modules`, and open the avatar where those of
   the other models are opened:

       'lokitalk': 'avatars.lokitalk_avatar',

       elif opt.model == 'lokitalk':
           global_avatars[opt.avatar_id] = load_avatar(opt.avatar_id)
           warm_up(opt.batch_size, global_avatars[opt.avatar_id])

3. python app.py --model lokitalk --avatar_id me --batch_size 4

It follows the classes `BaseAvatar` and `BaseASR` of LiveTalking as of July 2026. It was
tested with a stand-in for them, not in LiveTalking itself.
"""

import collections

import numpy as np
from avatars.audio_features.base_asr import BaseASR
from avatars.base_avatar import AudioFrameData, BaseAvatar
from registry import register

import lokitalk_jax as lokitalk
from lokitalk_jax.avatar.live import LiveAvatar, PendingFrame

_SPEECH, _SILENCE = 0, 1  # types of sound in LiveTalking; larger ones are its own clips


def load_model() -> None:
    """There is no model apart from the avatar."""


def load_avatar(avatar_id: str) -> lokitalk.Avatar:
    """Opens the run `data/avatars/AVATAR_ID`."""
    return lokitalk.Run(f"data/avatars/{avatar_id}").avatar()


def warm_up(batch_size: int, avatar: lokitalk.Avatar) -> None:
    """Compiles the programs before somebody waits for them."""
    del batch_size
    avatar.live().prepare()


class Motion(BaseASR):
    """Turns sound into the motion of frames; LiveTalking calls `run_step` in a loop.

    Attributes:
      speaking: whether the last sound was speech.
    """

    def __init__(self, opt, parent: BaseAvatar, live: LiveAvatar):
        """Drives an avatar."""
        super().__init__(opt, parent)
        self.speaking = False
        self._live = live
        quiet = np.zeros(self.chunk, np.float32)
        # `prepare` has left silence before the first frames.
        self._sound = collections.deque(
            AudioFrameData(quiet) for _ in range(2 * live.behind)
        )
        self._frames: list[PendingFrame] = []

    def run_step(self) -> None:
        """Takes the sound of a batch; hands over a batch when its motion is known."""
        taken = [self.get_audio_frame() for _ in range(2 * self.batch_size)]
        self.speaking = any(one.type == _SPEECH for one in taken)
        for one in taken:
            # LiveTalking draws no frames of silence; an avatar breathes and blinks.
            one.type = _SPEECH if one.type == _SILENCE else one.type
        self._sound.extend(taken)
        samples = np.concatenate([one.data for one in taken])
        self._frames += self._live.predict(samples)
        # A frame waits for the sound after it, and its own sound waits with it.
        if len(self._frames) >= self.batch_size:
            batch = self._frames[: self.batch_size]
            del self._frames[: self.batch_size]
            for _ in range(2 * self.batch_size):
                self.output_queue.put(self._sound.popleft())
            self.feat_queue.put(batch)


@register("avatar", "lokitalk")
class LokiTalkAvatar(BaseAvatar):
    """One session."""

    def __init__(self, opt, model: None, avatar: lokitalk.Avatar):
        """Opens a live avatar.

        Args:
          opt: options of LiveTalking.
          model: see `load_model`.
          avatar: of `load_avatar`.
        """
        super().__init__(opt)
        self._live = avatar.live()
        # Shown while LiveTalking plays a clip of its own without pictures.
        self.frame_list_cycle = [_bgr(self._live.prepare().rgb)]
        self.asr = Motion(opt, self, self._live)

    def is_speaking(self) -> bool:
        """Whether speech arrives."""
        return self.asr.speaking

    def inference_batch(self, index: int, audiofeat_batch: list[PendingFrame]):
        """Pictures [H, W, 3] of a batch, blue first."""
        del index
        view = self._live.view
        return [_bgr(self._live.draw(one, view).rgb) for one in audiofeat_batch]

    def paste_back_frame(self, pred_frame: np.ndarray, idx: int) -> np.ndarray:
        """A picture is whole already."""
        del idx
        return pred_frame


def _bgr(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgb[..., ::-1])
