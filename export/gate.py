"""Whether a file in another precision is kept: what rounding may cost; nothing is measured here."""


def within(gate: float, lost: float, what: str) -> bool:
    """Return whether so many dB below fp32 are at most those of the gate, and say so where not."""
    if lost <= gate:
        return True
    print(f"{what}: not kept, {lost:.3f} dB below fp32, more than the gate of {gate} dB")  # NaN, too
    return False
