"""Serves the studio: avatars made and shown in a browser.

The same as `lokitalk studio`; see `python studio.py --help`.
"""

import sys

from lokitalk_jax.cli import studio

if __name__ == "__main__":
    sys.exit(studio.main(sys.argv[1:], "studio.py"))
