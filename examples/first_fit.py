"""First fit: how many minutes late does a flight arrive, given what is known when it leaves?"""

from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

import fallline

flights = pl.read_parquet(files("fallline") / "data" / "flights.parquet").drop_nulls()
X = flights.select("dep_delay", "distance", "hour", "month")
y = flights["arr_delay"]

# No learning rate: it is computed. One row in five is held out to check what was learnt.
result = fallline.fit(X, y, check=0.2, target_name="arr_delay")
print(result)

# Coefficients are in the units of the columns: minutes of delay per mile, per hour, ...
for name, weight in zip(result.feature_names, result.coef, strict=True):
    print(f"{name:10s} {weight:+.4f}")

# The model is one small file that is safe to open whoever sent it.
with TemporaryDirectory() as folder:
    result.save(Path(folder) / "flights.fall")
    model = fallline.load(Path(folder) / "flights.fall")

late = [[60.0, 1400.0, 18.0, 7.0]]  # an hour late at departure, 1,400 miles to go, at six in the evening, in July
print(f"expected delay on arrival: {model.predict(late)[0]:.0f} minutes")
