"""Scores as functions of frames, landmarks and sound."""
