"""Scores by networks whose weights the user must supply: SyncNet and FAN."""
