"""Interlaced frames become progressive ones, one for one."""

import av
from av.error import BlockingIOError as NotYet
from av.error import EOFError as Finished
from av.filter import Graph


class Deinterlacer:
    """Passes progressive frames on and deinterlaces the others, in their order.

    A frame may come out with a later call than the one that put it in.
    """

    def __init__(self):
        """Starts before the first frame."""
        self._graph: Graph | None = None
        self._kind: tuple | None = None

    def push(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        """Adds a frame; returns those that are finished."""
        kind = frame.format.name, frame.width, frame.height
        finished = []
        if self._graph is not None and kind != self._kind:
            finished = self.finish()
        if self._graph is None:
            if not frame.interlaced_frame:
                return [*finished, frame]
            self._graph, self._kind = _graph(frame), kind
        self._graph.vpush(frame)
        return finished + _pulled(self._graph)

    def finish(self) -> list[av.VideoFrame]:
        """The last frames."""
        if self._graph is None:
            return []
        graph, self._graph = self._graph, None
        graph.vpush(None)
        return _pulled(graph)


def _graph(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base,
    )
    filtered = graph.add("bwdif", mode="send_frame", deint="interlaced")
    graph.link_nodes(source, filtered, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: Graph) -> list[av.VideoFrame]:
    frames = []
    while True:
        try:
            frames.append(graph.vpull())
        except (NotYet, Finished):
            return frames
