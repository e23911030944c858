"""The neural radiance field: from rays and signals to pixels."""
