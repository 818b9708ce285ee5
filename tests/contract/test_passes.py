"""What a step sends through its network, from which `osr plan` says what a sweep costs."""

import pytest
import torch
from blobs import NUM_KNOWN, TRAINING, Memory, Runs, shortened, trial
from torch.utils.flop_counter import FlopCounterMode

from osr_core.backbones.flops import forward_flops
from osr_core.execution import calibrate_method
from osr_core.methods import METHODS
from osr_core.methods.arpl_cs.method import ARPLCS
from osr_core.methods.pmal.method import PMAL
from osr_core.training import Fit


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_step_sends_as_many_images_through_the_network_as_declared(name: str, runs: Runs) -> None:
    """With gradients: ARPL+CS sends images twice, and fakes twice; PROSER half of its mixtures."""
    schedule = shortened(TRAINING, epochs=2)
    method, train = runs.prepared(trial(name, schedule))
    fit = Fit(method, train, None, schedule, seed=0)
    sent = []
    last = method.backbone.trunk[-1]
    last.register_forward_hook(
        lambda layer, inputs, output: sent.append(len(output) * torch.is_grad_enabled())
    )
    batch = train.augmented(next(train.shuffled(torch.Generator().manual_seed(0))))
    method.train()
    method.train_step(batch, fit.optimizers)
    assert sum(sent) == method.passes * len(batch.label)


def test_what_pmal_embeds_besides_is_counted(runs: Runs) -> None:
    """All prototypes before the first epoch, in each, every two steps, and at the end."""
    schedule = shortened(TRAINING, epochs=3)
    asked = trial("pmal", schedule, {"prototypes": 5, "embed_every": 2})
    method, train = runs.prepared(asked)
    embedded = [5 * NUM_KNOWN]  # by `prepare`
    last = method.backbone.trunk[-1]
    last.register_forward_hook(
        lambda layer, inputs, output: embedded.append(len(output) * (not torch.is_grad_enabled()))
    )
    Fit(method, train, None, schedule, seed=0).run(Memory(), lambda epoch, row: None)
    calibrate_method(method, train)
    fit = runs.last_fit(asked)
    counted = PMAL.further_flops(fit, len(train)) / forward_flops(fit.config["backbone"])
    assert sum(embedded) == counted


def test_what_the_other_players_of_arpl_cs_do_is_counted(runs: Runs) -> None:
    """A step's operations by torch's own counter, less the network's; within a tenth, since a first
    layer's images need no gradient and not all maps are as large forward as back.
    """
    asked = trial("arpl_cs", TRAINING, {"gan_width": 16})
    method, train = runs.prepared(asked)
    fit = runs.last_fit(asked)
    optimizers = method.train().optimizers(TRAINING)
    batch = train.augmented(next(train.shuffled(torch.Generator().manual_seed(0))))
    with FlopCounterMode(display=False) as counter:
        method.train_step(batch, optimizers)
    by_module = counter.get_flop_counts()
    done = sum(sum(by_module[name].values()) for name in ("Generator", "Discriminator"))
    counted = ARPLCS.further_flops(fit, len(batch.label)) / TRAINING.epochs
    assert done == pytest.approx(counted, rel=0.1)
