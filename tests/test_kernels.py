"""The compiled twins equal the readable definitions, whatever the loss, the layout and the size."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import fallline
from fallline import kernels
from fallline.kernels import arithmetic
from fallline.losses import losses
from fallline.losses._base import Loss
from fallline.losses.quantile import Quantile
from fallline.objective import ModelObjective
from fallline.penalties import as_penalty
from fallline.rows import compiled
from fallline.rows.arrays import ArrayRows
from fallline.rows.coded import Coded, code_type
from fallline.scaling import Scaling
from fallline.summary import summarise
from fallline.threads import thread_count, use_threads

LOSSES = [kind() for name, kind in losses().items() if name != "quantile"] + [
    Quantile(0.3),
    Quantile(0.3, smoothing=0.2),
]


def in_codes(X: np.ndarray) -> Coded:
    """The first columns as numbers, and codes of the others instead of what X holds there."""
    (m, n), d = X.shape, X.shape[1] - X.shape[1] // 3
    codes = np.random.default_rng(2).integers(d, n + 1, (m, 1 if d < n else 0)).astype(code_type(n))
    return Coded(np.ascontiguousarray(X[:, :d]), np.arange(d), codes, n)


LAYOUTS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "read only": lambda X: np.broadcast_to(X, X.shape),
    "codes": lambda X: in_codes(X),
    "csr": sp.csr_array,
    "csr float32": lambda X: sp.csr_array(X.astype(np.float32)),
}


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "FROM_NUMBERS", 0)


def problem(loss: Loss, m: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, ModelObjective]:
    rng = np.random.default_rng(m * n)
    X = np.where(rng.random((m, n)) < 0.6, rng.standard_normal((m, n)), 0.0)
    y = np.abs(rng.standard_normal(m)) + 0.1
    if loss.task != "number":
        y = rng.integers(0, 3 if loss.task == "classes" else 2, m).astype(float)
    scaling = Scaling(rng.standard_normal(n), np.exp(rng.standard_normal(n)), True)
    theta = rng.standard_normal((n + 1, 3) if loss.task == "classes" else n + 1) * 0.3
    return X, y, theta, ModelObjective(loss, as_penalty(None, 0.0, 0.1, None), scaling)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_a_compiled_pass_is_the_pass(loss: Loss, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for m, n in ((501, 7), (3, 5), (300, 1), (1, 2)):
        X, y, theta, objective = problem(loss, m, n)
        rng = np.random.default_rng(1)
        for beside in ({}, {"weight": rng.random(m), "offset": rng.standard_normal(m)}):
            rows = ArrayRows(LAYOUTS[layout](X), y, **beside)
            monkeypatch.setattr(kernels, "FROM_NUMBERS", 10**12)
            J, g = objective.value_and_grad(theta, rows)
            monkeypatch.setattr(kernels, "FROM_NUMBERS", 0)
            assert layout == "columns" and loss.task == "classes" or rows.fused(loss, *objective.scaling.outward(theta))
            J_compiled, g_compiled = objective.value_and_grad(theta, rows)
            close = 1e-12 if "32" not in layout else 2e-5  # NumPy sums float32 products in float32, kernels in float64
            assert J_compiled == pytest.approx(J, rel=close)
            np.testing.assert_allclose(g_compiled, g, rtol=0.0, atol=close * np.abs(g).max())


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_compiled_moments_are_the_moments(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X = np.where(rng.random((4003, 6)) < 0.5, rng.standard_normal((4003, 6)) * 10.0 ** np.arange(-3, 3), 0.0)
    X[:, 2], X[:, 3] = 7.0, np.sort(X[:, 3])
    for weight in (None, np.where(np.arange(4003) < 2000, 0.0, rng.random(4003))):  # whole pieces without weight too
        rows = ArrayRows(LAYOUTS[layout](X), X[:, 0], weight)
        monkeypatch.setattr(kernels, "FROM_NUMBERS", 10**12)
        plain = summarise(rows, tuple("abcdef"), "y")
        monkeypatch.setattr(kernels, "FROM_NUMBERS", 0)
        assert rows.moments() is not None
        twin = summarise(rows, tuple("abcdef"), "y")
        close = 1e-12 if "32" not in layout else 1e-5
        np.testing.assert_allclose(twin.mean, plain.mean, rtol=close, atol=close)
        np.testing.assert_allclose(twin.sd, plain.sd, rtol=close, atol=close)
        np.testing.assert_array_equal(twin.low, plain.low)
        np.testing.assert_array_equal(twin.high, plain.high)
        assert twin.sd[2] == 0.0


def test_moments_keep_their_digits_where_the_mean_is_large(always: None) -> None:
    rng = np.random.default_rng(0)
    X = 1e8 + rng.standard_normal((5000, 2)) * [1.0, 1e-3]
    exact = np.std(X.astype(np.longdouble), axis=0).astype(float)
    np.testing.assert_allclose(np.sqrt(ArrayRows(X, X[:, 0]).moments().square), exact, rtol=1e-6)


@pytest.mark.parametrize("name", ["exp", "log", "log1p"])
def test_arithmetic_is_numpys(name: str) -> None:
    """Within four units in the last place, in and out of range; called from code that may reorder sums as well."""
    import numba

    function = getattr(arithmetic, name)

    @numba.njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
    def loop(x: Any, out: Any) -> None:
        for i in range(len(x)):
            out[i] = function(x[i])

    rng = np.random.default_rng(0)
    x = {
        "exp": np.concatenate([rng.uniform(-700, 709, 20000), rng.uniform(-1, 1, 20000)]),
        "log": np.concatenate([np.exp(rng.uniform(-700, 700, 20000)), rng.uniform(0.5, 2, 20000)]),
        "log1p": np.concatenate([np.exp(rng.uniform(-700, 700, 20000)), rng.uniform(-0.999, 1, 20000)]),
    }[name]
    edges = np.array([0.0, -0.0, 1.0, -1.0, -2.0, 800.0, -800.0, np.inf, -np.inf, np.nan, 5e-324, 1e308])
    out = np.empty(len(x) + len(edges))
    loop(np.concatenate([x, edges]), out)
    with np.errstate(all="ignore"):
        truth = getattr(np, name)(np.concatenate([x, edges]))
    np.testing.assert_array_max_ulp(out[: len(x)], truth[: len(x)], maxulp=4)
    np.testing.assert_allclose(out[len(x) :], truth[len(x) :], rtol=1e-15)


def test_threads_change_nothing(always: None) -> None:
    """Bit for bit: the rows are cut by their number alone."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9001, 11))
    y = (X[:, 0] + rng.standard_normal(9001) > 0).astype(float)
    for features in (X, np.asfortranarray(X), sp.csr_array(np.where(X > 0.5, X, 0.0))):
        one, three = (fallline.fit(features, y, loss="logistic", n_threads=k) for k in (1, 3))
        np.testing.assert_array_equal(one.theta, three.theta)
        assert one.gap == three.gap


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FALLLINE_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert thread_count() == 3
    monkeypatch.setenv("FALLLINE_NUM_THREADS", "5")
    assert thread_count() == 5
    with use_threads(2):
        assert thread_count() == 2
        with use_threads(None):
            assert thread_count() == 2
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(fallline.FalllineError, match="n_threads"):
            fallline.fit([[1.0], [2.0]], [1.0, 2.0], n_threads=wrong)


