"""Video, sound files, folders of pictures and grids of images; no model."""
