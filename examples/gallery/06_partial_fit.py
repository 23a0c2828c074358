"""A learning curve by `partial_fit`: rows that come one piece at a time, and a world that changes half way

Each piece is predicted before it is learnt, so the curve is honest. scikit-learn's SGDClassifier stands beside it. With
`half_life="auto"` several memories are kept, and the one that predicted best lately answers.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import SGDClassifier

from fallline import GDClassifier

rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 20))
before, after = rng.normal(size=(2, 20))
z = np.where(np.arange(20_000) < 10_000, X @ before, X @ after)
y = (rng.random(20_000) < 1 / (1 + np.exp(-z))).astype(int)

models = {
    "GDClassifier()": GDClassifier(),
    'GDClassifier(half_life="auto")': GDClassifier(half_life="auto"),
    "SGDClassifier('log_loss')": SGDClassifier("log_loss", random_state=0),
}
for name, model in models.items():
    wrong = []
    for begin in range(0, 20_000, 200):
        piece = slice(begin, begin + 200)
        if begin:
            wrong.append(np.mean(model.predict(X[piece]) != y[piece]))
        model.partial_fit(X[piece], y[piece], classes=[0, 1])
    print(f"{name:32s} wrong in {np.mean(wrong):.1%} of the rows")
    smooth = np.convolve(wrong, np.ones(5) / 5, mode="valid")
    plt.plot(200 * (np.arange(len(smooth)) + 5), smooth, label=name)
plt.axvline(10_000, color="gray", ls=":", label="the world changes")
plt.xlabel("rows seen")
plt.ylabel("share wrong, of the next 1,000 rows")
plt.legend(frameon=False)
plt.savefig("figure.png", dpi=110, bbox_inches="tight")
