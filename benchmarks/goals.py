"""The runtime's goals as rows: what was measured, the bound, and whether it holds; the bench_* modules measure them.

A module that has goals gives them as `goals()`, an iterator of rows made by `at_least` and `at_most`.
"""

from benchmarks import results


def at_least(what: str, figure: float, bound: float) -> results.Row:
    """A goal that a figure reaches from above."""
    return _row(what, figure, bound, "x", "at least", figure >= bound)


def at_most(what: str, figure: float, bound: float, unit: str = "x") -> results.Row:
    """A goal that a figure stays under."""
    return _row(what, figure, bound, unit, "at most", figure <= bound)


def _row(what: str, figure: float, bound: float, unit: str, side: str, holds: bool) -> results.Row:
    shown = round(float(figure), 3)
    return {"what": what, "figure": shown, "unit": unit, "goal": f"{side} {bound:g}", "holds": bool(holds)}
