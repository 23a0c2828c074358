"""NIST's StRD linear regression problems with default settings: at least eight of the certified digits.

The data are typed in, and the certified values are confirmed here by rational arithmetic, so that a typing mistake in
either cannot go unseen.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import fallline

NORRIS_Y = """0.1 338.8 118.1 888.0 9.2 228.1 668.5 998.5 449.1 778.9 559.2 0.3 0.1 778.1 668.8 339.3 448.9 10.8 557.7 228.3
998.0 888.8 119.6 0.3 0.6 557.6 339.3 888.0 998.5 778.9 10.2 117.6 228.9 668.4 449.2 0.2"""
NORRIS_X = """0.2 337.4 118.2 884.6 10.1 226.5 666.3 996.3 448.6 777.0 558.2 0.4 0.6 775.5 666.9 338.0 447.5 11.6 556.0 228.1
995.8 887.6 120.2 0.3 0.3 556.8 339.1 887.2 999.0 779.0 11.1 118.3 229.2 669.1 448.9 0.5"""
LONGLEY = """60323 83.0 234289 2356 1590 107608 1947
61122 88.5 259426 2325 1456 108632 1948
60171 88.2 258054 3682 1616 109773 1949
61187 89.5 284599 3351 1650 110929 1950
63221 96.2 328975 2099 3099 112075 1951
63639 98.1 346999 1932 3594 113270 1952
64989 99.0 365385 1870 3547 115094 1953
63761 100.0 363112 3578 3350 116219 1954
66019 101.2 397469 2904 3048 117388 1955
67857 104.6 419180 2822 2857 118734 1956
68169 108.4 442769 2936 2798 120445 1957
66513 110.8 444546 4681 2637 121950 1958
68655 112.6 482704 3813 2552 123366 1959
69564 114.2 502601 3931 2514 125368 1960
69331 115.7 518173 4806 2572 127852 1961
70551 116.9 554894 4007 2827 130081 1962"""

# name: (X as text rows, y as text, intercept?, certified coefficients, the intercept last)
PROBLEMS = {
    "Norris": (
        [[x] for x in NORRIS_X.split()], NORRIS_Y.split(), True, ["1.00211681802045", "-0.262323073774029"],
    ),
    "NoInt1": ([[str(x)] for x in range(60, 71)], [str(y) for y in range(130, 141)], False, ["2.07438016528926"]),
    "NoInt2": ([["4"], ["5"], ["6"]], ["3", "4", "4"], False, ["0.727272727272727"]),
    "Longley": (
        [line.split()[1:] for line in LONGLEY.splitlines()], [line.split()[0] for line in LONGLEY.splitlines()], True,
        ["15.0618722713733", "-0.358191792925910E-01", "-2.02022980381683", "-1.03322686717359",
         "-0.511041056535807E-01", "1829.15146461355", "-3482258.63459582"],
    ),
}  # fmt: skip


def solved_exactly(A: list[list[Fraction]], y: list[Fraction]) -> list[Fraction]:
    """The least squares solution from the normal equations, in rational arithmetic."""
    n = len(A[0])
    rows = [
        [sum(a[i] * a[j] for a in A) for j in range(n)] + [sum(a[i] * t for a, t in zip(A, y, strict=True))]
        for i in range(n)
    ]
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [a - rows[i][k] * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_eight_digits_with_default_settings(name: str) -> None:
    X, y, intercept, certified = PROBLEMS[name]
    exact = solved_exactly([[*map(Fraction, row)] + [Fraction(1)] * intercept for row in X], [*map(Fraction, y)])
    for value, printed in zip(exact, certified, strict=True):
        assert abs(float(value) / float(printed) - 1.0) < 1e-13  # the certified digits are those of these data
    result = fallline.fit(np.array(X, float), np.array(y, float), fit_intercept=intercept)
    found = [*result.coef, result.intercept] if intercept else [*result.coef]
    digits = [-np.log10(abs(a / float(b) - 1.0) + 1e-16) for a, b in zip(found, exact, strict=True)]
    assert min(digits) >= 8.0, digits
    assert (result.verdict, result.certainty) == ("converged", "proved")
