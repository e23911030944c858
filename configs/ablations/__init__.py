"""The full model without one of its parts, on the defaults of `multi_id`.

    python -m benchmarks.ablation --data=data --out=runs/ablation --adapt_to=NAME

A run costs as much as `multi_id`. Changes of PSNR in the heads of these files were
measured after 600 steps at 64 pixels, with the face stage before the body stage: those
of five identities, of `no_prior` those of a new identity; with 95% intervals, as all
scores in results/ablations.md.
"""
