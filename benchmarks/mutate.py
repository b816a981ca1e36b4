"""Damage to the bytes of a file, as disks, networks and attackers do it; a case follows from its generator alone."""

from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytearray, np.random.Generator], bytes]
ABSURD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # sizes, counts, offsets


def flip_bits(data: bytearray, rng: np.random.Generator) -> bytes:
    for at in rng.integers(len(data), size=2 ** int(rng.integers(6))):
        data[at] ^= 1 << int(rng.integers(8))
    return bytes(data)


def flip_header_bits(data: bytearray, rng: np.random.Generator) -> bytes:
    """As `flip_bits`, where the sizes and tables are."""
    head = min(len(data), 128)
    return flip_bits(data[:head], rng) + bytes(data[head:])


def truncate(data: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(data[: rng.integers(len(data))])


def swap_header(data: bytearray, rng: np.random.Generator) -> bytes:
    """Exchange two of the file's blocks of 4 to 64 bytes, one of them near its beginning."""
    length = int(rng.integers(4, 65))
    first, second = int(rng.integers(64)), int(rng.integers(max(1, len(data) - length)))
    data[first : first + length], data[second : second + length] = (
        data[second : second + length],
        data[first : first + length],
    )
    return bytes(data)


def absurd_number(data: bytearray, rng: np.random.Generator) -> bytes:
    """Overwrite a field of 2 or 4 bytes with a limit of its type, in either byte order; most sizes lie early."""
    width = int(rng.choice([2, 4]))
    reach = len(data) if rng.random() < 0.3 else min(len(data), 256)
    at = int(rng.integers(max(1, reach - width)))
    value = int(rng.choice(ABSURD)) & (256**width - 1)
    data[at : at + width] = value.to_bytes(width, "big" if rng.random() < 0.5 else "little")
    return bytes(data)


def overwrite(data: bytearray, rng: np.random.Generator) -> bytes:
    """Zeros, ones or noise over a stretch, as a lost disk sector leaves it."""
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 513))
    stretch = len(data[at : at + length])
    filler = [bytes(stretch), b"\xff" * stretch, rng.bytes(stretch)]
    data[at : at + length] = filler[rng.integers(3)]
    return bytes(data)


def drop_or_repeat(data: bytearray, rng: np.random.Generator) -> bytes:
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 257))
    return bytes(data[:at] + data[at : at + length] * int(rng.choice([0, 2])) + data[at + length :])


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    flip_header_bits,
    truncate,
    swap_header,
    absurd_number,
    overwrite,
    drop_or_repeat,
)


def mutate(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return the name of what was done, and the damaged bytes (now and then they are what they were)."""
    mutation = MUTATIONS[rng.integers(len(MUTATIONS))]
    return mutation.__name__, mutation(bytearray(data), rng)
