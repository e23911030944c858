"""Makes identity folders of videos, checks data folders, converts them.

The same as `lokitalk prepare`; see `python prepare.py --help`.
"""

import sys

from lokitalk_jax.cli import prepare

if __name__ == "__main__":
    sys.exit(prepare.main(sys.argv[1:], "prepare.py"))
