"""The textbook's function on y = 2x: the healthy curve, and the two pitfalls of a learning rate."""

import sys
import warnings

import numpy as np

import fallline

X = np.arange(1.0, 6.0).reshape(-1, 1)
y = 2.0 * X

theta, cost_history = fallline.gradient_descent(X, y, learning_rate=0.01, iterations=100)
print(f"rate 0.01    theta = {theta[0, 0]:.6f}, cost from {cost_history[0]:.1f} to {cost_history[-1]:.1e}")

# Too small: the cost falls, painfully slowly.
theta, slow = fallline.gradient_descent(X, y, learning_rate=0.0001, iterations=100)
print(f"rate 0.0001  theta = {theta[0, 0]:.6f}, cost from {slow[0]:.1f} to {slow[-1]:.1e}")

# Too large: every step overshoots by more than the last. What was computed is returned, with the reason.
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    theta, exploded = fallline.gradient_descent(X, y, learning_rate=0.2, iterations=100)
print(f"rate 0.2     theta = {theta[0, 0]:.1e}, cost from {exploded[0]:.1f} to {exploded[-1]:.1e}")
print(f"             {caught[0].message}")

# Draw the three curves: python examples/textbook.py curves.png
if len(sys.argv) > 1:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    for label, curve in [("0.01", cost_history), ("0.0001: too small", slow), ("0.2: too large", exploded[:12])]:
        ax.semilogy(curve, label=f"learning rate {label}")
    ax.set(xlabel="iteration", ylabel="cost", title="y = 2x by gradient descent")
    ax.legend()
    figure.savefig(sys.argv[1])
