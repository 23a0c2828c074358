"""How near the largest curvature comes that a few products find, and how many they are.

    python benchmarks/curvature.py [--problems 2000]

Least squares on standardised columns of random shapes; the truth by eigenvalues.
"""

from __future__ import annotations

import argparse

import numpy as np

from fallline.curvature import largest_curvature
from fallline.losses.squared import Squared
from fallline.objective import ModelObjective
from fallline.penalties.none import NoPenalty
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling


def shares(problems: int) -> tuple[np.ndarray, np.ndarray]:
    """What was found as a share of the truth, and the products, of each problem."""
    rng = np.random.default_rng(1)
    found = np.empty((problems, 2))
    for k in range(problems):
        n, m = int(rng.integers(1, 40)), int(rng.integers(5, 200))
        X = rng.standard_normal((m, n)) @ (rng.standard_normal((n, n)) if rng.random() < 0.5 else np.eye(n))
        scaling = Scaling(X.mean(axis=0), X.std(axis=0), True)
        objective = ModelObjective(Squared(), NoPenalty(), scaling)
        L = largest_curvature(objective, ArrayRows(X, np.zeros(m)), np.zeros(n + 1), seed=k)
        Z = scaling.rows(X)
        found[k] = L.measured / np.linalg.eigvalsh(Z.T @ Z / m)[-1], L.products
    return found[:, 0], found[:, 1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=2000)
    share, products = shares(parser.parse_args().problems)
    print(
        f"found: {share.min():.3f} of L at worst, {np.median(share):.4f} at the median, in {products.mean():.1f} products"
    )
