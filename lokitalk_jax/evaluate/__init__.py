"""Scores of rendered portraits against held-out frames."""
