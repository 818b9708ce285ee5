"""What a worker is told of the launch that it works for."""

from dataclasses import dataclass

from sweeps.store.leases import Fence


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a worker is told besides the stage; none of it is in an id."""

    store: str
    data_root: str | None  # a folder, or a bucket's address
    gpus: float = 0.0  # given to the stage
    fence: Fence | None = None
    code: str = ""  # the version of the code, kept with every result
    cpus: int = 1
    checkpoint_every_s: float = 60.0
