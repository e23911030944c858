"""The note that marks rendered files as synthetic media."""

NOTE = (
    "synthetic media: the person's face and motion were rendered by a neural radiance "
    "field (LokiTalk-JAX); IPTC digital source type: trainedAlgorithmicMedia"
)
