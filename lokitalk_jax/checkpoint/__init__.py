"""Checkpoints of training states: separate items, so that another run restores some."""
