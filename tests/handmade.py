"""Writes odd little ONNX models field by field, so that tests of them need no onnx package."""

from collections.abc import Mapping, Sequence

FLOAT, INT64 = 1, 7
Node = tuple[str, Sequence[str], Sequence[str]]  # operator, inputs, outputs


def model(
    sides: Sequence[int | str] = ("N", 3, "H", "W"),
    nodes: Sequence[Node] = (("Identity", ["input"], ["output"]),),
    *,
    inputs: Sequence[str] = ("input",),
    outputs: Sequence[str] = ("output",),
    kind: int = FLOAT,
    axis: int | None = None,
    facts: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a model; every input has the shape `sides`, `axis` is an attribute of every node."""
    graph = b"".join(_field(1, _node(*node, axis)) for node in nodes) + _field(2, b"handmade")
    graph += b"".join(_field(11, _value(name, kind, sides)) for name in inputs)
    graph += b"".join(_field(12, _value(name, kind, None)) for name in outputs)
    opset = _field(1, b"") + _field(2, 17)
    metadata = b"".join(_field(14, _field(1, k.encode()) + _field(2, v.encode())) for k, v in (facts or {}).items())
    return _field(1, 8) + _field(7, graph) + _field(8, opset) + metadata


def _node(operator: str, inputs: Sequence[str], outputs: Sequence[str], axis: int | None) -> bytes:
    names = b"".join(_field(1, name.encode()) for name in inputs) + b"".join(_field(2, n.encode()) for n in outputs)
    attribute = b"" if axis is None else _field(5, _field(1, b"axis") + _field(3, axis) + _field(20, 2))
    return names + _field(4, operator.encode()) + attribute


def _value(name: str, kind: int, sides: Sequence[int | str] | None) -> bytes:
    tensor = _field(1, kind)
    if sides is not None:
        dimensions = (_field(1, side) if isinstance(side, int) else _field(2, side.encode()) for side in sides)
        tensor += _field(2, b"".join(_field(1, dimension) for dimension in dimensions))
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, value: int | bytes) -> bytes:
    """One protobuf field: a varint, or bytes after their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
