"""Learning rates: one way to choose the step per file. See _base.py for what a rate declares."""

from __future__ import annotations

from fallline.errors import SettingError
from fallline.family import look_up, members
from fallline.rates._base import Rate


def rates() -> dict[str, type[Rate]]:
    """Return every way to choose a rate, by name."""
    found: dict[str, type[Rate]] = members(__name__, Rate)
    return found


def as_rate(learning_rate: float | str | Rate) -> Rate:
    """Return the rate that `learning_rate` says: a number, a Rate, or ``"cosine:0.1"`` (a name and its rate).

    >>> as_rate(0.1).reason
    '0.1, as named'
    >>> float(as_rate("cosine:0.1").at(50, 100))
    0.05
    """
    if isinstance(learning_rate, Rate):
        return learning_rate
    if isinstance(learning_rate, str):
        name, colon, number = learning_rate.partition(":")
        try:
            return look_up("constant" if not colon else name, rates(), "learning_rate", lr=float(number or name))
        except (ValueError, TypeError) as error:
            if isinstance(error, SettingError):
                raise
            raise SettingError(
                f"learning_rate: got {learning_rate!r}; it must be 'auto', a number above 0, or a schedule and "
                f"its rate such as 'cosine:0.1' ({', '.join(rates())})."
            ) from None
    return look_up("constant", rates(), "learning_rate", lr=learning_rate)
