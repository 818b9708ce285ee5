"""Mining never holds anything of size N x N."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys, torch
from osr_core.machine import peak_memory_megabytes
from osr_core.methods.pmal import stage  # all imports before the first measurement
from osr_core.methods.pmal.mining import prototypes_of_class
from osr_core.methods.pmal.topology import log_robustness

torch.set_num_threads(1)
num_images, what = int(sys.argv[1]), sys.argv[2]
points = torch.randn(num_images, 4, dtype=torch.float64)
torch.cdist(points[:64], points[:64])
before = peak_memory_megabytes()
if what == "robustness":
    assert len(log_robustness([points, points.flip(1).exp()], "median")) == num_images
else:
    generator = torch.Generator()
    options = {"epsilon": 0.0, "count": 10, "diversity": what, "generator": generator}
    assert len(prototypes_of_class(points, -points[:, 0].abs(), **options)) == 10
print(peak_memory_megabytes() - before)
"""
NUM_IMAGES = 10_000
WHOLE_MATRIX = NUM_IMAGES**2 * 8 / 1e6  # megabytes


@pytest.mark.parametrize("what", ["robustness", "nearest_better", "k_means"])
def test_memory_stays_far_below_the_matrix_of_all_distances(what: str) -> None:
    """A class of ImageNet-LT's size or a whole data set must fit a small machine."""
    command = [sys.executable, "-c", SCRIPT, str(NUM_IMAGES), what]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < WHOLE_MATRIX / 4
