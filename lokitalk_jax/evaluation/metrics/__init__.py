"""Scores as pure functions of frames, landmarks and sound, each with its source."""
