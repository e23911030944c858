"""Does an avatar that another identity drives keep its face, and do its lips follow?

    python -m benchmarks.cross_reenactment --workdir=runs/six --out=runs/swap

Lips, eyes and head of every identity of a run are driven by every other one. Two things
are measured on the rendered frames. Does the face stay the same: the identity whose
mean face, turned to the front and without background, is nearest in colour. Do the lips
follow: the correlation of the mouth's opening, by a face detector, with that in the
driver's video. For comparison: the driver's own re-enactment (an upper limit), a still
mouth, and the rendered mouth against the driver's frames in another order.
"""

import pathlib

import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks import held_out_scores, mean_faces, mouth, reports
from lokitalk_jax import process
from lokitalk_jax.avatar import backdrop, frame_stream, motion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.media import image_file, image_grid


class Subject:
    """An identity of a run: its avatar, its clip, its mean face.

    Attributes:
      frames: numbers of the frames that drive others.
      openings: of the mouth in these frames of the clip.
    """

    def __init__(self, run: OpenRun, name: str, count: int):
        """Reads the clip.

        Args:
          run: the run.
          name: of the identity.
          count: frames of the clip that drive others, evenly spread.
        """
        self.name, self.avatar = name, run.avatar(name)
        record = self.avatar.record
        data = held_out_scores.open_clip(run, record)
        self._data = data
        self._plate = backdrop.find("plate", record)
        self.frames = range(0, record.frame_count, -(-record.frame_count // count))
        self.openings = mouth.openings(data.frames[i] for i in self.frames)
        self.mean_face = mean_faces.mean_face(data)

    def render(self, moved: motion.Motion, known: dict[str, np.ndarray]):
        """Renders a motion.

        Returns:
          openings of the mouth [F]; the share of frames whose nearest mean face is that
          of this identity; and the middle frame.
        """
        pictures, kept = [], []
        frames = frame_stream.render(self.avatar.renderer, moved.frames(), self._plate)
        for pose, maps in zip(moved.head_to_camera, frames, strict=True):
            rgb = np.clip(np.asarray(maps.rgb), 0, 1)
            pictures.append(image_grid.to_uint8(rgb))
            seen = mean_faces.face(self._data, rgb, np.asarray(maps.alpha), pose)
            kept.append(mean_faces.nearest(seen, known) == self.name)
        openings = mouth.openings(pictures)
        return openings, float(np.mean(kept)), pictures[len(pictures) // 2]


def measure(subject: Subject, driver: Subject, known: dict[str, np.ndarray]):
    """Scores of one pair, and a frame of it; `driver` may be `subject`."""
    record = subject.avatar.record
    if subject is driver:
        moved = motion.tracked(record, driver.frames)
    else:
        part = driver.avatar.record, driver.frames
        drivers = dict.fromkeys(("lip", "eye", "head"), part)
        moved = motion.swap(record, driver.frames, drivers, len(driver.frames))
    openings, kept, middle = subject.render(moved, known)
    still, *_ = subject.render(motion.hold(moved, record, ["lip"]), known)
    shuffled = np.random.default_rng(0).permutation(driver.openings)
    return {
        "identity": subject.name,
        "driver": driver.name,
        "nearest_face_is_own": kept,
        "lip_correlation": mouth.correlation(openings, driver.openings),
        "still_mouth_correlation": mouth.correlation(still, driver.openings),
        "shuffled_correlation": mouth.correlation(openings, shuffled),
        "faces": int(np.isfinite(openings).sum()),
        "frames": len(openings),
    }, middle


def shares(rows: list[dict]) -> list[float]:
    """Lip correlation of each row as a share of that of the driver's re-enactment."""
    reenacted = {
        r["driver"]: r["lip_correlation"] for r in rows if r["identity"] == r["driver"]
    }
    return [r["lip_correlation"] / max(reenacted[r["driver"]], 1e-6) for r in rows]


def table(rows: list[dict]) -> str:
    """Markdown, a row for each ordered pair, and a line for the pairs of two."""
    heads = ["identity", "driver", "nearest face is its own", "lip correlation"]
    heads += ["share of re-enactment", "still mouth", "other order", "faces found"]
    of_reenactment = shares(rows)
    body = [
        [r["identity"], r["driver"], f"{r['nearest_face_is_own']:.2f}"]
        + [f"{r['lip_correlation']:.2f}", f"{share:.2f}"]
        + [f"{r['still_mouth_correlation']:.2f}", f"{r['shuffled_correlation']:.2f}"]
        + [f"{r['faces']}/{r['frames']}"]
        for r, share in zip(rows, of_reenactment, strict=True)
    ]
    two = [i for i, r in enumerate(rows) if r["identity"] != r["driver"]]
    found = np.median([rows[i]["lip_correlation"] for i in two])
    share = min(of_reenactment[i] for i in two)
    kept = min(rows[i]["nearest_face_is_own"] for i in two)
    return reports.markdown(heads, body) + (
        f"\nMedian correlation {found:.2f}; least share of re-enactment {share:.2f}; "
        f"least share of frames with the avatar's face {kept:.2f}.\n"
    )


def main(_) -> None:
    """Measures all pairs."""
    run, out = OpenRun(pathlib.Path(_WORKDIR.value)), pathlib.Path(_OUT.value)
    subjects = [Subject(run, name, _FRAMES.value) for name in run.identities]
    known = {subject.name: subject.mean_face for subject in subjects}
    rows, grid = [], []
    for subject in tqdm(subjects, "re-enacting", unit="identity"):
        found = [measure(subject, driver, known) for driver in subjects]
        rows += [row for row, _ in found]
        grid.append(np.concatenate([middle for _, middle in found], axis=1))
    reports.write_json(out / "swap.json", rows)
    reports.write(out / "swap.md", table(rows))
    image_file.write(out / "swap.png", reports.stacked(grid))


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", None, "A run of several identities.")
    _OUT = flags.DEFINE_string("out", "runs/swap", "Scores, table, picture.")
    _FRAMES = flags.DEFINE_integer("frames", 50, "Of each driver, evenly spread.")
    flags.mark_flag_as_required("workdir")
    process.start()
    app.run(main)
