"""Every symptom once, on purpose: a run that has it, what is found, and a picture of it.

    python examples/symptoms.py D02 [picture.png]

The documentation shows these runs, made anew each time it is built; the tests ask that each finds what it should.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import fallline

RNG = np.random.default_rng
Shown = tuple[list[Any], Any]  # the findings, and the axes of the picture


def table(m: int = 200, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = RNG(0)
    X = rng.standard_normal((m, n))
    return X, X @ np.arange(1.0, n + 1.0) + rng.standard_normal(m)


def shown(run: fallline.Result, healthy: bool = False) -> Shown:
    return run.diagnose(healthy=healthy), run.plot()


def d01() -> Shown:
    run = fallline.minimize(
        lambda x: float(np.sum(x - np.log(x))) if (x > 0).all() else float("nan"), [3.0, 4.0, 5.0],
        grad=lambda x: 1.0 - 1.0 / x, optimizer="momentum", learning_rate=0.9,
    )  # fmt: skip
    return shown(run)


def d02() -> Shown:
    x = np.arange(200.0)[:, None]
    return shown(
        fallline.fit(x, 2 * x[:, 0], optimizer="descent", learning_rate=2e-4, standardize=False, fit_intercept=False)
    )


def d03() -> Shown:
    run = fallline.fit(*table(), optimizer="descent", learning_rate=1.75, max_passes=25, tol=0.0)
    return run.diagnose(), run.plot_path()


def d03m() -> Shown:
    return shown(
        fallline.fit(*table(), optimizer=fallline.Momentum(0.95), learning_rate=0.9, max_passes=150), healthy=True
    )


def d04() -> Shown:
    x = np.linspace(-1.0, 1.0, 20)
    y, h = np.sin(3.0 * x), 12

    def value_and_slope(t: np.ndarray) -> tuple[float, np.ndarray]:  # a small network: y ~ tanh(x a + b) c
        a, b, c = t[:h], t[h : 2 * h], t[2 * h :]
        u = np.tanh(np.outer(x, a) + b)
        r = u @ c - y
        d = (1.0 - u**2) * c * r[:, None]
        return 0.5 * float(r @ r) / len(x), np.concatenate([x @ d, d.sum(axis=0), u.T @ r]) / len(x)

    run = fallline.minimize(
        lambda t: value_and_slope(t)[0], RNG(0).standard_normal(3 * h), grad=lambda t: value_and_slope(t)[1],
        optimizer="descent", learning_rate=0.4, max_steps=600,
    )  # fmt: skip
    return shown(run)


def d05() -> Shown:
    return shown(fallline.fit(*table(), optimizer="descent", learning_rate=0.001, max_passes=100))


def d06() -> Shown:
    run = fallline.fit(*table(), optimizer="descent")
    return run.diagnose(healthy=True), run.plot_gap()


def d07() -> Shown:
    def f(x: np.ndarray) -> float:
        return float(x[0] ** 2 - x[1] ** 2 + 0.5 * x[1] ** 4)

    def slope(x: np.ndarray) -> np.ndarray:
        return np.array([2.0 * x[0], -2.0 * x[1] + 2.0 * x[1] ** 3])

    return shown(fallline.minimize(f, [1.0, 0.0], grad=slope, learning_rate=0.1, optimizer="descent"))


def d08() -> Shown:
    X, y = table(n=2)
    X[:, 1] = X[:, 0] + 0.02 * X[:, 1]
    run = fallline.fit(X, y, optimizer="descent", max_passes=60)
    return run.diagnose(), run.plot_path()


def d09() -> Shown:
    return shown(fallline.fit(*table(), batch_size=2, optimizer="descent", learning_rate=0.1, max_passes=30))


def d10() -> Shown:
    return shown(
        fallline.fit(
            [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], loss="logistic", optimizer="descent", learning_rate=4.0
        )
    )


def d11() -> Shown:
    X, y = table()
    run = fallline.fit(np.column_stack([X, X[:, 0] + 2.0 * X[:, 1]]), y, feature_names=["rooms", "baths", "age", "sum"])
    return run.diagnose(), run.plot_path(axes=("rooms", "sum"))


def d12() -> Shown:
    X, y = table()
    names = ["rooms", "age", "income"]
    run = fallline.fit(
        X * [1.0, 10.0, 20_000.0], y, optimizer="descent", learning_rate=0.01, standardize=False, feature_names=names
    )
    return shown(run)


def d13() -> Shown:
    X, y = table()
    return shown(fallline.fit(X, 700_000.0 + 1e5 * y, optimizer="adam", learning_rate=0.01, max_passes=100))


def d14() -> Shown:
    X, y = table()
    return shown(fallline.fit(np.column_stack([X, np.full(200, 7.0)]), y, feature_names=["a", "b", "c", "country"]))


def d15() -> Shown:
    X = RNG(0).standard_normal((400, 80))
    y = X[:, 0] + 1.5 * RNG(1).standard_normal(400)
    return shown(fallline.fit(X[:90], y[:90], check=(X[90:], y[90:]), optimizer="nesterov", max_passes=200))


def d16() -> Shown:
    return shown(fallline.fit(table()[0], RNG(7).standard_normal(200), optimizer="descent"))


def d17() -> Shown:
    X, y = table()
    leak = np.column_stack([X, y + 0.02 * RNG(3).standard_normal(200)])
    return shown(fallline.fit(leak, y, feature_names=["age", "income", "visits", "refund_amount"], optimizer="descent"))


def d18() -> Shown:
    X, y = table()
    return shown(fallline.fit(X, y, check=(X[:50], y[:50]), optimizer="descent"))


def d19() -> Shown:
    X, y = table(600)
    run = fallline.fit(X, y > np.quantile(y, 0.96), loss="logistic", check=0.3, l2=0.01)
    return run.diagnose(), run.plot_reliability()


def d20() -> Shown:
    import polars as pl

    X, y = table()
    holes = [None if k % 6 == 0 else float(v) for k, v in enumerate(X[:, 0])]
    return shown(fallline.fit(pl.DataFrame({"income": holes, "age": X[:, 1], "y": y}), "y", optimizer="descent"))


def d21() -> Shown:
    X, y = table()
    order = np.argsort(y)
    return shown(
        fallline.fit(
            X[order], y[order], batch_size=5, shuffle=False, optimizer="descent", learning_rate=0.1, max_passes=8
        )
    )


def d22() -> Shown:
    X, y = table()
    X = 50.0 + 10.0 * X
    model = fallline.fit(X, y, optimizer="descent")
    return model.look_at((X - X.mean(axis=0)) / X.std(axis=0)), model.plot()


def d23() -> Shown:
    return shown(fallline.fit(*table(), optimizer="descent", max_passes=4))


def d24() -> Shown:
    def f(x: np.ndarray) -> float:
        return float(x[0] ** 2 + x[1] ** 2)

    try:
        fallline.minimize(f, [1.0, 2.0], grad=lambda x: np.array([2.0 * x[0], -2.0 * x[1]]))
    except fallline.GradientError as error:
        right = fallline.minimize(f, [1.0, 2.0], grad=lambda x: 2.0 * x)
        return [error.finding], right.plot()
    raise AssertionError("a wrong gradient was taken")


def d25() -> Shown:
    def jagged(
        x: np.ndarray,
    ) -> float:  # rounded from below: the slope is right, and every step lands on the next stair
        return float(np.sum(x**2)) if np.allclose(x, 1.0, atol=1e-4) and (x >= 1.0).all() else float(np.sum(x**2)) + 1.0

    run = fallline.minimize(jagged, [1.0, 1.0], grad=lambda x: 2.0 * x, optimizer="descent")
    return shown(run)


def d26() -> Shown:
    return shown(fallline.fit(*table(), l2=1e5, optimizer="descent"))


def d27() -> Shown:
    return shown(fallline.fit(*table(), optimizer="nadam", learning_rate=0.3, max_passes=150, tol=1e-12))


EXAMPLES: dict[str, Callable[[], Shown]] = {
    name.upper().replace("M", "m"): make for name, make in sorted(globals().items()) if name[0] == "d" and name[1:3].isdigit()
}  # fmt: skip

if __name__ == "__main__":
    code = sys.argv[1] if len(sys.argv) > 1 else ""
    if code not in EXAMPLES:
        sys.exit(f"usage: python examples/symptoms.py CODE [picture.png], CODE one of {', '.join(EXAMPLES)}")
    findings, axes = EXAMPLES[code]()
    for finding in findings:
        print(f"{finding.code} ({finding.certainty})  {finding.sentence}")
        print(f"     {finding.remedy}" if finding.remedy else "")
    if len(sys.argv) > 2:
        axes.figure.savefig(sys.argv[2])
