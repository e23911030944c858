"""Identity folders, and the batches that training reads."""
