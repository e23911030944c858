"""From a video to an identity folder; imports neither JAX nor the model."""
