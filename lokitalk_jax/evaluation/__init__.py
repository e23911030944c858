"""Scores of rendered videos against true frames."""
