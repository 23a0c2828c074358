"""A grid search over the ridge: which `l2` reads handwritten digits best

Each fit ends with a proof, so what the search compares is the penalties and not how far each fit got.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from fallline import GDClassifier

X, y = load_digits(return_X_y=True)
strengths = np.logspace(-4, 0, 5)
search = GridSearchCV(GDClassifier(), {"l2": strengths}, cv=3).fit(X, y)

best = search.best_estimator_
print(f"best: l2 = {best.l2:g}, accuracy {search.best_score_:.3f}")
print(f"the fit on all rows: {best.verdict_}, gap {best.gap_:.1e}")

mean, sd = (search.cv_results_[f"{which}_test_score"] for which in ("mean", "std"))
plt.errorbar(strengths, mean, sd, marker="o", capsize=3)
plt.xscale("log")
plt.xlabel("l2")
plt.ylabel("accuracy, 3 folds")
plt.savefig("figure.png", dpi=110, bbox_inches="tight")
