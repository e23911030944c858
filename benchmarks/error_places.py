"""Where do pictures of a run differ from the truth, and how much of it is misplacement?

    python -m benchmarks.error_places --workdir=runs/me

Held-out frames, and as many training frames, by place: head and torso away from the
person's outline, a band about the outline (1/32 of the longest side), and the
background. For each: its share of the squared error and of the image, and PSNR of
pictures as they are and of pictures moved onto the truth by optical flow, smoothed by a
Gaussian of 1/43 of the longest side. Where moving helps, things lie in the wrong place;
where it does not, they look wrong, or have no texture that flow could follow. Prints
one JSON line.
"""

import cv2
import numpy as np

from benchmarks import held_out_scores, measured_run
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import layout
from lokitalk_jax.data.references import spread
from lokitalk_jax.evaluation.held_out import rendered_frames
from lokitalk_jax.evaluation.metrics import psnr

# Half the width of the band, and the scale over which flow is smoothed, as shares of
# the image's longest side.
_BAND, _SMOOTH = 1 / 64, 1 / 43


def places(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Masks [H, W] that share the image out, from labels [H, W] of `data.layout`."""
    person = labels != layout.BACKGROUND
    side = 2 * round(_BAND * max(labels.shape)) + 1
    square = np.ones((side, side), np.uint8)
    grown = cv2.dilate(person.astype(np.uint8), square) > 0
    outline = grown & (cv2.erode(person.astype(np.uint8), square) == 0)
    inside = {"head": layout.HEAD, "torso": layout.TORSO}
    found = {name: (labels == label) & ~outline for name, label in inside.items()}
    return found | {"outline": outline, "background": ~person & ~outline}


def move_onto(picture: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """A picture [H, W, 3] in [0, 1], moved onto the truth by smooth optical flow."""
    before, after = (
        cv2.cvtColor(np.uint8(255 * image), cv2.COLOR_RGB2GRAY)
        for image in (truth, picture)
    )
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
        before, after, None
    )
    flow = cv2.GaussianBlur(flow, (0, 0), _SMOOTH * max(truth.shape))
    row, column = np.indices(truth.shape[:2], np.float32)
    return cv2.remap(
        picture,
        column + flow[..., 0],
        row + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def measure(run: OpenRun, name: str, frames: int) -> dict[str, float]:
    """Shares, and PSNR in dB, by kind of frame and place."""
    avatar = run.avatar(name)
    data = held_out_scores.open_clip(run, avatar.record)
    kinds = {"held_out": avatar.record.test_frames, "training": data.train_frames}
    found = {}
    for kind, known in kinds.items():
        sums: dict[str, np.ndarray] = {}
        for index, _, picture in rendered_frames(avatar, spread(known, frames)):
            truth = data.frame(index)[0]
            picture = np.clip(np.float32(picture), 0, 1)
            errors = [
                np.mean((image - truth) ** 2, axis=-1)
                for image in (picture, move_onto(picture, truth))
            ]
            for place, mask in places(data.labels[index]).items():
                values = [mask.sum(), *(error[mask].sum() for error in errors)]
                sums[place] = sums.get(place, 0) + np.array(values, float)
        sums["frame"] = np.sum(list(sums.values()), axis=0)
        pixels, error, _ = sums["frame"]
        for place, (area, as_drawn, once_moved) in sums.items():
            if not area:  # no torso, say
                continue
            found |= {
                f"{kind}_{place}_psnr": psnr.from_mse(as_drawn / area),
                f"{kind}_{place}_psnr_moved": psnr.from_mse(once_moved / area),
                f"{kind}_{place}_share_of_error": as_drawn / error,
                f"{kind}_{place}_share_of_area": area / pixels,
            }
    return found


if __name__ == "__main__":
    measured_run.main("error_places", measure)
