"""Calibration: does a flight told to be late with 70 % arrive late in 70 of 100 cases?

Rows held out with `check` are predicted and counted in ten bins. What a linear model cannot say shows as a curve beside the
diagonal.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import polars as pl

import fallline

flights = pl.read_parquet(files("fallline") / "data" / "flights.parquet").drop_nulls()
flights = flights.with_columns(late=pl.col("arr_delay") > 15).drop("arr_delay", "dest")

result = fallline.fit(flights, "late", check=0.3, l2=1e-4)
print(result)
print("expected calibration error:", round(result.reliability.error, 4))

result.plot_reliability()
plt.savefig("figure.png", dpi=110, bbox_inches="tight")
