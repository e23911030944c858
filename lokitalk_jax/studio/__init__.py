"""The studio: avatars made and shown in a browser; `lokitalk studio` serves it."""
