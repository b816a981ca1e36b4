"""Times that go on where those of a file jump back, as where recordings were joined; reads no file."""

from fractions import Fraction

from av import Packet

__all__ = ["Clock"]

JUMP = Fraction(1, 10)
"""Seconds back within a stream, which has its packets in the order of their decoding times: as in FFmpeg."""


class Clock:
    """What is added to the times of packets, which come in the order of the file.

    All streams jump by the same, each at its own packet: one that was before the jump may still come after another's
    that was behind it.

    Attributes
    ----------
    jumps : int
        How often times jumped back.
    """

    def __init__(self) -> None:
        self.jumps = 0
        self._offset = self._newest = Fraction(0)
        self._offsets: dict[int, Fraction] = {}
        self._decoded: dict[int, Fraction] = {}  # when the last packet of a stream is
        self._shown: dict[int, tuple[Fraction, Fraction]] = {}  # when the last of it to be shown is, and for how long

    def set(self, packet: Packet) -> None:
        """Make a packet's times go on from those before it."""
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None:
            return
        base, index = packet.time_base, packet.stream.index
        time = ticks * base
        own = self._offsets.get(index, self._offset)
        offset = min(own, self._offset, key=lambda offset: abs(time + offset - self._newest))
        shown = time if packet.pts is None else packet.pts * base
        if time + offset < self._decoded.get(index, time + offset) - JUMP:
            self.jumps += 1
            # one packet of each other stream may still come from before
            ends = [start + lasts * (1 if stream == index else 2) for stream, (start, lasts) in self._shown.items()]
            offset = self._offset = max(ends) - shown
        flows = packet.stream.type in ("video", "audio")
        now = shown + offset, (packet.duration or 1) * base if flows else Fraction(0)
        self._shown[index] = max(now, self._shown.get(index, now))
        self._decoded[index] = self._newest = time + offset
        self._offsets[index] = offset
        shift = round(offset / base)
        packet.dts = None if packet.dts is None else packet.dts + shift
        packet.pts = None if packet.pts is None else packet.pts + shift
