"""The picture of a problem: seconds against relative suboptimality, a line for each solver."""

from __future__ import annotations

from pathlib import Path

from accuracy import OURS, Measured

LEAST = 1e-15  # relative suboptimality: what is lower is drawn here
SYMBOLS = "osD^v<>Ph*X"


def draw(found: Measured, folder: Path) -> Path:
    """Write <problem>.png: the ladder of each solver as points, and fallline's runs with tol at the targets as stars."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    def height(J: float) -> float:
        return max((J - found.best) / abs(found.best), LEAST)

    figure, axes = plt.subplots(figsize=(8.0, 5.0), layout="constrained")
    for k, (name, points) in enumerate(found.points.items()):
        drawn = [point for point in points if point.J < float("inf")]
        own = name == OURS
        axes.plot(
            [point.seconds for point in drawn], [height(point.J) for point in drawn], label=name,
            marker=SYMBOLS[k % len(SYMBOLS)], markersize=4, linewidth=2.0 if own else 1.0,
            color="black" if own else None, zorder=3 if own else 2,
        )  # fmt: skip
    for claim in found.claims:
        seconds = found.medians[claim.target][OURS]["median"]
        axes.plot([seconds], [height(claim.J)], "*", color="black", markersize=13, zorder=4)
        axes.axhline(claim.target, color="0.8", linewidth=1.0, zorder=1)
    axes.set(
        xscale="log", yscale="log", xlabel="seconds", ylabel="(J - J*) / J*", title=f"{found.problem}: {found.input}"
    )
    axes.legend(fontsize="small")
    path = folder / f"{found.problem}.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
