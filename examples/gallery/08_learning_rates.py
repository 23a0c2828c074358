"""The two pitfalls: a learning rate that is too large, one that is too small, and the one that was computed

The curve should always be plotted; here is what it looks like, and what fallline says to each.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from fallline import GDRegressor

X, y = load_diabetes(return_X_y=True)
warnings.simplefilter("ignore", ConvergenceWarning)  # they are what this is about

for rate in (1.0, 0.001, "auto"):
    model = GDRegressor(optimizer="descent", learning_rate=rate, max_passes=300).fit(
        X, y
    )
    print(f"learning_rate={rate!r}: {model.verdict_}. {model.result_.sentence}")
    for finding in model.findings_[:1]:
        print("   ", finding.code, finding.sentence)
    plt.semilogy(model.loss_curve_, label=f"learning_rate={rate!r}: {model.verdict_}")
plt.ylim(1e3, 1e5)
plt.xlabel("step")
plt.ylabel("J(theta)")
plt.legend(frameon=False)
plt.savefig("figure.png", dpi=110, bbox_inches="tight")
