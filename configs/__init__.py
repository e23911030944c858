"""Configs of runs; nothing in the package imports them."""
