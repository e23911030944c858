"""Words and types of the project: glossary, axes, frames of reference, named tuples.

Glossary:
  identity              a person.
  clip                  the video of an identity; prepared, it is an identity folder.
  shared parameters     those that all identities of a run use: the networks, and the
                        base of codes, last layers, torso pivot and canonical grid.
  identity parameters   those of one identity: the shared base plus its residual. A run
                        trains and stores the residuals.
  driving signal        a short vector per frame that moves one region, see `Signals`.
  region                lip, eye, head or torso, in the order of `REGIONS`.
  gate                  a field in [0, 1] that says where a region is.
  plate                 the static background of a clip.
  prior, adaptation     a run of many identities; training new ones from it.
  avatar                a trained identity, ready to render.
  Audio2Motion, voice   the model that predicts the lip signal from speech.
  held-out frames       the end of a clip, which is never trained on.

Axes, as letters in shapes; `...` is any number of leading axes:
  N  identities, or slots for them      F  frames of a clip
  B  frames of an identity in a step    S  samples, of a ray or of sound
  R  rays of a frame                    Q  points of a frame, R * S for samples
  K  reference frames                   E  pixels along a side of a reference
  M  landmarks, masks or list entries   P  points
  L  levels of the hash grid            T  entries of a level's table; rows in time;
  C  features, channels                    triangles
  G  geometry features                  V  vertices
  X, Y, Z  cells of a density grid      H, W  height and width of an image
  D  length of a vector, such as D_lip
Grid code holds points as [3, P] and features as [L, P, C], for speed.

Frames of reference, both in metres:
  head    origin of the canonical face, axes parallel to the camera's at rest
          (x right, y down, z forward, into the head). Rays are in this frame: the head
          is static, the camera and the torso move.
  camera  OpenCV (x right, y down, z forward). A pose is `head_to_camera` [4, 4].

Pixel (i, j), row and column, has its centre at x = j + 0.5, y = i + 0.5. Focal length
and principal point are in pixels, colours RGB in [0, 1] in the program and uint8 on
disk, time in seconds, angles in radians.
"""

from typing import Any, NamedTuple

import numpy as np

FPS = 25
AUDIO_RATE = 16_000

# The order of every region axis, here and in files.
REGIONS = ("lip", "eye", "head", "torso")

# Metres in one unit of the lengths that the model computes with (points, offsets, the
# torso's pivot, translations in signals). Densities are per unit.
UNIT = 0.24

# The eye signal at rest: both eyes open, brows at their median height.
EYE_REST = (1.0, 1.0, 0.0)

# Ages, in frames, of the poses in the torso signal, newest first.
TORSO_LAGS = (0, 3, 8)

Array = Any  # numpy.ndarray or jax.Array
Config = Any  # ml_collections.ConfigDict of the fields in base_config


class Signals(NamedTuple):
    """The driving signals of a frame, or of frames along shared leading axes.

    Attributes:
      lip: [..., D_lip], coefficients of the shared lip basis, about unit variance.
      eye: [..., 3], openness of the left and right eye, 0 closed to 1 open, and how far
        the brows are raised, about 5 mm a unit; `EYE_REST` at rest.
      head: [..., 6], pose relative to the identity's mean pose: rotation vector in
        radians, then translation in units of `UNIT`.
      torso: [..., 6 * len(TORSO_LAGS)], head poses in the same form, at each lag;
        relative to the torso where the torso itself is tracked.
    """

    lip: Array
    eye: Array
    head: Array
    torso: Array


class References(NamedTuple):
    """Images of an identity from which the identity encoder predicts its residual.

    Attributes:
      images: [..., K, E, E, 4], the head turned to the viewer: colours times the person
        mask, and the mask, in [0, 1]; see `data.references`.
      cameras: [..., K, 8], pose relative to the identity's mean pose as in
        `Signals.head`, distance in units of `UNIT`, and focal length in image heights.
    """

    images: Array
    cameras: Array


class Batch(NamedTuple):
    """One training step's data. Colours and masks are float32 in [0, 1].

    Attributes:
      pixels: [N, B, R, 2], x and y of the pixel centres at the training size.
      rgb: [N, B, R, 3].
      plate: [N, B, R, 3], the plate at the same pixels.
      alpha: [N, B, R], soft person mask.
      regions: [N, B, R, 4], image masks in the order of `REGIONS`.
      intrinsics: [N, 3], focal length, principal x and y, in training pixels.
      head_to_camera: [N, B, 4, 4].
      signals: leaves [N, B, ...].
      weight: [N], 1 for an identity, 0 for a slot that only pads the mesh.
      references: leaves [N, K, ...], or None where the model has no encoder.
      audio_windows: [N, B, rows, inputs], audio features around each frame, see
        `speech.audio2motion`; None where the model has no audio encoder.
      face_points: [N, B, M, 3], the same M landmarks of each frame in the tracked head
        frame, units of `UNIT`; None where no loss needs them.
    """

    pixels: Array
    rgb: Array
    plate: Array
    alpha: Array
    regions: Array
    intrinsics: Array
    head_to_camera: Array
    signals: Signals
    weight: Array
    references: References | None = None
    audio_windows: Array = None
    face_points: Array = None


class Camera(NamedTuple):
    """A pinhole camera and the size of its images.

    Attributes:
      height, width: of the images, pixels.
      intrinsics: float32 [3], focal length, principal x and y, pixels of that size.
    """

    height: int
    width: int
    intrinsics: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, as of an array that holds an image."""
        return self.height, self.width

    def resized(self, size: int) -> "Camera":
        """The same view with `size` pixels along the longest side."""
        old = np.array([self.width, self.height])
        new = np.maximum(np.rint(old * size / old.max()).astype(int), 1)
        scale = np.array([size / old.max(), *(new / old)], np.float32)
        return Camera(int(new[1]), int(new[0]), self.intrinsics * scale)


class Rays(NamedTuple):
    """Rays in the head frame, in units of `UNIT`; `directions` have length 1.

    Attributes:
      origins: [..., 3], broadcastable against directions.
      directions: [..., 3].
    """

    origins: Array
    directions: Array


class AvatarParams(NamedTuple):
    """Everything learned that renders one identity.

    Attributes:
      shared: parameters that all identities share.
      identity: parameters of this identity, the shared base plus its residual; see
        `model.identity.combine`.
      density_grid: [X, Y, Z], guides the samples of rays; None before it is built.
    """

    shared: dict
    identity: dict
    density_grid: Array = None


class TrainState(NamedTuple):
    """State of a run in training.

    Attributes:
      seed: uint32, of the run. Part of the state, so that runs of other seeds are the
        same program, which takes half a minute to compile.
      ids: uint32 [N], a number for each slot that depends on its identity alone. Part
        of the state for the same reason.
      step: int32, steps done.
      first_bad: int32 [N], the first step at which an identity's loss was not finite,
        or -1. One number per slot, since a verdict over all would need communication.
      params: {'shared': ..., 'identity': ...}; the latter are residuals, leaves lead
        with N.
      moments: the optimiser's state.
      density: [N, X, Y, Z], density grids.
    """

    seed: Array
    ids: Array
    step: Array
    first_bad: Array
    params: dict
    moments: Any
    density: Array
