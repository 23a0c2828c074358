"""Tables for sick runs: generated ones; real ones of scikit-learn, of examples/data and of the folder of realdata.py."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import realdata
from sklearn import datasets

HOUSING = Path(__file__).resolve().parents[1] / "examples" / "data" / "housing.csv.gz"
USUAL = ("diabetes", "cancer", "wine", "iris", "housing", "flights", "forest")  # numbers, none of them constant
MOST_ROWS = 600  # of a sick run
KEPT = 20_000  # rows of a long file, evenly spaced: in the order of the file


class Table(NamedTuple):
    """Columns of numbers and a target."""

    X: np.ndarray
    y: np.ndarray


def mixed(rng: np.random.Generator, m: int = 0, n: int = 0) -> Table:
    """Columns that lean on one another a little, and a target with noise."""
    m, n = m or int(rng.integers(80, 400)), n or int(rng.integers(2, 9))
    X = rng.standard_normal((m, n)) + 0.5 * rng.standard_normal((m, 1))
    w = rng.standard_normal(n)
    w /= np.linalg.norm(w)
    return Table(X, X @ w + rng.uniform(0.3, 1.0) * rng.standard_normal(m))


def either(rng: np.random.Generator, real: bool) -> Table:
    return some(rng) if real else mixed(rng)


def some(rng: np.random.Generator, *names: str, rows: int = 0) -> Table:
    """A random part of the rows (or so many) of one of the real tables with these names, of those that are at hand."""
    X, y = whole(rng, *names)
    return part(rng, X, y, rows)


def part(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, rows: int = 0) -> Table:
    """A random part of the rows in which the target, and every column that varies in all rows, varies."""
    varied = X.std(axis=0) > 0.0
    while True:
        m = min(rows or int(rng.integers(100, min(len(y), MOST_ROWS) + 1)), len(y))
        at = rng.permutation(len(y))[:m]
        if y[at].std() > 0.0 and (X.shape[1] > 20 or (X[at][:, varied].std(axis=0) > 0.0).all()):
            return Table(X[at], y[at])


def halves(y: np.ndarray) -> np.ndarray:
    """The target as two classes."""
    middle = np.median(y)
    return (y > middle if (y > middle).any() else y >= middle).astype(int)


def standard(X: np.ndarray) -> np.ndarray:
    """Those columns that vary, with mean 0 and standard deviation 1."""
    X = X[:, X.std(axis=0) > 0.0]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def spectrum(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curvatures of least squares on standardised columns, rising, and the loss that each direction can take away."""
    Z = standard(X)
    values, directions = np.linalg.eigh(Z.T @ Z / len(y))
    values = np.maximum(values, 1e-15)
    return values, 0.5 * (directions.T @ (Z.T @ (y - y.mean())) / len(y)) ** 2 / values


def whole(rng: np.random.Generator, *names: str) -> Table:
    """One of the real tables with these names, of those that are at hand, with all its rows in their order."""
    at_hand = [name for name in names or USUAL if name in tables()]
    return tables()[at_hand[int(rng.integers(len(at_hand)))]]


@cache
def tables() -> dict[str, Table]:
    """Every real table at hand; says which file is not there."""
    found = {
        "diabetes": Table(*datasets.load_diabetes(return_X_y=True, scaled=False)),
        "cancer": Table(*datasets.load_breast_cancer(return_X_y=True)),
        "wine": Table(*datasets.load_wine(return_X_y=True)),
        "iris": Table(*datasets.load_iris(return_X_y=True)),
        "digits": Table(*datasets.load_digits(return_X_y=True)),
        "housing": numbers(housing().drop("ocean_proximity").drop_nulls(), "median_house_value"),
    }
    for load in (_flights, _forest, _claims, _motorcycles, _mushrooms):
        try:
            found |= load()
        except realdata.Missing as missing:
            print(f"{missing}: the real runs do without it", file=sys.stderr)
    return {name: Table(X.astype(np.float64), y.astype(np.float64)) for name, (X, y) in found.items()}


def numbers(frame: Any, target: str) -> Table:
    """A table of numbers, without holes."""
    return Table(frame.drop(target).to_numpy().astype(np.float64), frame[target].to_numpy().astype(np.float64))


@cache
def housing() -> Any:
    """20,640 districts of California, with 207 holes and a column of text."""
    import polars as pl

    return pl.read_csv(HOUSING)


@cache
def flights() -> Any:
    """Part of the flights from New York in 2013, in the order of the file; those that were cancelled have holes."""
    return _spaced("flights.parquet")


def _spaced(name: str) -> Any:
    import polars as pl

    frame = pl.read_parquet(realdata.find(name))
    return frame.gather_every(max(frame.height // KEPT, 1))


def _flights() -> dict[str, Table]:
    """How late they arrived."""
    columns = ["month", "day", "sched_dep_time", "dep_delay", "flight", "distance", "arr_delay"]
    return {"flights": numbers(flights().select(columns).drop_nulls(), "arr_delay")}


def _forest() -> dict[str, Table]:
    """Cover type 1 .. 7 by ten numbers; and by four areas and forty soils, of which each row has one of each."""
    frame = _spaced("covtype.parquet")
    X, y = numbers(frame, "Cover_Type")
    return {"forest": Table(X[:, :10], y), "soils": Table(X[:, 10:], y)}


def _claims() -> dict[str, Table]:
    """Claims of French motor policies: most rows have none."""
    columns = ["VehPower", "VehAge", "DrivAge", "BonusMalus", "Density", "ClaimNb"]
    return {"claims": numbers(_spaced("freMTPL2freq.parquet").select(columns), "ClaimNb")}


def _motorcycles() -> dict[str, Table]:
    """Claims of Swedish motorcycles, and what each cost: tens of thousands of crowns."""
    import polars as pl

    frame = pl.read_csv(realdata.find("motorcycle_claims.csv"))
    columns = ["agarald", "zon", "mcklass", "fordald", "bonuskl"]
    costs = frame.filter(pl.col("skadkost") > 0).select(*columns, "skadkost")
    return {"motorcycles": numbers(frame.select(*columns, "antskad"), "antskad"), "costs": numbers(costs, "skadkost")}


def _mushrooms() -> dict[str, Table]:
    """Edible or poisonous, by columns of zeros and ones that decide it."""
    X, y = datasets.load_svmlight_file(str(realdata.find("agaricus.libsvm.train")), n_features=127, zero_based=True)
    return {"mushrooms": Table(X.toarray(), y)}
