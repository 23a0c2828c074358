"""Credentials in addresses: they are replaced by ``***`` before an address is kept, printed or repeated in an error.

Passwords belong in the environment (``PGPASSWORD``), in a password file (``~/.pgpass``), or are typed anew each time.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"  # stands where a credential was
# Letters of a credential, or of a piece of one, that is looked for anywhere in a message; shorter ones only in quotes.
SHORTEST = 3
DATABASES = ("postgresql", "postgres", "mysql", "mariadb", "mssql", "oracle", "redshift", "snowflake", "clickhouse")
CONTAINERS = ("abfs", "abfss", "wasb", "wasbs", "adl", "adls")  # of Azure: CONTAINER@ACCOUNT names no person

# The scheme, then all up to a blank or a quote that ends the address in a sentence or a query.
_ADDRESS = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*)://([^\s'\"<>`]+)")
_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|signature|credential|api[_-]?key|access[_-]?key|account[_-]?key|"
    r"private[_-]?key)[\w.-]*|(?:[\w.-]*[_.-])?(?:sig|key|code|auth|authorization|pass|pat|jwt|sas|session)"
)
_PARAMETER = re.compile(rf"(?i)(?<=[?&;#])((?:{_NAME})=)([^&;#\s'\")]*)")
# As in "host=x password=y", which several drivers take instead of an address, and as in "password='y'".
_SETTING = re.compile(
    r"(?i)\b((?:ssl)?passw(?:or)?d|passphrase|pwd|secret|[\w-]*secret_?access_?key|session_?token|account_?key|api_?key)"
    r"(\s*=\s*)(?!\*\*\*)('(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|[^\s;,&'\")]+)"
)


def redacted(text: str) -> str:
    """`text` with ``***`` in the place of all credentials of the addresses in it.

    >>> redacted("postgresql://ann:s3cret@host/sales")
    'postgresql://ann:***@host/sales'
    >>> redacted("https://host/f.csv?part=1&X-Amz-Signature=ab12"), redacted("host=x password=s3cret")
    ('https://host/f.csv?part=1&X-Amz-Signature=***', 'host=x password=***')
    """
    if "://" in text:
        text = _ADDRESS.sub(_without, text)
    if "=" in text:
        text = _SETTING.sub(rf"\1\2{HIDDEN}", _PARAMETER.sub(rf"\1{HIDDEN}", text))
    return text


def redacted_all(value: Any) -> Any:
    """Plain data (lists, tuples, dictionaries) with all its texts redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        return [redacted_all(part) for part in value]
    if type(value) is tuple:
        return tuple(redacted_all(part) for part in value)
    if isinstance(value, dict):
        return {redacted_all(key): redacted_all(part) for key, part in value.items()}
    return value


def redacted_message(message: str, address: str) -> str:
    """What a driver says of `address`, without its credentials, whole or in pieces.

    A driver that reads an address in another way may take a piece of the password for the host or the port, and say so.
    """
    message = redacted(message)
    for secret in sorted(_credentials(address), key=len, reverse=True):
        quoted = rf"(?<=[\"']){re.escape(secret)}(?=[\"'])"
        message = message.replace(secret, HIDDEN) if len(secret) >= SHORTEST else re.sub(quoted, HIDDEN, message)
    return message


def _without(found: re.Match[str]) -> str:
    scheme, rest = found[1], found[2]
    user, at, place = _parted(scheme.lower(), rest)
    return f"{scheme}://{user}{at}{place}"


def _parted(scheme: str, rest: str) -> tuple[str, str, str]:
    """The user as it may be shown, the @, and the rest of an address."""
    authority, path = re.split(r"[/?#]", rest, maxsplit=1)[0], rest.partition("?")[0]
    _, colon, port = authority.partition(":")
    # A password may hold a slash or a question mark that was not escaped: then its @ comes later than it should.
    unescaped = bool(colon) and "@" not in authority and not port.isdigit()
    unescaped |= bool(colon) and scheme in DATABASES and (not port.isdigit() or "@" in path)
    whole = rest if unescaped else authority
    before, at, _ = whole.rpartition("@")
    if not at:
        return "", "", rest
    name, colon, _ = before.partition(":")
    place = rest[len(before) + 1 :]
    if scheme in DATABASES or scheme in CONTAINERS:
        return (f"{name}:{HIDDEN}" if colon else name), "@", place
    return HIDDEN, "@", place


def _credentials(address: str) -> set[str]:
    """The credentials of an address as they stand there, unescaped, and in pieces."""
    found = {match[2] for match in _PARAMETER.finditer(address)}
    found |= {match[3].strip("'\"") for match in _SETTING.finditer(address)}
    for match in _ADDRESS.finditer(address):
        rest = match[2]
        user, at, place = _parted(match[1].lower(), rest)
        if at and user.endswith(HIDDEN):
            before = rest[: len(rest) - len(place) - 1]
            found.add(before.partition(":")[2] or before)
    found |= {unquote(secret) for secret in found}
    found |= {piece for secret in found for piece in re.split(r"[/:@?#&=]", secret)}
    return {secret for secret in found if secret and secret != HIDDEN}
