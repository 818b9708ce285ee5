"""The state of a stage that is not done, as it is kept."""

from typing import NamedTuple, Self

from osr_core.results.whole_files import checksum_of

DIGEST = 32  # characters of a checksum, and of a source's digest


class SavedState(NamedTuple):
    """The state of an unfinished fit, and the digest of the source that began it ("": unknown)."""

    content: bytes
    source: str = ""

    def encode(self) -> bytes:
        """The file's content; a checksum of all stands before it."""
        saved = self.source.ljust(DIGEST).encode() + self.content
        return checksum_of(saved).encode() + saved

    @classmethod
    def decode(cls, found: bytes) -> Self | None:
        """What `encode` was given; None if it is damaged."""
        checksum, saved = found[:DIGEST], found[DIGEST:]
        if checksum_of(saved).encode() != checksum:
            return None
        return cls(saved[DIGEST:], saved[:DIGEST].decode().strip())
