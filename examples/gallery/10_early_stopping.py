"""Early stopping: keep the parameters that are best on rows held out

With nearly as many columns as rows the training loss goes on falling while the check loss turns. The run ends when
`n_iter_no_change` looks have passed without a lower check loss, and the best parameters are kept.
"""

import matplotlib.pyplot as plt
import numpy as np

from fallline import GDRegressor

rng = np.random.default_rng(1)
X = rng.normal(size=(150, 100))
y = X[:, :5] @ np.ones(5) + rng.normal(size=150) * 2

whole = GDRegressor().fit(X[:100], y[:100])
early = GDRegressor(
    optimizer="momentum", learning_rate=0.005, early_stopping=True, n_iter_no_change=20
)
early.fit(X[:100], y[:100], X_val=X[100:125], y_val=y[100:125])

print(early.verdict_, "-", early.result_.sentence)
print("R2 on 25 rows that neither saw:", round(early.score(X[125:], y[125:]), 2))
print(
    "of the model with the lowest training loss:",
    round(whole.score(X[125:], y[125:]), 2),
)
early.result_.plot()
plt.savefig("figure.png", dpi=110, bbox_inches="tight")
