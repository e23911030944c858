"""Trains a run: an identity from scratch, a prior, or an adaptation of a prior.

The same as `lokitalk train`; see `python train.py --help`.
"""

import sys

from lokitalk_jax.cli import train

if __name__ == "__main__":
    sys.exit(train.main(sys.argv[1:], "train.py"))
