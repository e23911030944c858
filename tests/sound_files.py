"""Makes the sound files that tests read, with timestamps of their own."""

import fractions

import av
import numpy as np

RATE = 16_000


def tone(seconds=1.0, hz=440, rate=RATE):
    """Float samples [S]."""
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def encode(path, tracks, codec="pcm_s16le", rate=RATE, default=None, pictures=False):
    """Writes a file of several audio tracks.

    Args:
      path: its suffix chooses the container.
      tracks: for each track a list of (time in seconds, samples [channels, S]).
      codec: of the sound.
      rate: Hz.
      default: number of the track that is flagged as default, from 1; None flags
        all of them or none, as the container does.
      pictures: puts 2 s of grey pictures in front, from time 0.
    """
    with av.open(str(path), "w") as container:
        if pictures:
            video = container.add_stream("libx264", rate=25)
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        streams = []
        for number, pieces in enumerate(tracks, 1):
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(pieces[0][1])]
            stream = container.add_stream(codec, rate=rate, layout=layout)
            if default is not None:
                stream.disposition = av.stream.Disposition(int(number == default))
            streams.append((stream, layout, pieces))
        if pictures:
            for index in range(50):
                grey = np.full((32, 32, 3), 128, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, "rgb24")
                frame.pts, frame.time_base = index, fractions.Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        for stream, layout, pieces in streams:
            planar = stream.codec_context.format.is_planar
            for time, samples in pieces:
                for begin in range(0, samples.shape[1], 1024):
                    part = samples[:, begin : begin + 1024]
                    kind = "fltp"
                    if not planar:
                        kind, part = "s16", (part * 32767).astype(np.int16)
                        part = part.T.reshape(1, -1)
                    frame = av.AudioFrame.from_ndarray(
                        np.ascontiguousarray(part, part.dtype.newbyteorder("=")),
                        kind,
                        layout,
                    )
                    frame.sample_rate = rate
                    frame.time_base = fractions.Fraction(1, rate)
                    frame.pts = round(time * rate) + begin
                    container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def mono(*pieces):
    """A track of one channel, from pairs (time, samples [S])."""
    return [(time, np.asarray(samples, np.float32)[None]) for time, samples in pieces]
