"""The full model without one of its parts, on the defaults of `multi_id`.

    python -m benchmarks.ablation --data=data --out=runs/ablation

Costs and scores: results/ablations.md.
"""
