"""Errors of the operating system in words for a message: why a file cannot be read, or written."""

from __future__ import annotations

import errno
from typing import Final

READ_REASONS: Final = {
    errno.EACCES: "there is no permission to read it",
    errno.EPERM: "there is no permission to read it",
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "there is no such folder",
    errno.EISDIR: "it is a folder",
    errno.EIO: "the disk returned an error",
    errno.ELOOP: "it is a symbolic link",  # where links are not followed; else a circle of them
    errno.ENAMETOOLONG: "the name is too long",
}
WRITE_REASONS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "there is no permission to write there",
    errno.ENOENT: "there is no such folder",
    errno.ENOTDIR: "there is no such folder",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
    errno.EPIPE: "the program that was reading it has ended",
    errno.EBADF: "it is closed",
}


def read_reason(error: OSError) -> str:
    """Why a file cannot be read.

    >>> read_reason(PermissionError(errno.EACCES, "Permission denied"))
    'there is no permission to read it'
    """
    return READ_REASONS.get(error.errno or 0, error.strerror or str(error))


def write_reason(error: OSError) -> str:
    """Why a file cannot be written.

    >>> write_reason(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full'
    """
    return WRITE_REASONS.get(error.errno or 0, error.strerror or str(error))
