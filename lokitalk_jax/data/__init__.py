"""Identity folders, the demo cast, and the batches that training reads."""
