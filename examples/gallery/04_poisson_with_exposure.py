"""Counts with an exposure: how often do flights arrive more than an hour late?

A carrier with many flights has many late ones. The logarithm of the number of flights enters as an offset, with no
coefficient of its own, so that the model is one of the rate: late flights per flight.
"""

from importlib.resources import files

import numpy as np
import polars as pl
from sklearn.preprocessing import OneHotEncoder

from fallline import GDRegressor

flights = pl.read_parquet(files("fallline") / "data" / "flights.parquet").drop_nulls()
groups = flights.group_by("carrier", "origin", "month", maintain_order=True).agg(
    late=(pl.col("arr_delay") > 60).sum(), flights=pl.len()
)
encoder = OneHotEncoder(drop="first", sparse_output=False).set_output(
    transform="polars"
)
X = encoder.fit_transform(groups.select("carrier", "origin", "month"))

model = GDRegressor(loss="poisson", l2=1e-3)
model.fit(X, groups["late"], offset=np.log(groups["flights"].to_numpy()))
print(model.verdict_, "-", model.result_.sentence)

rate = dict(zip(model.feature_names_in_, np.exp(model.coef_), strict=True))
for name in ("month_7", "month_12", "origin_JFK", "carrier_EV", "carrier_HA"):
    print(f"{name:12s} multiplies the rate of late flights by {rate[name]:.2f}")
