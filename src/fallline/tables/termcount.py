"""How many terms a formula has, counted before they are made: ``(a + b + c)**60`` would make 3^60."""

from __future__ import annotations

from typing import Any

from fallline.errors import SettingError
from fallline.tables.arithmetic import shown

# Of a formula. formulaic takes 5 s for a sum of 5,000 columns, which are 29,000 letters, and four times as long for twice
# as many; it makes 10,000 products in 0.2 s.
MOST_LETTERS, MOST_TERMS = 30_000, 20_000
MOST_POWER = 1_000  # formulaic makes a list as long as the exponent


def check_size(text: str) -> None:
    """Raise SettingError for a formula whose terms would be too many to be written down.

    >>> check_size("y ~ (a + b + c)**2")
    >>> check_size("y ~ (a + b + c)**60")
    Traceback (most recent call last):
        ...
    fallline.errors.SettingError: formula: 'y ~ (a + b + c)**60' has more than 20,000 terms before like ones are joined...
    """
    if len(text) > MOST_LETTERS:
        raise SettingError(
            f"formula: {shown(text)} has {len(text):,} letters; at most {MOST_LETTERS:,} are read. Give the table and the "
            "name of its target to use all columns."
        )
    from formulaic.parser import DefaultFormulaParser

    if _terms(DefaultFormulaParser().get_ast(text)) > MOST_TERMS:
        raise SettingError(
            f"formula: {shown(text)} has more than {MOST_TERMS:,} terms before like ones are joined. Use a smaller power, or "
            "name the products that matter."
        )


def _terms(tree: Any) -> int:
    """An upper bound of the terms that are made on the way, as far as MOST_TERMS.

    Not recursive, for the tree of a sum is as deep as the sum is long.
    """
    counts: list[int] = []
    waiting = [(tree, False)]
    while waiting:
        node, below = waiting.pop()
        operands = getattr(node, "args", None)
        if operands is None:
            counts.append(1)
        elif not below:
            waiting.append((node, True))
            waiting += [(operand, False) for operand in reversed(operands)]
        else:
            own = [counts.pop() for _ in operands][::-1]
            counts.append(min(_made(node.operator.symbol, own, operands), MOST_TERMS + 1))
    return max(counts)


def _made(symbol: str, own: list[int], operands: Any) -> int:
    if symbol in ("**", "^"):
        power = str(operands[-1])
        if not power.isdecimal():
            return own[0] * own[0]  # formulaic has a word to say to it
        exponent = int(power) if len(power) < 10 else MOST_TERMS
        if exponent > MOST_POWER:
            return MOST_TERMS + 1
        return int(min(own[0] ** min(exponent, 64), MOST_TERMS + 1))
    if symbol in ("+", "-", "~", "|", ",") or len(own) < 2:
        return sum(own)
    product = 1
    for count in own:
        product = min(product * count, MOST_TERMS + 1)
    return product if symbol == ":" else product + sum(own)
