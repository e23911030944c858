"""The command line: flags to one call of `lokitalk_jax`, and errors to one line."""
