"""A live avatar at the pace of a clock, predicted and drawn in threads.

    with LiveStream(avatar.live()) as stream:
        microphone.on_sound(stream.feed)
        for frame in stream:
            show(frame.rgb)
            play(frame.samples)

Frames come 25 times a second, each with its sound, whether somebody speaks or not. The
newest frame is drawn; those before it, which would come late, repeat the picture before
them, so sound has no gaps.
"""

import collections
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np

from lokitalk_jax.avatar.live import LiveAvatar, LiveFrame, PendingFrame, View
from lokitalk_jax.avatar.sharpness import Sharpness
from lokitalk_jax.avatar.sound_queue import SoundQueue
from lokitalk_jax.avatar.sources import Sources

_Arrived = tuple[PendingFrame, float]

_TICK = 0.005  # seconds between two looks at the clock
_MOST_FRAMES = 500  # that wait for a reader; the oldest are dropped
_SHARE = 0.1  # of a new value in a running mean


class LiveReport(NamedTuple):
    """How fast a stream is, running means over its frames.

    Attributes:
      latency: seconds from the arrival of a frame's sound to the frame, the sound it
        waits for (`LiveAvatar.latency`) included.
      predicting: seconds of work to predict the motion of a frame.
      drawing: seconds of work of drawing one frame.
      drawn: share of the frames that were drawn.
      size: pixels along the longest side of the last picture.
    """

    latency: float = 0.0
    predicting: float = 0.0
    drawing: float = 0.0
    drawn: float = 1.0
    size: int = 0


class LiveStream:
    """Frames of a live avatar as time passes; see the head of this file.

    Everything that can be set on the avatar may be set while it runs.

    Attributes:
      live: the avatar.
      draws: False repeats the last picture, while nobody can take another.
    """

    def __init__(self, live: LiveAvatar, sizes: Sequence[int] = ()):
        """Joins its parts; `with` starts the threads.

        Args:
          live: the avatar.
          sizes: of the frames, pixels: frames that move take the largest that keeps
            pace, frames that stand still become sharper. Without any, all have the
            avatar's size.
        """
        self.live, self.draws = live, True
        self._means: dict[str, float] = {}
        self._sharpness = Sharpness(sizes) if sizes else None
        self._lock = threading.Lock()  # of the avatar's motion
        self._queue_lock = threading.Lock()
        self._changed = threading.Condition()
        # With the times at which their sound arrived.
        self._undrawn: collections.deque[_Arrived] = collections.deque()
        self._frames: collections.deque[LiveFrame] = collections.deque(
            maxlen=_MOST_FRAMES
        )
        self._error: BaseException | None = None
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._predict, self._draw)
        ]

    def __enter__(self) -> Self:
        """Compiles the programs and starts the clock."""
        self._picture = self.live.prepare()
        self._queue = SoundQueue(time.monotonic())
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads and the iteration."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread() and thread.is_alive():
                thread.join()

    def feed(self, samples: np.ndarray) -> None:
        """Adds samples [S], 16 kHz mono: as they are recorded, or faster.

        Raises:
          ValueError: the samples are not finite floats of one channel.
        """
        with self._queue_lock:
            self._queue.put(samples)

    def shorten(self, seconds: float) -> None:
        """Drops all sound that waits but the last `seconds`."""
        with self._queue_lock:
            self._queue.shorten(seconds)

    def interrupt(self) -> None:
        """Drops the sound that waits: the avatar falls silent."""
        with self._queue_lock:
            self._queue.clear()

    def change(self, sources: Sources, samples: np.ndarray | None = None) -> None:
        """Takes the motion from other sources, see `LiveAvatar.change`.

        Args:
          sources: the sources.
          samples: sound [S] that begins with them; sound that waits is dropped.
        """
        with self._lock:
            self.live.change(sources)
            if samples is not None:
                with self._queue_lock:
                    self._queue.clear()
                    self._queue.put(samples)

    @property
    def waiting(self) -> float:
        """Seconds of sound that wait."""
        return self._queue.waiting

    def __iter__(self) -> Iterator[LiveFrame]:
        """Frames in order, as they are ready, until `close`.

        Raises:
          the error of a thread, whatever its type.
        """
        while True:
            with self._changed:
                while not (self._frames or self._closing.is_set()):
                    self._changed.wait()
                if self._error:
                    raise self._error
                if self._closing.is_set():
                    return
                frame = self._frames.popleft()
            yield frame

    @property
    def report(self) -> LiveReport:
        """How fast the stream is."""
        size = max(self._picture.rgb.shape[:2])
        return LiveReport(size=size)._replace(**self._means)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # raised again where frames are read
            self._error = error
            self._closing.set()
            with self._changed:
                self._changed.notify_all()

    def _predict(self) -> None:
        began = time.monotonic()
        arrivals = collections.deque([began] * self.live.behind)
        while not self._closing.wait(_TICK):
            with self._lock:
                now = time.monotonic()
                with self._queue_lock:
                    blocks = self._queue.take(now)
                arrivals.extend([now] * len(blocks))
                frames = [one for block in blocks for one in self.live.predict(block)]
            if not blocks:
                continue
            self._measure("predicting", (time.monotonic() - now) / len(blocks))
            with self._changed:
                self._undrawn.extend((one, arrivals.popleft()) for one in frames)
                self._changed.notify_all()

    def _draw(self) -> None:
        before = None
        while (pending := self._next()) is not None:
            draws = self.draws
            for one, _ in pending[:-1] if draws else pending:
                self._emit(self._repeated(one))
                self._measure("drawn", 0.0)
            if not draws:
                continue
            newest, arrived = pending[-1]
            view = self.live.view
            still = before is not None and _same(before, (newest, view))
            if self._sharpness:
                view_now = self.live.resized(view, self._sharpness.size(still))
            else:
                view_now = view
            size = max(view_now.avatar.record.camera.shape)
            if still and size == max(self._picture.rgb.shape[:2]):
                self._emit(self._repeated(newest))
            else:
                began = time.monotonic()
                self._picture = self.live.draw(newest, view_now)
                seconds = time.monotonic() - began
                if self._sharpness:
                    self._sharpness.took(size, seconds)
                self._measure("drawing", seconds)
                self._emit(self._picture)
            self._measure("drawn", 1.0)
            self._measure("latency", time.monotonic() - arrived)
            before = newest, view

    def _next(self) -> list[_Arrived] | None:
        """Waits for frames to draw; None at the end."""
        with self._changed:
            while not (self._undrawn or self._closing.is_set()):
                self._changed.wait()
            if self._closing.is_set():
                return None
            pending = list(self._undrawn)
            self._undrawn.clear()
            return pending

    def _repeated(self, frame: PendingFrame) -> LiveFrame:
        return self._picture._replace(
            time=frame.time, samples=frame.samples, fresh=False
        )

    def _emit(self, frame: LiveFrame) -> None:
        with self._changed:
            self._frames.append(frame)
            self._changed.notify_all()

    def _measure(self, name: str, value: float) -> None:
        before = self._means.get(name, value)
        self._means[name] = before + _SHARE * (value - before)


def _same(one: tuple[PendingFrame, View], other: tuple[PendingFrame, View]) -> bool:
    """Whether two frames show the same."""
    if one[1] is not other[1]:
        return False
    first, second = (
        np.concatenate([np.ravel(x.motion.head_to_camera), *x.motion.signals])
        for x in (one[0], other[0])
    )
    return np.array_equal(first, second)
