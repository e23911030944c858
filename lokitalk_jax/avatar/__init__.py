"""A trained run, opened: its identities rendered, driven by clips and by speech."""
