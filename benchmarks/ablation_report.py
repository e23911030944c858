"""The tables of `benchmarks.ablation`: models without a part against the whole one."""

import numpy as np
from scipy import stats

from benchmarks import reports
from benchmarks.learning_curve import cost_to

WHOLE = "full"
# Parts of the model; and of the training, which concerns adapted identities only.
PARTS = (
    "holistic",
    "no_cascade",
    "no_attention",
    "no_conditioning",
    "no_hypernetwork",
    "no_offset",
    "no_encoder",
)
ADAPTED = ("no_prior",)
_ROWS = (WHOLE, *PARTS, *ADAPTED)
_SHORT_OF = 1.0  # dB of head PSNR, of the fixed quality below the whole model's last


def difference(whole: list[float], less: list[float]) -> tuple[float, float]:
    """Mean over seeds of the change without a part, and half its 95% interval.

    The interval (Student's t on differences of equal seeds) is infinite for one seed.
    """
    gaps = np.subtract(less, whole)
    if len(gaps) < 2:
        return float(gaps.mean()), float("inf")
    reach = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5
    return float(gaps.mean()), float(reach)


def table(cells: list[dict], group: str) -> str:
    """Markdown: mean scores of the whole model, then differences from it.

    Args:
      cells: {'part', 'seed', 'group', 'curve'} each, see `ablation.curve`.
      group: of the cells, 'trained' or 'adapted'.
    """
    last = {
        (c["part"], c["seed"]): c["curve"][-1] for c in cells if c["group"] == group
    }
    seeds = sorted({seed for part, seed in last if part == WHOLE})
    keys = [k for k in last[WHOLE, seeds[0]] if k not in ("step", "seconds")]
    rows = []
    for part in _ROWS:
        both = [seed for seed in seeds if (part, seed) in last]
        if not both:
            continue
        row = [part, len(both)]
        for key in keys:
            whole = [last[WHOLE, seed][key] for seed in both]
            digits = 4 if key == "lpips" else 2
            if part == WHOLE:
                row.append(f"{np.mean(whole):.{digits}f}")
                continue
            less = [last[part, seed][key] for seed in both]
            mean, reach = difference(whole, less)
            row.append(f"{mean:+.{digits}f} ± {reach:.{digits}f}")
        rows.append(row)
    return reports.markdown([group, "seeds", *keys], rows)


def times(cells: list[dict], group: str) -> str:
    """Markdown: steps and seconds until the head reaches a fixed quality.

    Args:
      cells, group: see `table`.
    """
    curves = {part: [] for part in _ROWS}
    for cell in cells:
        if cell["group"] == group:
            curves[cell["part"]].append(cell["curve"])
    level = np.mean([curve[-1]["head"] for curve in curves[WHOLE]]) - _SHORT_OF
    rows = []
    for part, each in curves.items():
        if not each:
            continue
        steps, seconds = (
            [cost_to(curve, level, cost=cost) for curve in each]
            for cost in ("step", "seconds")
        )
        reached = len(steps) - steps.count(None)
        # A mean over the seeds that reach it would flatter the part.
        means = (
            [f"{np.mean(costs):.0f}" for costs in (steps, seconds)]
            if reached == len(each)
            else ["-", "-"]
        )
        rows.append([part, f"{reached} of {len(each)}", *means])
    heads = [f"{group}: head at {level:.2f} dB", "reached", "steps", "seconds"]
    return reports.markdown(heads, rows)
