"""The public API, which `lokitalk_jax` re-exports."""
