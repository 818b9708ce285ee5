"""One file that starts a cluster, of any of the known kinds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from osr_core.errors import ConfigError
from sweeps.clusters import kuberay, launcher, slurm
from sweeps.planning.yaml_values import read_yaml

KNOWN = (
    "A launcher's file has the field `provider`, one of KubeRay `kind: RayCluster` or `kind: "
    "RayJob`, and a script of Slurm begins with #!."
)


def check(path: Path) -> str:
    """What a file would start, in words; nothing is started and nobody is asked.

    Raises:
        ConfigError: it cannot be read, or has problems: a sentence for each, with its place.
    """
    try:
        text = path.read_bytes().decode()  # with the ends of its lines
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeError:
        raise ConfigError(f"{path} cannot be read: it is no text in UTF-8.") from None
    if text.startswith("#!"):
        read: Any = text
        starts: Callable[[Any], str] = slurm.starts
        found = slurm.problems(text)
    else:
        read = read_yaml(path)
        if isinstance(read, dict) and isinstance(read.get("kind"), str):
            found, starts = kuberay.problems(read), kuberay.starts
        elif isinstance(read, dict) and "provider" in read:
            found, starts = launcher.problems(read), launcher.starts
        else:
            raise ConfigError(f"{path} starts no cluster that is known here. {KNOWN}")
    if found:
        raise ConfigError(f"{path}: {problem}" for problem in found)
    return starts(read)
