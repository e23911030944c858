"""Ways in which files get corrupted, each a function of (bytes, random numbers)."""

import json
import pathlib
import tempfile
from collections.abc import Callable

import av
import numpy as np

Corruption = Callable[[bytes, np.random.Generator], bytes]

_JSON_VALUES = (None, -1, 1e400, "x", [], {}, True)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The first part of a file."""
    return data[: int(rng.integers(1, max(len(data), 2)))]


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with up to 64 bytes changed, the first kilobyte more often."""
    changed = np.frombuffer(data, np.uint8).copy()
    near = rng.integers(0, min(len(data), 1024), rng.integers(1, 33))
    far = rng.integers(0, len(data), rng.integers(1, 33))
    changed[np.concatenate([near, far])] ^= rng.integers(1, 256, dtype=np.uint8)
    return changed.tobytes()


def empty(data: bytes, rng: np.random.Generator) -> bytes:
    """A file of no bytes."""
    return b""


def text(data: bytes, rng: np.random.Generator) -> bytes:
    """A page of HTML, as downloads that failed leave."""
    return b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 20


def noise(data: bytes, rng: np.random.Generator) -> bytes:
    """Random bytes."""
    return rng.bytes(len(data))


def wrong_value(data: bytes, rng: np.random.Generator) -> bytes:
    """JSON or npz with a value of another type; other files are cut."""
    try:
        tree = json.loads(data)
    except ValueError:
        return _wrong_array(data, rng)
    places = [tree] if isinstance(tree, dict) and tree else []
    for value in tree.values() if isinstance(tree, dict) else ():
        places += [value] if isinstance(value, dict) and value else []
    if not places:
        return b"[1, 2"
    place = places[rng.integers(len(places))]
    key = list(place)[rng.integers(len(place))]
    place[key] = _JSON_VALUES[rng.integers(len(_JSON_VALUES))]
    return json.dumps(tree).encode()


def _wrong_array(data: bytes, rng: np.random.Generator) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.npz")
        path.write_bytes(data)
        try:
            with np.load(path) as stored:
                arrays = dict(stored)
        except Exception:
            return cut(data, rng)
        key = list(arrays)[rng.integers(len(arrays))]
        changes = (
            lambda x: x[..., :-1] if x.ndim else np.zeros(3),
            lambda x: x.astype("U8"),
            lambda x: np.full(x.shape, np.nan),
            lambda x: x[None],
            lambda x: np.zeros(0),
        )
        arrays[key] = changes[rng.integers(len(changes))](arrays[key])
        if rng.random() < 0.2:
            del arrays[key]
        np.savez(path, **arrays)
        return path.read_bytes()


def cut_late(data: bytes, rng: np.random.Generator) -> bytes:
    """All but the last part of a file."""
    return data[: int(rng.integers(len(data) // 2, len(data)))]


def flip_behind(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with up to 64 bytes changed, none in its first part."""
    changed = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(len(data) // 8, len(data), rng.integers(1, 65))
    changed[places] ^= rng.integers(1, 256, dtype=np.uint8)
    return changed.tobytes()


def hole(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with zeros in its middle, as a download of several parts leaves."""
    begin = int(rng.integers(len(data) // 8, len(data)))
    count = min(int(rng.integers(1, 1 + len(data) // 4)), len(data) - begin)
    return data[:begin] + bytes(count) + data[begin + count :]


def index_in_front(video: pathlib.Path, target: pathlib.Path) -> None:
    """Writes a video's streams into an mp4 file whose index comes first."""
    front = {"movflags": "faststart"}
    with av.open(str(video)) as source, av.open(str(target), "w", options=front) as out:
        streams = {one: out.add_stream_from_template(one) for one in source.streams}
        for packet in source.demux():
            if packet.dts is not None:  # the last of a stream is empty
                packet.stream = streams[packet.stream]
                out.mux(packet)


ANY = (cut, cut, flip, flip, empty, text, noise, wrong_value, wrong_value)
# Of a file whose index is in front; most of them leave its first part.
LATE = (*ANY, *6 * (flip_behind,), *3 * (cut_late, hole))
