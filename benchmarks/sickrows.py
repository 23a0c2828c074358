"""Sick runs by what the rows are: D10, D11, D14, D16 .. D22 and D25."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sickdata import either, flights, halves, housing, mixed, part, some, spectrum, tables, whole

import fallline
from fallline.symptoms._base import Finding

Findings = list[Finding]


def refusal(*given: Any, **named: Any) -> Findings:
    """What is found where a fit is refused."""
    try:
        fallline.fit(*given, **named)
    except fallline.DataError as error:
        return [error.finding] if error.finding else []
    return []


def d10(rng: np.random.Generator, real: bool) -> Findings:
    return (_separable_table if real else _separated)(rng)


def _separable_table(rng: np.random.Generator) -> Findings:
    kind = int(rng.integers(5))
    if kind == 0:  # setosa has the shortest petals
        X, y = some(rng, "iris")
        return fallline.fit(X, (y == 0).astype(int), loss="logistic").findings
    if kind == 1:
        return fallline.fit(*some(rng, "wine", rows=int(rng.integers(100, 179))), loss="softmax").findings
    if kind == 2:
        X, y = some(rng, "digits", "mushrooms")
        return fallline.fit(X, (y == 0).astype(int), loss="logistic").findings
    if kind == 3:  # a level that only one class has: no benign tumour is so large
        X, y = some(rng, "cancer", rows=int(rng.integers(300, 569)))
        large = X[:, 20] > X[y == 1, 20].max()
        return fallline.fit(np.column_stack([X[:, [4, 8, 9]], large]), y.astype(int), loss="logistic").findings
    if "soils" not in tables():
        return _separable_table(rng)
    levels, y = some(rng, "soils")  # no such pine grows in the first area
    return fallline.fit(levels[:, :4], (y == 3).astype(int), loss="logistic").findings


def _separated(rng: np.random.Generator) -> Findings:
    kind = rng.random()
    m, n = int(rng.integers(30, 200)), int(rng.integers(1, 6))
    X = rng.standard_normal((m, n))
    z = X @ rng.standard_normal(n)
    if kind < 0.4:  # a gap between the classes
        z -= np.median(z)
        X = X[np.abs(z) > 0.2]
        return fallline.fit(X, z[np.abs(z) > 0.2] > 0, loss="logistic").findings
    if kind < 0.7:  # several classes, far apart
        y = rng.integers(0, 3, m)
        y[:3] = [0, 1, 2]
        return fallline.fit(rng.standard_normal((m, 3)) * 0.3 + 4.0 * np.eye(3)[y], y, loss="softmax").findings
    y = (z + rng.standard_normal(m) > 0).astype(int)  # a level that only one class has
    y[0] = 1
    rare = np.zeros(m)
    rare[np.flatnonzero(y)[: max(1, m // 10)]] = 1.0
    return fallline.fit(np.column_stack([X, rare]), y, loss="logistic").findings


def d11(rng: np.random.Generator, real: bool) -> Findings:
    if real and rng.random() < 0.2 and "soils" in tables():
        X, y = some(rng, "soils")  # each row is in one of four areas: their columns make up the constant
        return fallline.fit(X[:, :4], y).findings
    X, y = some(rng) if real else mixed(rng, n=int(rng.integers(3, 8)))
    kind = rng.random()
    if kind < 0.4:
        more = X[:, 0] * rng.integers(1, 4) - X[:, 1] + rng.integers(0, 5)
    elif kind < 0.7:
        more = X[:, 0] * rng.uniform(0.1, 100.0)
    else:
        more = X[:, 0] + 0.3 * X[:, 0].std() * rng.standard_normal(len(X))
    return fallline.fit(np.column_stack([X, more]), y).findings


def d14(rng: np.random.Generator, real: bool) -> Findings:
    if real and rng.random() < 0.5:  # corners of pictures that are always white; soils that are not in this part
        X, y = some(rng, "digits", "soils")
        assert (X.std(axis=0) == 0.0).any()
        return fallline.fit(X, y).findings
    X, y = either(rng, real)
    more = np.full(len(X), rng.uniform(-100, 100))
    if rng.random() < 0.4 and len(X) >= 150:  # one row of so many differs
        more[int(rng.integers(2, len(X)))] += 1.0
    return fallline.fit(np.column_stack([X, more]), y).findings


def d16(rng: np.random.Generator, real: bool) -> Findings:
    """A target that has nothing to do with the columns: noise, or that of other rows."""
    if real:
        X, y = some(rng)
        y = rng.permutation(y)
    else:
        X = rng.standard_normal((int(rng.integers(100, 600)), int(rng.integers(1, 6))))
        y = rng.standard_normal(len(X))
    (m, n), check = X.shape, float(rng.choice([0.0, 0.3]))
    # by construction X says nothing of y; that chance says otherwise (by Wilks' test, once in 40) is no miss
    gained = -m * math.log(max(1.0 - 2.0 * spectrum(X, y)[1].sum() / np.var(y), 1e-9))
    if gained > n + 1.0 * math.sqrt(2.0 * n):
        return d16(rng, real)
    if rng.random() < 0.5:
        return fallline.fit(X, y, check=check or None).findings
    return fallline.fit(X, halves(y), loss="logistic", check=check or None).findings


def d17(rng: np.random.Generator, real: bool) -> Findings:
    if real and rng.random() < 0.3:  # the perimeter of a nucleus, from its radius and more
        X, _ = some(rng, "cancer")
        return fallline.fit(X[:, [0, 1, 4, 5]], X[:, 2]).findings
    X, y = some(rng) if real else mixed(rng, n=int(rng.integers(2, 6)))
    if rng.random() < 0.5:
        leak = y * 3.0 + 0.02 * y.std() * rng.standard_normal(len(y))
        return fallline.fit(np.column_stack([X, leak]), y).findings
    label = halves(y)
    leak = label + 0.15 * rng.standard_normal(len(y))
    return fallline.fit(np.column_stack([X, leak]), label, loss="logistic", l2=0.01).findings


def d18(rng: np.random.Generator, real: bool) -> Findings:
    held = int(rng.integers(20, 60))
    if real:
        X, y = some(rng)
        other, y_other = X[:held], y[:held]
        X, y = X[held:], y[held:]
    else:
        X, y = mixed(rng)
        other, y_other = rng.standard_normal((held, X.shape[1])), y[:held]
    twins = rng.choice(len(X), max(1, held // 5), replace=False)
    return fallline.fit(X, y, check=(np.vstack([X[twins], other]), np.concatenate([y[twins], y_other]))).findings


def d19(rng: np.random.Generator, real: bool) -> Findings:
    m = int(rng.integers(300, 900))
    if real:
        X, y = whole(rng, "digits", "claims", "motorcycles", "soils")
        X = X if X.shape[1] < 20 else X[:, X.std(axis=0) > 0.0][:, :30]
        X, y = part(rng, X, (y > 0 if y.max() < 7 else y == 4).astype(int), m)
        assert max(y.mean(), 1.0 - y.mean()) > 0.83
        return fallline.fit(X, y, loss="logistic").findings
    X = rng.standard_normal((m, 3))
    z = X[:, 0] + rng.logistic(size=m)
    return fallline.fit(X, z > np.quantile(z, rng.uniform(0.83, 0.95)), loss="logistic").findings


def d20(rng: np.random.Generator, real: bool) -> Findings:
    import polars as pl

    if real:
        late = "flights" in tables() and rng.random() < 0.5
        columns = ["dep_delay", "arr_delay", "air_time", "distance", "carrier"]
        table = flights().select(columns).drop_nulls("dep_delay") if late else housing()
        hollow, target = ("arr_delay", "dep_delay") if late else ("total_bedrooms", "median_house_value")
        holes = np.flatnonzero(table[hollow].is_null().to_numpy())
        rows = np.concatenate([rng.choice(holes, 1), rng.choice(table.height, int(rng.integers(100, 600)))])
        table = table[rows.tolist()]
        if rng.random() < 0.5:
            return fallline.fit(table, target).findings
        X = table.select(pl.selectors.numeric().exclude(target)).to_numpy()
        return refusal(X, table[target].to_numpy())
    X, y = mixed(rng)
    table = pl.DataFrame({f"x{j}": X[:, j] for j in range(X.shape[1])} | {"y": y})
    holes = rng.random(len(y)) < rng.uniform(0.02, 0.3)
    holes[0] = True
    table = table.with_columns(pl.when(pl.Series(holes)).then(None).otherwise(pl.col("x0")).alias("x0"))
    if rng.random() < 0.5:
        return fallline.fit(table, "y").findings
    return refusal(np.where(holes[:, None], np.nan, X), y)


def d21(rng: np.random.Generator, real: bool) -> Findings:
    if real and rng.random() < 0.4:  # the order of the file: class after class, day after day, wood after wood
        X, y = whole(rng, "iris", "wine", "flights", "forest")
        first = int(rng.integers(max(len(y) - 1000, 1)))
        X, y = X[first : first + 1000], y[first : first + 1000]
        if np.corrcoef(y[1:], y[:-1])[0, 1] < 0.5:
            return d21(rng, real)
    else:
        X, y = either(rng, real)
        order = np.argsort(y + 0.3 * y.std() * rng.standard_normal(len(y)), kind="stable")
        X, y = X[order], y[order]
    batch = int(rng.choice([1, 8, 32]))
    return fallline.fit(X, y, batch_size=batch, shuffle=False, max_passes=10).findings


def d22(rng: np.random.Generator, real: bool) -> Findings:
    if real:
        X, y = some(rng)
    else:
        X, y = mixed(rng, n=int(rng.integers(2, 6)))
        X = X * 10.0 ** rng.uniform(1.0, 4.0, X.shape[1]) + rng.uniform(50.0, 5000.0, X.shape[1])
    model = fallline.fit(X, y)
    new = X[rng.permutation(len(X))[:60]]
    kind = rng.random()
    if kind < 0.5:
        return model.look_at((new - X.mean(axis=0)) / X.std(axis=0))
    if real and kind < 0.7:  # other tumours: those that predict are malignant, those of training were benign
        X, y = tables()["cancer"]
        benign = X[y == 1]
        model = fallline.fit(benign[:, :4], benign[:, 20])
        return model.look_at(X[y == 0][:, :4])
    new = new.copy()
    new[:, 0] = new[:, 0] * 7.0 if rng.random() < 0.5 else new[:, 0] + 5.0 * X[:, 0].std()
    return model.look_at(new)


def d25(rng: np.random.Generator, real: bool) -> Findings:
    loss = str(rng.choice(["poisson", "gamma"]))
    if real:  # flights that came early; measurements less their mean; policies without a claim
        X, y = some(rng, "flights", "diabetes") if loss == "poisson" else some(rng, "claims", "digits", "cancer")
        y = y - y.mean() if loss == "poisson" else y
        return refusal(X, y, loss=loss)
    X, _ = mixed(rng)
    y = rng.poisson(3.0, len(X)).astype(float)
    y[int(rng.integers(len(y)))] = -1.0
    return refusal(X, y, loss=loss)
