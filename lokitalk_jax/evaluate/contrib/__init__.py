"""Scores whose networks nobody ships; their weights are files of the user's."""
