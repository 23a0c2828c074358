"""A pipeline on a table: house prices from numbers with holes and a text column

`GDRegressor` stands at the end of a scikit-learn pipeline as any estimator does. Huber's loss keeps the prices that the
census cut off at 500,001 from pulling at the rest.
"""

import sys
from pathlib import Path

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from fallline import GDRegressor, Huber

homes = pd.read_csv(Path(sys.path[0]).parent / "data" / "housing.csv.gz")
price = homes.pop("median_house_value")
numbers = homes.columns.drop("ocean_proximity")

columns = ColumnTransformer(
    [
        ("numbers", SimpleImputer(strategy="median"), numbers),
        ("sea", OneHotEncoder(), ["ocean_proximity"]),
    ]
)
model = make_pipeline(columns, GDRegressor(loss=Huber(delta=50_000)))

scores = cross_val_score(model, homes, price, cv=5, scoring="r2")
print("R2 in five folds:", scores.round(3))

model.fit(homes, price)
last = model[-1]
print(last.verdict_, "in", last.n_iter_, "steps:", last.result_.sentence)
