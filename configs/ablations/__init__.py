"""The whole model less one part, each."""
