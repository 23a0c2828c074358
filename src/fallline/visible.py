r"""Text of strangers (names of columns, levels, files) where people read it or paste it into a shell.

A terminal acts on control characters: they move the cursor, forge lines, recolour and answer questions. Format characters
reorder or hide what is read. They are shown as Python writes them in a string: ``\x1b``, ``\u202e``.
"""

from __future__ import annotations

import re
import unicodedata

# Cc: C0 and C1 controls. Cf: bidi overrides, isolates and marks, zero-width and tag characters. Cs: halves of pairs, as
# Python has them for bytes of file names that are not UTF-8. Zl, Zp: line and paragraph separators. Cn: characters that this
# Python does not know, among which a later Unicode may have some of these kinds.
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn")
JOINERS = "\u200c\u200d"  # between letters of Persian, Hindi and others, and in emoji; they reorder and hide nothing
LEFT_OUT = " ... "  # stands where the middle of a text was
REPEATED = 120  # characters of a file's words that an error repeats
SURE = re.compile(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*")  # words that no shell reads as anything but themselves


def visible(text: str, *, lines: bool = False) -> str:
    r"""`text` with every character that a terminal would act on, or that cannot be seen, as an escape.

    `lines`: line ends are meant and stay. A backslash stays as it is: this is for reading, not for reading back.

    >>> print(visible("a\x1b[2Jb\n\u202eVERDICT"))
    a\x1b[2Jb\n\u202eVERDICT
    """
    if text.isprintable():
        return text
    return "".join(_escaped(c) if _acts(c) and not (lines and c == "\n") else c for c in text)


def shortened(text: str, most: int = REPEATED, end: int | None = None) -> str:
    """`text` as ``visible`` shows it, in at most `most` characters; a longer one without its middle.

    `end`: how many of the characters are those of its end; half of them where it is not said.

    >>> shortened("a" * 20 + "b" * 20, 11), shortened("a" * 20 + "b" * 20, 11, end=2), shortened("a", 11)
    ('aaa ... bbb', 'aaaa ... bb', 'a')
    """
    if len(text) > 2 * most:  # nothing of the rest is shown, so that ten million letters need not be looked at
        text = f"{text[:most]}{text[-most:]}"
    plain = visible(text)
    if len(plain) <= most:
        return plain
    end = (most - len(LEFT_OUT)) // 2 if end is None else end
    return f"{plain[: most - end - len(LEFT_OUT)]}{LEFT_OUT}{plain[-end:]}"


def shell_word(text: str) -> str:
    r"""`text` as one word of a command for a POSIX shell; what cannot be seen in ``$'...'`` (bash, zsh, ksh, POSIX of 2024).

    Raises ValueError for what no argument of a program can be: a NUL, or half of a surrogate pair.

    >>> print(shell_word("price"), shell_word("it's; rm"), shell_word("a\nb"))
    price 'it'"'"'s; rm' $'a\012b'
    """
    if "\0" in text:
        raise ValueError("an argument cannot hold a NUL")
    if visible(text) == text:
        return text if SURE.fullmatch(text) else "'" + text.replace("'", "'\"'\"'") + "'"
    inner = "".join(c if c.isprintable() and c not in "'\\!" else _octal(c) for c in text)
    return f"$'{inner}'"


def shell_path(path: str) -> str:
    """The name of a file as one word of a command; a name that begins with a hyphen would be taken for an option.

    >>> print(shell_path("-x.csv"), shell_path("-"))
    ./-x.csv -
    """
    return shell_word(f"./{path}" if path.startswith("-") and path != "-" else path)


def _acts(c: str) -> bool:
    return not c.isprintable() and unicodedata.category(c) in HIDDEN and c not in JOINERS


def _escaped(c: str) -> str:
    return c.encode("unicode_escape").decode("ascii")


def _octal(c: str) -> str:
    """The bytes of a character as a shell reads them in ``$'...'``; three digits each, so that a digit may follow."""
    return "".join(f"\\{byte:03o}" for byte in c.encode("utf-8", "surrogateescape"))
