"""`python -m lokitalk_jax` is the command `lokitalk`."""

import sys

from lokitalk_jax.cli import main

sys.exit(main.main())
