"""The full model without one of its parts, on the defaults of `multi_id`.

    python -m benchmarks.ablation --data=data --out=runs/ablation

A run costs as much as `multi_id`. Changes of PSNR in the heads of these files are those
of five identities at 64 pixels, of `no_prior` those of a new identity; with 95%
intervals, as all scores in results/ablations.md.
"""
