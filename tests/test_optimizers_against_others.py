"""200 steps of every rule beside torch.optim and optax, on replayed gradients, to 1e-12.

The gradients are recorded once from a noisy walk on a quadratic whose curvature differs by 1e3 between coordinates, and
replayed to both: in closed loop some rules (Adadelta) are nearly chaotic, so that two correct programs drift apart.
Beside torch the rate changes at every step, since conventions part there; every coordinate is held to the tolerance by
its own size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.optimizers import AnyOptimizer

STEPS, LR = 200, 0.01
RATES = LR * (1.0 + 0.5 * np.sin(np.arange(STEPS)))
STEADY = np.full(STEPS, LR)
CURVATURE = 10.0 ** np.linspace(0, 3, 6)
START = np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.1])


@pytest.fixture(scope="module")
def gradients() -> np.ndarray:
    rng = np.random.default_rng(0)
    theta, found = START.copy(), []
    for _ in range(STEPS):
        g = CURVATURE * theta + rng.standard_normal(6) * np.sqrt(CURVATURE)
        found.append(g)
        theta = theta - 5e-4 * g
    recorded = np.array(found)
    recorded[:20, 1] = 0.0  # a feature that is first seen late
    spread = np.abs(recorded).mean(axis=0)
    assert spread.max() / spread.min() > 20  # the replay does cover different scales
    return recorded


def ours(rule: AnyOptimizer, gradients: np.ndarray, rates: np.ndarray = STEADY, answer: bool = False) -> np.ndarray:
    theta, state, path = START.copy(), rule.init(START), []
    for g, lr in zip(gradients, rates.tolist(), strict=True):
        move, state = rule.update(g, state, lr)
        theta = theta + move
        path.append(rule.answer(theta, state) if answer else theta)
    return np.array(path)


def same(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-12) -> None:
    assert a.shape == b.shape == (STEPS, 6)
    scale = np.maximum(np.abs(b), np.abs(b - START))  # of each coordinate, so that none hides behind a larger one
    assert np.max(np.abs(a - b) / scale) <= tolerance


TORCH: dict[str, tuple[AnyOptimizer, Callable[[Any, Any], Any]]] = {
    "descent": (fl.Descent(), lambda o, p: o.SGD(p, lr=LR)),
    "momentum": (fl.Momentum(0.9), lambda o, p: o.SGD(p, lr=LR, momentum=0.9)),
    "momentum damped": (fl.Momentum(0.9, 0.3), lambda o, p: o.SGD(p, lr=LR, momentum=0.9, dampening=0.3)),
    "nesterov": (fl.Nesterov(0.9), lambda o, p: o.SGD(p, lr=LR, momentum=0.9, nesterov=True)),
    "adagrad": (fl.AdaGrad(), lambda o, p: o.Adagrad(p, lr=LR)),
    "adagrad with a large eps": (fl.AdaGrad(eps=1e-3), lambda o, p: o.Adagrad(p, lr=LR, eps=1e-3)),
    "adagrad decaying": (
        fl.AdaGrad(decay=0.1, initial=0.1),
        lambda o, p: o.Adagrad(p, lr=LR, lr_decay=0.1, initial_accumulator_value=0.1),
    ),
    "rmsprop": (fl.RMSProp(), lambda o, p: o.RMSprop(p, lr=LR)),
    "rmsprop centred": (
        fl.RMSProp(rho=0.9, beta=0.5, centered=True),
        lambda o, p: o.RMSprop(p, lr=LR, alpha=0.9, momentum=0.5, centered=True),
    ),
    "adadelta": (fl.Adadelta(), lambda o, p: o.Adadelta(p, lr=LR)),
    "adam": (fl.Adam(), lambda o, p: o.Adam(p, lr=LR)),
    "amsgrad": (fl.AMSGrad(), lambda o, p: o.Adam(p, lr=LR, amsgrad=True)),
    "adamax": (fl.AdaMax(), lambda o, p: o.Adamax(p, lr=LR)),
    "nadam": (fl.NAdam(), lambda o, p: o.NAdam(p, lr=LR)),
    "radam": (fl.RAdam(), lambda o, p: o.RAdam(p, lr=LR)),
    "adamw": (fl.AdamW(), lambda o, p: o.AdamW(p, lr=LR)),
}


@pytest.fixture
def torch() -> Iterator[Any]:
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps a product in the default type: float32 would be off by 2e-8
    yield torch
    torch.set_default_dtype(before)


@pytest.mark.parametrize("name", list(TORCH))
def test_torch(torch: Any, gradients: np.ndarray, name: str) -> None:
    rule, make = TORCH[name]
    theta = torch.nn.Parameter(torch.tensor(START))
    optimizer = make(torch.optim, [theta])
    path = []
    for g, lr in zip(gradients, RATES.tolist(), strict=True):
        theta.grad = torch.tensor(g)
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        path.append(theta.detach().numpy().copy())
    same(ours(rule, gradients, RATES), np.array(path))


def test_torch_asgd_average(torch: Any, gradients: np.ndarray) -> None:
    """torch.optim.ASGD with its decays off is a plain walk whose average starts at the second step: begin=1."""
    theta = torch.nn.Parameter(torch.tensor(START))
    optimizer = torch.optim.ASGD([theta], lr=LR, lambd=0.0, alpha=0.0, t0=0.0)
    path = []
    for g in gradients:
        theta.grad = torch.tensor(g)
        optimizer.step()
        path.append(optimizer.state[theta]["ax"].numpy().copy())
    same(ours(fl.AveragedSGD(begin=1), gradients, answer=True), np.array(path))


OPTAX: dict[str, tuple[AnyOptimizer, Callable[[Any], Any]]] = {
    "descent": (fl.Descent(), lambda o: o.sgd(LR)),
    "momentum": (fl.Momentum(0.9), lambda o: o.sgd(LR, momentum=0.9)),
    "nesterov": (fl.Nesterov(0.9), lambda o: o.sgd(LR, momentum=0.9, nesterov=True)),
    "adagrad": (fl.AdaGrad(initial=0.1, eps=1e-7, eps_in_sqrt=True), lambda o: o.adagrad(LR)),
    "rmsprop": (fl.RMSProp(rho=0.9, eps_in_sqrt=True), lambda o: o.rmsprop(LR)),
    "rmsprop centred": (
        fl.RMSProp(rho=0.9, beta=0.5, centered=True, eps_in_sqrt=True),
        lambda o: o.rmsprop(LR, momentum=0.5, centered=True),
    ),
    "rmsprop beside the root": (fl.RMSProp(), lambda o: o.rmsprop(LR, decay=0.99, eps_in_sqrt=False)),
    "adadelta": (fl.Adadelta(), lambda o: o.adadelta(LR, rho=0.9, eps=1e-6)),
    "adam": (fl.Adam(), lambda o: o.adam(LR)),
    "adamax": (fl.AdaMax(), lambda o: o.adamax(LR)),
    "nadam": (fl.NAdam(psi=1e5), lambda o: o.nadam(LR)),
    "adamw": (fl.AdamW(weight_decay=1e-2), lambda o: o.adamw(LR, weight_decay=1e-2)),
    "lion": (fl.Lion(), lambda o: o.lion(LR, weight_decay=0.0)),
    "lion decaying": (fl.Lion(weight_decay=1e-3), lambda o: o.lion(LR, weight_decay=1e-3)),
}


@pytest.fixture
def optax() -> Iterator[Any]:
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    import importlib

    importlib.import_module("optax.contrib")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield optax
    jax.config.update("jax_enable_x64", before)


def theirs(
    optax: Any, transform: Any, gradients: np.ndarray, answer: Callable[[Any, Any], Any] = lambda state, theta: theta
) -> np.ndarray:
    import jax.numpy as jnp

    theta = jnp.asarray(START)
    state, path = transform.init(theta), []
    for g in gradients:
        updates, state = transform.update(jnp.asarray(g), state, theta)
        theta = optax.apply_updates(theta, updates)
        path.append(np.asarray(answer(state, theta)))
    return np.array(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", list(OPTAX))
def test_optax(optax: Any, gradients: np.ndarray, name: str) -> None:
    rule, make = OPTAX[name]
    same(ours(rule, gradients), theirs(optax, make(optax), gradients))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("answer", [False, True])
def test_optax_schedule_free(optax: Any, gradients: np.ndarray, answer: bool) -> None:
    """Both where the gradient is taken and what is reported."""
    transform = optax.contrib.schedule_free(optax.sgd(LR), learning_rate=LR, b1=0.9, weight_lr_power=2.0)
    read = optax.contrib.schedule_free_eval_params if answer else lambda state, theta: theta
    same(ours(fl.ScheduleFree(beta=0.9), gradients, answer=answer), theirs(optax, transform, gradients, read))


def test_schedule_free_is_its_authors_loop(gradients: np.ndarray) -> None:
    """schedule_free.SGDScheduleFree without warm-up: it keeps y and z, moves y in place, and finds x from both."""
    beta, r = 0.8, 2.0
    y, z, lr_max, weight_sum, walk, answers = START.copy(), START.copy(), 0.0, 0.0, [], []
    for k, (g, lr) in enumerate(zip(gradients, RATES.tolist(), strict=True)):
        lr_max = max(lr_max, lr)
        weight = (k + 1) ** r * lr_max**2
        weight_sum += weight
        c = weight / weight_sum
        y = (1 - c) * y + c * z + lr * (beta * (1 - c) - 1) * g
        z = z - lr * g
        walk.append(y)
        answers.append((y - (1 - beta) * z) / beta)
    rule = fl.ScheduleFree(beta=beta, r=r)
    same(ours(rule, gradients, RATES), np.array(walk))
    same(ours(rule, gradients, RATES, answer=True), np.array(answers))


def test_polyak_average_is_the_mean_of_where_it_has_been(gradients: np.ndarray) -> None:
    walk = ours(fl.Descent(), gradients)
    means = np.cumsum(walk, axis=0) / np.arange(1, STEPS + 1)[:, None]
    same(ours(fl.AveragedSGD(), gradients, answer=True), means)
    later = ours(fl.AveragedSGD(begin=50), gradients, answer=True)
    np.testing.assert_allclose(later[-1], walk[50:].mean(axis=0), rtol=1e-11)


def test_accelerated_is_fista_with_restart() -> None:
    """The textbook's loop: x = y - lr g(y), y = x + (a-1)/a' (x - x_old), a back to 1 when g . (x - x_old) > 0."""
    y, x, a, lr = START.copy(), START.copy(), 1.0, 1.0 / CURVATURE.max()
    book, restarts = [], 0
    for _ in range(STEPS):
        g = CURVATURE * y
        x_new = y - lr * g
        if g @ (x_new - x) > 0:
            a, restarts = 1.0, restarts + 1
        a_new = (1 + np.sqrt(1 + 4 * a * a)) / 2
        y = x_new + (a - 1) / a_new * (x_new - x)
        x, a = x_new, a_new
        book.append(y)
    assert restarts >= 2
    rule, theta, path = fl.Accelerated(), START.copy(), []
    state = rule.init(theta)
    for _ in range(STEPS):
        move, state = rule.update(CURVATURE * theta, state, lr)
        theta = theta + move
        path.append(theta)
    np.testing.assert_allclose(path, book, rtol=1e-9, atol=1e-13)


def test_lbfgs_is_torchs(torch: Any) -> None:
    """On a convex function, in closed loop, 30 steps; the start is near enough for torch not to shorten the first step."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((40, 6)) * np.geomspace(1.0, 0.05, 6)
    t = rng.standard_normal(40) * 0.01

    def gradient(theta: np.ndarray) -> np.ndarray:
        r = A @ theta - t
        return A.T @ (r / np.sqrt(1.0 + r * r)) / 40

    theta, rule = START * 0.05, fl.LBFGS(memory=5)
    assert np.abs(gradient(theta)).sum() < 1.0
    other = torch.tensor(theta.copy(), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([other], lr=0.9, max_iter=1, history_size=5, tolerance_grad=0.0, tolerance_change=0.0)

    def closure() -> Any:
        optimizer.zero_grad()
        r = torch.tensor(A) @ other - torch.tensor(t)
        value = (torch.sqrt(1.0 + r * r) - 1.0).mean()
        value.backward()
        return value

    state = rule.init(theta)
    for _ in range(30):
        move, state = rule.update(gradient(theta), state, 0.9)
        theta = theta + move
        optimizer.step(closure)
        np.testing.assert_allclose(theta, other.detach().numpy(), rtol=0, atol=1e-10 * np.abs(START).max())
    assert np.linalg.norm(gradient(theta)) < 1e-3 * np.linalg.norm(gradient(START * 0.05))
