"""Whether a file in another precision is kept: what rounding may cost; nothing is measured here."""


def within(gate: float, lost: float, what: str) -> bool:
    """Return whether a loss in dB is at most the gate, which NaN is not; where it is more, say so."""
    if lost <= gate:
        return True
    print(f"{what}: not kept, {lost:.3f} dB below fp32, more than the gate of {gate} dB")
    return False
