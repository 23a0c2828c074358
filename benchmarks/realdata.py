"""Real data beside the repository (../shared/data, see its README.md). Problems without their file are left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

HOME = Path(__file__).resolve().parents[2] / "shared" / "data"
MOST_CLAIMS = 4


class Missing(Exception):
    """The data are not at hand."""


def find(name: str) -> Path:
    path = HOME / name
    if not path.exists():
        raise Missing(f"{path} is not there")
    return path


def cover_type() -> tuple[Any, Any]:
    """581,012 x 54 raw columns, and the cover type 1 .. 7."""
    import polars as pl

    frame = pl.read_parquet(find("covtype.parquet"))
    X = np.ascontiguousarray(frame.drop("Cover_Type").to_numpy().astype(np.float64))
    return X, frame["Cover_Type"].to_numpy()


def motor_claims() -> tuple[Any, Any, Any]:
    """678,013 x about 45 columns, claims (at most 4) and exposure in years: text one-hot, numbers raw, log of the density."""
    import polars as pl

    frame = pl.read_parquet(find("freMTPL2freq.parquet"))
    parts = [frame.select("VehPower", "VehAge", "DrivAge", "BonusMalus").to_numpy().astype(np.float64)]
    parts.append(np.log(frame["Density"].to_numpy().astype(np.float64))[:, None])
    for name in ("VehBrand", "VehGas", "Region", "Area"):
        levels, codes = np.unique(frame[name].to_numpy().astype(str), return_inverse=True)
        parts.append((codes[:, None] == np.arange(len(levels))).astype(np.float64))
    y = np.minimum(frame["ClaimNb"].to_numpy().astype(np.float64), MOST_CLAIMS)
    return np.ascontiguousarray(np.hstack(parts)), y, frame["Exposure"].to_numpy().astype(np.float64)


def newsgroups() -> tuple[Any, Any]:
    """CSR 11,314 x 130,107 token counts, and the newsgroup 0 .. 19."""
    with np.load(find("20news_counts_csr.npz")) as z:
        X = scipy.sparse.csr_matrix(
            (z["train_data"].astype(np.float64), z["train_indices"], z["train_indptr"]), shape=tuple(z["train_shape"])
        )
        return X, z["train_y"].astype(np.float64)


def census() -> tuple[Any, Any, float]:
    """CSR 32,561 x 123 of zeros and ones, labels 0 or 1, and the optimum of reference.json for l2 = 1/m, no intercept."""
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(find("a9a.libsvm.train")), n_features=123)
    known = json.loads(find("reference/reference.json").read_text(encoding="utf-8"))
    cases = known["computed_optima_logistic_l2_no_intercept"]["cases"]
    optimum = next(case["objective"] for case in cases if case["data"] == "a9a.libsvm.train")
    X = scipy.sparse.csr_matrix(X)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)  # the only ones that all peers take
    return X, (y > 0).astype(np.float64), float(optimum)
