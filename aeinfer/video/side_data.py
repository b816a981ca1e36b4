"""What a frame carries beside its pixels, such as how to turn it; PyAV's own table of kinds is completed here.

Where a frame has one kind that PyAV lacks, as the EXIF that later FFmpegs hand on, it gives none of them, and crashes.
"""

from typing import Any

from av import VideoFrame
from av.sidedata.sidedata import Type

__all__ = ["side_data"]


def side_data(frame: VideoFrame, kind: str) -> Any:
    """Return a frame's side data of a kind by PyAV's name, a buffer, or None."""
    return frame.side_data.get(kind)


def _unknown(cls: Any, value: int) -> Any:
    """Make a member for a number without a name: what the standard library's enum asks for before it fails."""
    member = object.__new__(cls)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return cls._value2member_map_.setdefault(value, member)


kinds: Any = Type
kinds._missing_ = classmethod(_unknown)
