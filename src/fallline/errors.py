"""Every error that fallline raises on purpose, in one tree.

::

    FalllineError
    |-- SettingError      (ValueError)   an argument that cannot be; exit code 2
    |-- SettingTypeError  (TypeError)    an argument of the wrong kind; exit code 2
    |-- DataError         (ValueError)   data that cannot be trained on; exit code 4
    |   |-- TargetError                  the target column
    |   `-- SchemaError                  columns that do not fit the model
    |-- ModelFileError    (ValueError)   a file that is not a model of ours; exit code 4
    |   `-- OutputError                  what was made and cannot be written; exit code 7
    |-- GradientError     (ValueError)   a user's gradient that is not the gradient; exit code 4
    `-- MissingExtraError (ImportError)  an optional library that is not installed; exit code 2

A message says where, what was given, what is allowed, and what to do, in one line of at most ``MOST_LETTERS``. Names in it
may be anybody's, so ``str`` shows what a terminal would act on as escapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from fallline.visible import shortened

if TYPE_CHECKING:
    from fallline.symptoms._base import Finding


MOST_LETTERS: Final = 300  # of a message, its code included: a few lines of a terminal
KEPT_AT_THE_END: Final = 120  # letters of a longer message: most often what to do


class FalllineError(Exception):
    """The root: ``except fallline.FalllineError`` catches all that is raised on purpose.

    ``code`` names the symptom that was found where there is one, and stands before the message: ``fallline explain D24``
    says more of it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, *told: object, code: str = "") -> None:
        super().__init__(*told)
        self.code = code

    def __str__(self) -> str:
        told = super().__str__()
        return shortened(f"{self.code}: {told}" if self.code else told, MOST_LETTERS, KEPT_AT_THE_END)

    @property
    def finding(self) -> Finding | None:
        """The symptom for which the data, the settings or a gradient were refused; None where there is none."""
        from fallline.symptoms import refused

        return refused(self.code, super().__str__()) if self.code else None


class SettingError(FalllineError, ValueError):
    """A setting outside of what is allowed."""

    exit_code = 2


class SettingTypeError(FalllineError, TypeError):
    """A setting of the wrong kind."""

    exit_code = 2


class DataError(FalllineError, ValueError):
    """Data that cannot be trained on; nothing was run (the verdict *refused*)."""

    exit_code = 4


class TargetError(DataError):
    """A target that the loss cannot take."""


class SchemaError(DataError):
    """Columns that do not fit what the model was trained on."""


class ModelFileError(FalllineError, ValueError):
    """A file that is not a fallline model, is damaged, or is of a newer version."""

    exit_code = 4


class OutputError(ModelFileError):
    """What was made cannot be written: a full disk, no permission, no such folder, a reader that went away."""

    exit_code = 7


class GradientError(FalllineError, ValueError):
    """A given gradient that disagrees with finite differences of the function."""

    exit_code = 4


class MissingExtraError(FalllineError, ImportError):
    """An optional library that is needed and not installed."""

    exit_code = 2


class DivergenceWarning(UserWarning):
    """The learning rate was too large for this data; the numbers returned have exploded."""
