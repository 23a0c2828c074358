"""Numbers as people read them."""

from __future__ import annotations

import math


def number(x: float, digits: int = 4) -> str:
    """`digits` significant digits, thousands separated, an exponent only where it must be.

    >>> number(206855.8), number(0.000012345), number(3.0), number(1000.0), number(float("nan"))
    ('206,900', '1.234e-05', '3', '1,000', '-')
    """
    if math.isnan(x):
        return "-"
    if not math.isfinite(x):
        return "infinite" if x > 0 else "-infinite"
    if x == 0.0:
        return "0"
    size = math.floor(math.log10(abs(x)))
    if size >= 9 or size < -4:
        return f"{x:.{digits - 1}e}"
    told = f"{round(x, digits - 1 - size):,.{max(digits - 1 - size, 0)}f}"
    return told.rstrip("0").rstrip(".") if "." in told else told  # zeros before the point are worth something


def count(n: float, one: str, many: str) -> str:
    """A whole number of things.

    >>> count(1, "pass", "passes"), count(1000.0, "pass", "passes")
    ('1 pass', '1,000 passes')
    """
    told = f"{n:,.0f}"
    return f"{told} {one if told == '1' else many}"


def percent(share: float) -> str:
    """A share as a percentage with two significant digits.

    >>> percent(0.021), percent(1e-6), percent(0.5), percent(3e-12), percent(41_234.0)
    ('2.1 %', '0.0001 %', '50 %', '3e-10 %', '4.1e+06 %')
    """
    value = 100.0 * share
    if not math.isfinite(value):
        return "-"
    if value == 0.0 or 1e-4 <= abs(value) < 1e5:
        return f"{float(f'{value:.2g}'):.10f}".rstrip("0").rstrip(".") + " %"
    return f"{value:.1g} %" if abs(value) < 1e-4 else f"{value:.2g} %"


def above_best(gap: float, J: float) -> str:
    """The bound J - J* <= gap as a share of the lowest possible J*, in words; no finer than double precision.

    >>> above_best(1.0, 101.0), above_best(0.0, 5.0), above_best(2.0, 1.0)
    ('1 %', '1e-14 %', 'more than it is worth')
    """
    if gap >= J:
        return "more than it is worth" if gap > 0.0 else "1e-14 %"
    return percent(max(gap / (J - gap), 1e-16))


def seconds(s: float) -> str:
    """A duration.

    >>> seconds(0.0312), seconds(12.3), seconds(75), seconds(7260), seconds(float("nan"))
    ('0.03 s', '12.3 s', '1 min 15 s', '2 h 1 min', '-')
    """
    if not math.isfinite(s):
        return "-"
    if s < 60:
        return f"{s:.2f} s" if s < 1 else f"{s:.1f} s"
    minutes, rest = divmod(round(s), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
