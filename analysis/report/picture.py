"""A figure inside a page."""

import base64
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A figure inside the page."""

    title: str
    data: str  # data: URI

    @classmethod
    def of(cls, title: str, svg: bytes) -> "Picture":
        """From a drawing."""
        return cls(title, f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}")
