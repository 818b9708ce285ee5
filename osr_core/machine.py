"""What a stage ran on, for its marker."""

import platform
import re
import resource
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

LIBRARIES = ("torch", "pillow", "scipy")  # pillow makes pixels of files, scipy OpenMax's tails
MEGABYTE = 1e6

CPU_INFO, DRIVER_INFO = Path("/proc/cpuinfo"), Path("/proc/driver/nvidia/version")


def machine_facts(
    device: torch.device, gpus: float, wall_s: float, busy: float | None = None
) -> dict[str, Any]:
    """What a stage ran on and what it took of that, as plain JSON.

    device is "cpu" or "cuda", hardware the name of that; threads, instruction_set and versions are
    what the last bits of its numbers may depend on.
    gpu_s are `wall_s` seconds times the `gpus` given, 0 on the CPU. Peaks are those of the process
    so far, stages that it ran before included; of a GPU's memory, those since `forget_peak`.
    On a GPU, gpu_busy is `busy`, the part of the time in which the card worked, in [0, 1]; None:
    its driver does not tell, or nobody knows who else uses it. `_gpu_memory` has what is said of
    its memory.
    """
    facts: dict[str, Any] = {"device": device.type, "hardware": _cpu_name(), "gpu_s": 0.0}
    facts |= {"threads": torch.get_num_threads()}
    facts |= {"instruction_set": torch.backends.cpu.get_cpu_capability()}
    facts["versions"] = {**_library_versions()}
    facts["peak_memory_megabytes"] = peak_memory_megabytes()
    if device.type == "cuda":
        facts |= {"hardware": torch.cuda.get_device_name(device), "gpu_s": gpus * wall_s}
        facts["versions"] |= _cuda_versions()
        is_alone = gpus >= 1 and busy is not None  # whoever measures it has handed out the card
        facts |= {"gpus": gpus, "gpu_busy": busy, **_gpu_memory(device, is_alone)}
    return facts


def peak_memory_megabytes() -> float:
    """The most memory that this process has held in RAM so far, in 1e6 bytes.

    Linux's VmHWM: its `ru_maxrss` begins with what the process had that started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):  # another system, or one that hides it
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * 1024 / MEGABYTE


def _gpu_memory(device: torch.device, is_alone: bool) -> dict[str, float | None]:
    """What a process takes of a card's memory, in megabytes (1e6 bytes).

    peak_gpu_memory_megabytes: of tensors, at most. gpu_reserved_megabytes: what torch's allocator
    has held for them at most (torch.cuda.max_memory_reserved), which other processes cannot have.
    gpu_context_megabytes: what CUDA and its libraries take besides, measured as what of the card is
    in use less what the allocator holds at that moment; None where others may share the card.
    gpu_total_megabytes: all that the card has. A process holds the second and third together.
    """
    free, total = torch.cuda.mem_get_info(device)
    context = total - free - torch.cuda.memory_reserved(device)
    return {
        "peak_gpu_memory_megabytes": torch.cuda.max_memory_allocated(device) / MEGABYTE,
        "gpu_reserved_megabytes": torch.cuda.max_memory_reserved(device) / MEGABYTE,
        "gpu_context_megabytes": context / MEGABYTE if is_alone else None,
        "gpu_total_megabytes": total / MEGABYTE,
    }


def forget_peak() -> None:
    """The most that is taken of a GPU's memory is measured from now on.

    What stages before have left in the allocator's cache goes back: it would count for this one.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


@cache
def _library_versions() -> dict[str, str]:
    """Of those of LIBRARIES that are installed."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@cache
def _cpu_name() -> str:
    """The CPU's model, or its kind where the system does not say."""
    told = CPU_INFO.read_text() if CPU_INFO.exists() else ""
    found = re.search(r"^model name\s*: (.+)$", told, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


@cache
def _cuda_versions() -> dict[str, str]:
    """Of CUDA, its library of neural networks and the driver, as far as they tell."""
    told = DRIVER_INFO.read_text() if DRIVER_INFO.exists() else ""
    driver = re.search(r"\s(\d+(?:\.\d+)+)\s", told)
    found = {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "driver": driver[1] if driver else None,
    }
    return {name: str(version) for name, version in found.items() if version}
