"""The scores as an HTML page and as a table of frames."""
