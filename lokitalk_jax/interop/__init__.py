"""Data folders of other programs, in and out."""
