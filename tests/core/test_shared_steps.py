"""Steps that two processes take together, exactly: in float64, by parts of unequal size."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from osr_core.data_parallel import ALONE, DataParallel

STEPS, BATCH = 3, 7  # parts of 3 and 4 images


def steps(processes: DataParallel) -> dict[str, Tensor]:
    """What becomes of a network with batch norms of 4 and of 2 dimensions; by SGD with momentum."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.Flatten(),
        nn.BatchNorm1d(4, affine=False), nn.Linear(4, 3),
    ).double()  # fmt: skip
    with torch.no_grad():
        network[0].weight += 0.1 * processes.rank  # of the first process alone counts what it is
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    processes.share_batches(network)
    processes.share_steps([optimizer])
    draws = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        images = torch.randn(BATCH, 2, 5, 5, generator=draws, dtype=torch.float64)
        label = torch.randint(3, (BATCH,), generator=draws)
        part = processes.part(BATCH)
        processes.num_images = len(label[part])
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images[part]), label[part]).backward()
        optimizer.step()
    return network.state_dict()


def one_of_two(rank: int, folder: Path) -> None:
    """The steps of one process; it leaves its weights."""
    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    torch.save(steps(DataParallel(rank, 2)), folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_take_the_steps_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients, batch norms with their gradients, running statistics: those of the whole batch."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    mp.spawn(one_of_two, (tmp_path,), nprocs=2)
    alone = steps(ALONE)
    for rank in range(2):
        ours = torch.load(tmp_path / f"{rank}.pt")
        assert ours.keys() == alone.keys()
        for name in alone:
            torch.testing.assert_close(ours[name], alone[name], rtol=1e-12, atol=1e-12, msg=name)
