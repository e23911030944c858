"""Renders and scores the identities of a run.

The same as `lokitalk render`; see `python render.py --help`.
"""

import sys

from lokitalk_jax.cli import render

if __name__ == "__main__":
    sys.exit(render.main(sys.argv[1:], "render.py"))
