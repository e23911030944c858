"""A trained run, opened to render one of its people."""
