"""What other programs use of this package; `lokitalk_jax` offers all of it."""
