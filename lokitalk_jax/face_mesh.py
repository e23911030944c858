"""MediaPipe's face mesh: numbers of its landmarks, and the canonical face.

468 points of the face and 5 of each iris.
"""

import functools
import pathlib

import numpy as np

LANDMARK_COUNT = 478

# Contours run clockwise in the image, from the corner of mouth or eye at the image's
# left. "Left" and "right" are the person's: the right eye is at the image's left.
LIPS_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409)
LIPS_OUTER += (291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
LIPS_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415)
LIPS_INNER += (308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
LIPS = LIPS_OUTER + LIPS_INNER
RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173)
RIGHT_EYE += (133, 155, 154, 153, 145, 144, 163, 7)
LEFT_EYE = (362, 398, 384, 385, 386, 387, 388, 466)
LEFT_EYE += (263, 249, 390, 373, 374, 380, 381, 382)
# Lower and upper edge of both brows.
BROWS = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55)
BROWS += (300, 293, 334, 296, 336, 276, 283, 282, 295, 285)
# Corner, two of the upper lid, corner, two of the lower lid, as in the 68-point face.
RIGHT_EYE_6 = (33, 160, 158, 133, 153, 144)
LEFT_EYE_6 = (362, 385, 387, 263, 373, 380)
FACE_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288)
FACE_OVAL += (397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136)
FACE_OVAL += (172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)

# The mesh points nearest to the 68 points of the iBUG annotation: jaw 0-16,
# brows 17-26, nose 27-35, eyes 36-47, mouth 48-67.
MESH_TO_68 = (162, 234, 93, 58, 172, 136, 149, 148, 152)
MESH_TO_68 += (377, 378, 365, 397, 288, 323, 454, 389)
MESH_TO_68 += (71, 63, 105, 66, 107, 336, 296, 334, 293, 301)
MESH_TO_68 += (168, 197, 5, 4, 75, 97, 2, 326, 305)
MESH_TO_68 += RIGHT_EYE_6 + LEFT_EYE_6
MESH_TO_68 += (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
MESH_TO_68 += (78, 82, 13, 312, 308, 317, 14, 87)

# Points of the face that hardly move relative to the skull.
RIGID = (168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 327, 97, 326)  # nose
RIGID += (122, 351, 193, 417, 245, 465, 188, 412, 174, 399, 196, 419, 3, 248)
RIGID += (217, 437, 198, 420, 236, 456, 51, 281, 45, 275, 131, 360)
RIGID += (33, 133, 362, 263, 243, 463)  # corners of the eyes
RIGID += (10, 151, 9, 8, 109, 338, 67, 297, 108, 337, 69, 299, 103, 332)  # forehead
RIGID += (21, 251, 54, 284, 162, 389, 127, 356, 139, 368)  # temples
RIGID += (234, 454, 227, 447, 116, 345, 111, 340, 143, 372)  # cheekbones


@functools.cache
def canonical_points() -> np.ndarray:
    """The canonical face in the head frame, float64 [468, 3], metres."""
    path = pathlib.Path(__file__).with_name("canonical_face_468.npz")
    with np.load(path) as stored:  # centimetres, y up, z towards the viewer
        points = stored["vertices_cm"].astype(np.float64) / 100 * [1, -1, -1]
    points.flags.writeable = False
    return points
