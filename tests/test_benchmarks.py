"""The arithmetic of the swap and ablation benchmarks."""

import importlib

import numpy as np
import pytest

from benchmarks import ablate, swap


def test_lips_that_follow_correlate_and_still_ones_do_not():
    spoken = np.array([0.1, 0.3, np.nan, 0.2, 0.4])
    assert swap.correlation(2 * spoken + 1, spoken) == pytest.approx(1)
    assert swap.correlation(-spoken, spoken) == pytest.approx(-1)
    assert swap.correlation(np.full(5, 0.2), spoken) == 0
    assert swap.correlation(np.full(5, np.nan), spoken) == 0


def test_a_face_is_nearest_to_its_own_colour_where_both_are_seen():
    def face(colour, left):
        picture = np.zeros((4, 4, 4))
        picture[:, left:] = (*colour, 1)
        return picture

    known = {"ann": face((0.8, 0.6, 0.5), 0), "bob": face((0.3, 0.2, 0.2), 0)}
    assert swap.nearest(face((0.75, 0.6, 0.5), 2), known) == "ann"
    assert swap.nearest(face((0.35, 0.2, 0.2), 1), known) == "bob"


def test_the_swap_table_compares_with_self_reenactment():
    def row(portrait, driver, correlation):
        rest = {"nearest_is_portrait": 1.0, "still": 0.0, "shuffled": 0.1}
        names = {"portrait": portrait, "driver": driver, "correlation": correlation}
        return names | rest | {"faces": 9, "frames": 10}

    rows = [row("a", "a", 0.8), row("a", "b", 0.6), row("b", "a", 0.6)]
    text = swap.table([*rows, row("b", "b", 1.0)])
    lines = {tuple(x.split(" | ")[:2]): x.split(" | ") for x in text.splitlines()}
    assert lines["| b", "a"][4] == "0.75" and lines["| a", "b"][4] == "0.60"
    assert "Median correlation 0.60; least share of the driver's own 0.60" in text


def cell(part, seed, head, group="people"):
    scores = {"head": head, "lpips": 0.01}
    return {"part": part, "seed": seed, "group": group, "scores": scores}


def test_ablations_are_compared_seed_by_seed():
    mean, reach = ablate.difference([30.0, 31.0, 32.0], [29.0, 30.0, 31.0])
    assert (mean, reach) == (-1, 0)
    mean, reach = ablate.difference([30.0, 31.0], [29.0, 29.0])
    # Student's t for one degree of freedom is 12.7; the standard error is 0.5.
    assert mean == -1.5 and reach == pytest.approx(6.353, abs=1e-3)
    assert ablate.difference([30.0], [29.5]) == (-0.5, float("inf"))


def test_the_ablation_table_leaves_out_what_was_not_run():
    cells = [cell("full", s, 30.0 + s) for s in (0, 1)]
    cells += [cell("holistic", s, 28.0 + s) for s in (0, 1)]
    cells.append(cell("no_prior", 0, 1.0, "newcomer"))
    lines = ablate.table(cells, "people").splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| full", "| holistic"]
    assert "-2.00 ± 0.00" in lines[3] and "30.50" in lines[2]


@pytest.mark.parametrize("part", [*ablate.PARTS, *ablate.ADAPTED])
def test_every_row_of_the_ablation_has_a_config(part, tmp_path):
    assert importlib.import_module(f"configs.ablations.{part}")
    adapted = ablate.configure_adapting(part, tmp_path / "prior", tmp_path, 5.0, 3)
    assert (adapted.seed, adapted.data.max_seconds) == (3, 5.0)
    assert bool(adapted.prior) == (part != "no_prior")
    if adapted.prior:
        assert adapted.model.identity_offset == (part != "no_offset")
