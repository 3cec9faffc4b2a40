"""People's homes on the hub's disk, and the files that the portal wants to find in them.

A home is written to by its owner's running sessions while we write to it: no path is ever followed as
text. Each step is opened from the folder before it, never through a symbolic link, so that nothing
lands outside the home; what exists is never replaced.
"""

import errno
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from portal.hub_plugin.contract import HomeFile

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnusableHome(RuntimeError):
    """The home's place on disk is taken by something that is no folder of ours."""


def prepare(homes: Path, name: str) -> Path:
    """Return the folder of a home, made on first use, readable by the hub's account alone."""
    homes.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = homes / name
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    if home.is_symlink() or not home.is_dir():
        raise UnusableHome(f"{home} is no folder")
    return home


def place(home: Path, files: Sequence[HomeFile]) -> list[str]:
    """Write files into a home and return the paths that were left alone.

    Left alone is a path that exists, or that leads through a link or a file: the owner's arrangement
    of the own home wins over ours.
    """
    root = os.open(home, _FOLDER)
    try:
        return [file.path for file in files if not _place_one(root, file)]
    finally:
        os.close(root)


def _place_one(root: int, file: HomeFile) -> bool:
    *folders, name = file.path.split("/")
    if any(part in {"", ".", ".."} for part in (*folders, name)):
        return False
    folder = os.dup(root)
    try:
        for part in folders:
            with suppress(FileExistsError):
                os.mkdir(part, mode=0o755, dir_fd=folder)
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return _create(folder, name, file.content)
    except (NotADirectoryError, FileNotFoundError):
        return False
    except OSError as error:
        # ELOOP: a symbolic link stands in the way.
        if error.errno == errno.ELOOP:
            return False
        raise
    finally:
        os.close(folder)


def _create(folder: int, name: str, content: bytes) -> bool:
    # Linked into place only when whole: a crash in between must not leave half a notebook that then counts as existing.
    part = f".{secrets.token_hex(8)}.part"
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as written:
            written.write(content)
        try:
            os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            return False
        return True
    finally:
        os.unlink(part, dir_fd=folder)
