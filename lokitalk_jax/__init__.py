"""Talking portraits as neural radiance fields, driven by speech, in JAX."""