def test_fits_in_several_python_threads(always: None) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 5))
    y = X[:, 0] + rng.standard_normal(3000)
    alone = fallline.fit(X, y).theta
    found: list[Any] = [None] * 8
    workers = [
        threading.Thread(target=lambda k=k: found.__setitem__(k, fallline.fit(X, y).theta)) for k in range(len(found))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60.0)
    for theta in found:
        np.testing.assert_array_equal(theta, alone)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_worker_can_fit() -> None:
    """The threads of the parent are not there in the child, which must not wait for them."""
    code = """
import os, sys, numpy as np, fallline
from fallline import kernels
kernels.FROM_NUMBERS = 0
X = np.random.default_rng(0).standard_normal((3000, 5)); y = X[:, 0]
fallline.fit(X, y, n_threads=2)
child = os.fork()
if child == 0:
    ok = fallline.fit(X, y, n_threads=2).verdict == "converged"
    os._exit(0 if ok else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=120).returncode == 0


def test_a_users_own_loss_is_compiled(always: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import dataclass

    from fallline.losses.huber import Huber

    @dataclass(frozen=True)
    class SmoothHuber(Huber):
        """delta^2 (sqrt(1 + (r / delta)^2) - 1)."""

        def value(self, y: Any, z: Any) -> Any:
            return self.delta**2 * (np.sqrt(1.0 + ((z - y) / self.delta) ** 2) - 1.0)

        def slope(self, y: Any, z: Any) -> Any:
            return (z - y) / np.sqrt(1.0 + ((z - y) / self.delta) ** 2)

    loss = SmoothHuber(delta=0.7)
    X, y, theta, objective = problem(loss, 400, 3)
    rows = ArrayRows(X, y)
    assert compiled.fused(rows, loss, np.ones(3), 0.1) is not None
    J, g = objective.value_and_grad(theta, rows)
    monkeypatch.setattr(kernels, "FROM_NUMBERS", 10**12)
    J_plain, g_plain = objective.value_and_grad(theta, rows)
    assert J == pytest.approx(J_plain, rel=1e-12)
    np.testing.assert_allclose(g, g_plain, rtol=1e-11, atol=1e-13)


def test_a_loss_that_does_not_compile_is_left_to_numpy(always: None) -> None:
    from dataclasses import dataclass

    from fallline.losses.squared import Squared

    @dataclass(frozen=True)
    class Chatty(Squared):
        def value(self, y: Any, z: Any) -> Any:
            return np.asarray([float(v) for v in str(list(np.atleast_1d((z - y) ** 2 / 2.0)))[1:-1].split(",")]) + 0.0

    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 2))
    rows = ArrayRows(X, X[:, 0])
    assert compiled.fused(rows, Chatty(), np.ones(2), 0.0) is None
    assert compiled.fused(rows, Chatty(), np.ones(2), 0.0) is None  # not tried again


CACHE_PROBE = """
import sys, time, numpy as np, fallline
from fallline import kernels
kernels.FROM_NUMBERS = 0
rng = np.random.default_rng(0)
X = rng.standard_normal((500, 3)); y = (X[:, 0] > 0) * 1.0; y[:9] = 1 - y[:9]
r = fallline.fit(X, y, loss="logistic", l2=0.01)
from fallline.kernels import compile as c, dense
stats = dense.by_rows._kept.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), c.cache_folder())
"""


def probe(cache: Path, package: Path | None = None) -> tuple[int, int, str]:
    environment = {**os.environ, "FALLLINE_CACHE_DIR": str(cache)}
    if package is not None:
        environment["PYTHONPATH"] = str(package)
    out = subprocess.run(
        [sys.executable, "-c", CACHE_PROBE], env=environment, capture_output=True, text=True, timeout=300, check=True
    ).stdout.split()
    return int(out[0]), int(out[1]), out[2]


def test_kernels_are_kept_and_every_source_counts(tmp_path: Path) -> None:
    """A second process finds them; a changed formula in another file is noticed; they can be cleared."""
    import shutil

    home = tmp_path / "copy"
    source = Path(fallline.__file__).parent
    shutil.copytree(source, home / "fallline", ignore=shutil.ignore_patterns("__pycache__"))
    hits, misses, folder = probe(tmp_path / "cache", home)
    assert (hits, misses > 0) == (0, True)
    hits, misses, again = probe(tmp_path / "cache", home)
    assert misses == 0 and hits > 0 and again == folder
    formula = home / "fallline" / "losses" / "logistic.py"
    formula.write_text(formula.read_text().replace("return self.mean(z) - y", "return 1.0 * (self.mean(z) - y)"))
    hits, misses, other = probe(tmp_path / "cache", home)
    assert hits == 0 and misses > 0 and other != folder


def test_the_cache_can_be_cleared_and_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fallline.kernels import compile as compiling

    monkeypatch.setenv("FALLLINE_CACHE_DIR", str(tmp_path))
    folder = compiling.cache_folder()
    assert folder is not None
    (folder / "x.nbc").write_bytes(b"1")
    (tmp_path / "kernels-of-mine").mkdir()  # somebody else's folder, whatever it is called
    assert fallline.clear_kernel_cache() == 1 and [p.name for p in tmp_path.iterdir()] == ["kernels-of-mine"]
    monkeypatch.delenv("FALLLINE_CACHE_DIR")
    monkeypatch.setattr(compiling, "PACKAGE", Path(os.devnull))  # a read-only install: nothing can be made in there
    monkeypatch.setattr(compiling, "_digest", lambda: "x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    if sys.platform == "linux":
        assert compiling.cache_folder() == tmp_path / "user" / "fallline" / "kernels-x"
    monkeypatch.setattr(compiling, "_homes", lambda: [Path(os.devnull)])
    assert compiling.cache_folder() is None  # compiled anew in each process, and nothing is left behind
