"""Models that travel: the same prediction inside a database

`to_sql()` is one expression over the columns of the table, with its holes and its text columns. `to_sklearn()`, `to_onnx()` and
`to_json()` are the other ways out.
"""

import sqlite3
from importlib.resources import files

import numpy as np
import polars as pl

import fallline

flights = pl.read_parquet(files("fallline") / "data" / "flights.parquet").drop_nulls(
    "arr_delay"
)
table = flights.select("dep_delay", "hour", "origin", "arr_delay")
result = fallline.fit(table, "arr_delay", loss="huber")
print(result.to_sql("sqlite"))

database = sqlite3.connect(":memory:")
database.execute(
    "CREATE TABLE flights (dep_delay REAL, hour INTEGER, origin TEXT, arr_delay REAL)"
)
database.executemany("INSERT INTO flights VALUES (?, ?, ?, ?)", table.rows())
inside = database.execute(f"SELECT {result.to_sql('sqlite')} FROM flights").fetchall()
difference = np.abs(np.array(inside)[:, 0] - result.predict(table)).max()
print("largest difference from predict():", f"{difference:.0e}")
