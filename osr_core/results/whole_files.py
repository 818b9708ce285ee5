"""Files in a folder that are whole or not there, and the checksum by which damage is noticed."""

import hashlib
import os
import uuid
from pathlib import Path

TEMPORARY = ".tmp"  # how names of files end that are not put in place yet


def checksum_of(content: bytes) -> str:
    """32 hexadecimal digits that stand for a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name, sync, rename: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def create_once(path: Path, content: bytes) -> bool:
    """Make a file by a link, which unlike a rename fails where the name is taken: then False."""
    whole = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    write_atomically(whole, content)
    try:
        os.link(whole, path)
        sync_folder(path.parent)
    except FileExistsError:
        return False
    finally:
        whole.unlink()
    return True


def sync_folder(path: Path) -> None:
    """Let a file's new name survive a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
