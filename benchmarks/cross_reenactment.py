"""Does an avatar that another identity drives keep its face, and do its lips follow?

    python -m benchmarks.cross_reenactment --workdir=runs/six --out=runs/swap

Lips, eyes and head of every identity of a run are driven by every other one. Two things
are measured on the rendered frames. Does the face stay the same: the identity whose
mean face, turned to the front and without background, is nearest in colour. Do the lips
follow: the correlation of the mouth's opening, by a face detector, with that in the
driver's video. For comparison: the driver's own re-enactment (an upper limit), a still
mouth, and the rendered mouth against the driver's frames in another order.
"""

import json
import pathlib

import numpy as np
from absl import app, flags
from tqdm import tqdm

from lokitalk_jax import files, process
from lokitalk_jax.avatar import backdrop, motion, video_file
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.data import folder, references
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.media import image_file, image_grid
from lokitalk_jax.prepare import face_model, faces

_UPPER_LIP, _LOWER_LIP, _FOREHEAD, _CHIN = 13, 14, 10, 152  # points of the face mesh
# What is compared of a face: a square from the brows to the chin, metres.
_FACE = references.ReferenceSpec(count=0, size=48, square=(-0.07, -0.06, 0.14))


def opening(detector: faces.FaceDetector, rgb: np.ndarray) -> float:
    """Distance of the inner lips as a share of the face's height; NaN without a face.

    Args:
      detector: sees frames in order.
      rgb: uint8 [H, W, 3].
    """
    found = detector.detect(rgb)
    if not found:
        return np.nan
    points = found[0][:, :2]
    height = np.linalg.norm(points[_CHIN] - points[_FOREHEAD])
    return float(np.linalg.norm(points[_LOWER_LIP] - points[_UPPER_LIP]) / height)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, over the frames in which both have a face; 0 where one is constant."""
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 3 or min(np.std(a), np.std(b)) < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def nearest(face: np.ndarray, mean_faces: dict[str, np.ndarray]) -> str:
    """Whose mean face [E, E, 4] is nearest in colour where both are seen."""

    def distance(other: np.ndarray) -> float:
        seen = (face[..., 3] > 0.5) & (other[..., 3] > 0.5)
        if not seen.any():
            return np.inf
        return float(np.mean((face[seen] - other[seen])[:, :3] ** 2))

    return min(mean_faces, key=lambda name: distance(mean_faces[name]))


class Person:
    """One person of a run: their true frames, and how they are rendered."""

    def __init__(self, run: Run, name: str, count: int):
        """Reads the clip.

        Args:
          run: the run.
          name: the person's.
          count: frames of the clip that drive, evenly spread.
        """
        self.avatar = run.avatar(name)
        record = self.avatar.record
        self.data = Dataset.open(
            folder.IdentityFolder(record.source), run.config.data.size
        )
        self.frames = range(0, record.frame_count, -(-record.frame_count // count))
        self.plate = backdrop.find("plate", record)
        some = references.spread(record.train_frames, 8)
        poses = self.data.tracks.head_to_camera
        self.mean_face = np.mean(
            [
                references.project(
                    *self.data.frame(i)[:2],
                    self.data.camera.intrinsics,
                    poses[i],
                    _FACE,
                )
                for i in some
            ],
            axis=0,
        )

    def spoken(self) -> np.ndarray:
        """Openings of the mouth in the true frames that drive."""
        with faces.FaceDetector(face_model.find()) as detector:
            return np.array(
                [opening(detector, self.data.frames[i]) for i in self.frames]
            )

    def render(self, moved: motion.Motion, mean_faces: dict):
        """Renders a motion.

        Returns:
          openings of the mouth [F], the share of frames whose nearest face is this
          person's, and the middle frame.
        """
        openings, kept, shown = [], [], []
        with faces.FaceDetector(face_model.find()) as detector:
            frames = video_file.stream(self.avatar.renderer, moved.frames(), self.plate)
            for pose, maps in zip(moved.head_to_camera, frames, strict=True):
                rgb = np.clip(np.asarray(maps.rgb), 0, 1)
                shown.append(image_grid.to_uint8(rgb))
                openings.append(opening(detector, shown[-1]))
                mask = np.asarray(maps.alpha)
                face = references.project(
                    rgb,
                    mask,
                    self.data.camera.intrinsics,
                    pose.astype(np.float64),
                    _FACE,
                )
                kept.append(nearest(face, mean_faces) == self.data.name)
        return np.array(openings), float(np.mean(kept)), shown[len(shown) // 2]


def measure(person: Person, driver: Person, spoken: np.ndarray, mean_faces: dict):
    """The figures of one pair, and a frame of it; `driver` may be `person`."""
    record, theirs = person.avatar.record, driver.frames
    if person is driver:
        moved = motion.tracked(record, theirs)
    else:
        drivers = dict.fromkeys(("lip", "eye", "head"), (driver.avatar.record, theirs))
        moved = motion.swap(record, theirs, drivers, len(theirs))
    openings, kept, shown = person.render(moved, mean_faces)
    still = person.render(motion.hold(moved, record, ["lip"]), mean_faces)[0]
    shuffled = np.random.default_rng(0).permutation(spoken)
    return {
        "portrait": person.data.name,
        "driver": driver.data.name,
        "nearest_is_portrait": kept,
        "correlation": correlation(openings, spoken),
        "still": correlation(still, spoken),
        "shuffled": correlation(openings, shuffled),
        "faces": int(np.isfinite(openings).sum()),
        "frames": len(openings),
    }, shown


def table(rows: list[dict]) -> str:
    """Markdown, a row for each ordered pair, with the share of self re-enactment."""
    alone = {
        r["driver"]: r["correlation"] for r in rows if r["portrait"] == r["driver"]
    }
    lines = [
        "| portrait | driver | nearest face is the portrait's | lips follow | of the "
        "driver's own | still mouth | other order | faces found |",
        "|---" * 8 + "|",
    ]
    for r in rows:
        share = r["correlation"] / max(alone[r["driver"]], 1e-6)
        cells = [r["portrait"], r["driver"], f"{r['nearest_is_portrait']:.2f}"]
        cells += [f"{r['correlation']:.2f}", f"{share:.2f}", f"{r['still']:.2f}"]
        cells += [f"{r['shuffled']:.2f}", f"{r['faces']}/{r['frames']}"]
        lines.append("| " + " | ".join(cells) + " |")
    pairs = [r for r in rows if r["portrait"] != r["driver"]]
    found = np.median([r["correlation"] for r in pairs])
    least = min(r["correlation"] / max(alone[r["driver"]], 1e-6) for r in pairs)
    kept = min(r["nearest_is_portrait"] for r in pairs)
    lines.append(
        f"\nMedian correlation {found:.2f}; least share of the driver's own "
        f"{least:.2f}; least share of frames with the portrait's face {kept:.2f}."
    )
    return "\n".join(lines) + "\n"


def main(_) -> None:
    """Measures all pairs."""
    run, out = Run(pathlib.Path(_WORKDIR.value)), pathlib.Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    people = {n: Person(run, n, _FRAMES.value) for n in run.identities}
    mean_faces = {name: person.mean_face for name, person in people.items()}
    spoken = {name: person.spoken() for name, person in people.items()}
    rows, grid = [], []
    for person in tqdm(people.values(), "swapping", unit="portrait"):
        found = [
            measure(person, driver, spoken[d], mean_faces)
            for d, driver in people.items()
        ]
        rows += [row for row, _ in found]
        grid.append(np.concatenate([shown for _, shown in found], axis=1))
    with files.replacing(out / "swap.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
    with files.replacing(out / "swap.md") as temporary:
        temporary.write_text(table(rows))
    width = max(row.shape[1] for row in grid)
    grid = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in grid]
    image_file.write(out / "swap.png", np.concatenate(grid))


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", None, "A run of several people.")
    _OUT = flags.DEFINE_string("out", "runs/swap", "Figures, table, picture.")
    _FRAMES = flags.DEFINE_integer("frames", 50, "Of each driver, evenly spread.")
    flags.mark_flag_as_required("workdir")
    process.start()
    app.run(main)
