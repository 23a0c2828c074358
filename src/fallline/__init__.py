"""fallline: training by gradient descent, theta <- theta - lr * grad J(theta).

No learning rate to guess; a verdict with its evidence and a loss curve instead of a warning; any size, one call.

>>> import fallline
>>> result = fallline.fit([[1.0], [2.0], [3.0], [4.0]], [2.0, 4.1, 6.2, 7.9])
>>> str(result.verdict), str(result.certainty)
('converged', 'proved')
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # what type checkers and editors see; at run time each name is imported when it is first used
    from fallline.comparing import Comparison as Comparison
    from fallline.comparing import compare as compare
    from fallline.descent import gradient_descent as gradient_descent
    from fallline.estimators.classifier import GDClassifier as GDClassifier
    from fallline.estimators.regressor import GDRegressor as GDRegressor
    from fallline.fitting import fit as fit
    from fallline.minimise import minimize as minimize
    from fallline.result import Result as Result
    from fallline.result import load as load
    from fallline.rows.sources.sql import SqlSource as SqlSource

# Public names and their homes: `import fallline` stays light because nothing here is imported before it is used.
_HOMES = {
    "fallline.fitting": ("fit",),
    "fallline.minimise": ("minimize",),
    "fallline.descent": ("gradient_descent",),
    "fallline.result": ("Result", "load"),
    "fallline.rows.sources.sql": ("SqlSource",),
    "fallline.estimators.regressor": ("GDRegressor",),
    "fallline.estimators.classifier": ("GDClassifier",),
    "fallline.comparing": ("Comparison", "compare"),
    "fallline.lens": ("RateReport",),
    "fallline.recorder": ("Event",),
    "fallline.history": ("History",),
    "fallline.verdict": ("Verdict", "Certainty"),
    "fallline.symptoms._base": ("Finding",),
    "fallline.symptoms": ("explain",),
    "fallline.errors": (
        "FalllineError", "SettingError", "SettingTypeError", "DataError", "TargetError", "SchemaError",
        "ModelFileError", "OutputError", "GradientError", "MissingExtraError", "DivergenceWarning",
    ),
    "fallline.losses.squared": ("Squared",),
    "fallline.losses.logistic": ("Logistic",),
    "fallline.losses.softmax": ("Softmax",),
    "fallline.losses.huber": ("Huber",),
    "fallline.losses.quantile": ("Quantile",),
    "fallline.losses.poisson": ("Poisson",),
    "fallline.losses.gamma": ("Gamma",),
    "fallline.losses.squared_hinge": ("SquaredHinge",),
    "fallline.penalties.none": ("NoPenalty",),
    "fallline.penalties.l2": ("L2",),
    "fallline.penalties.l1": ("L1",),
    "fallline.penalties.elastic_net": ("ElasticNet",),
    "fallline.penalties.bounds": ("Bounds",),
    "fallline.optimizers.descent": ("Descent",),
    "fallline.optimizers.momentum": ("Momentum",),
    "fallline.optimizers.nesterov": ("Nesterov",),
    "fallline.optimizers.accelerated": ("Accelerated",),
    "fallline.optimizers.adagrad": ("AdaGrad",),
    "fallline.optimizers.rmsprop": ("RMSProp",),
    "fallline.optimizers.adadelta": ("Adadelta",),
    "fallline.optimizers.adam": ("Adam",),
    "fallline.optimizers.amsgrad": ("AMSGrad",),
    "fallline.optimizers.adamax": ("AdaMax",),
    "fallline.optimizers.nadam": ("NAdam",),
    "fallline.optimizers.radam": ("RAdam",),
    "fallline.optimizers.adamw": ("AdamW",),
    "fallline.optimizers.lion": ("Lion",),
    "fallline.optimizers.averaged": ("AveragedSGD",),
    "fallline.optimizers.lbfgs": ("LBFGS",),
    "fallline.optimizers.schedule_free": ("ScheduleFree",),
    "fallline.rates.constant": ("Constant",),
    "fallline.rates.step": ("Step",),
    "fallline.rates.exponential": ("Exponential",),
    "fallline.rates.inverse_time": ("InverseTime",),
    "fallline.rates.cosine": ("Cosine",),
    "fallline.rates.warm_up": ("WarmUp",),
    "fallline.rates.one_cycle": ("OneCycle",),
    "fallline.rates.backtracking": ("Backtracking",),
    "fallline.kernels.compile": ("clear_kernel_cache",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"fallline has no {name!r}; its public names are in fallline.__all__.")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
