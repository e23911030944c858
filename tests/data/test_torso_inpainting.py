import numpy as np

from lokitalk_jax.data import layout, torso_inpainting


def test_the_torso_goes_on_behind_the_head():
    labels = np.zeros((40, 20), np.uint8)
    labels[5:25, 5:15], labels[25:, 2:18] = layout.HEAD, layout.TORSO
    rgb = np.zeros((40, 20, 3), np.uint8)
    rgb[labels == layout.HEAD], rgb[labels == layout.TORSO] = (200, 0, 0), (0, 0, 150)
    torso = torso_inpainting.torso_image(rgb, labels)
    alpha = torso[..., 3] > 0
    assert alpha[25:, 2:18].all() and alpha[21:25, 5:15].all()
    # Beside it lies its outline, a pixel wide at this size.
    assert alpha[24, 2:5].all() and alpha[30, [1, 18]].all()
    assert not alpha[:21].any() and not alpha[:24, :5].any() and not alpha[:, 0].any()
    # Nothing of the head itself shines through.
    assert torso[alpha][:, 0].max() == 0 and torso[22, 10, 2] > 100
    plate = np.full((40, 20, 3), 51, np.uint8)
    behind = torso_inpainting.backdrop(rgb, labels, plate)
    np.testing.assert_allclose(behind[10, 10], 0.2, atol=1e-6)
    np.testing.assert_allclose(behind[30, 10], [0, 0, 150 / 255], atol=1e-6)
