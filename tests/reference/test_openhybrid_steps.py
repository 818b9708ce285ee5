"""OpenHybrid's loss and score against the formulas, and what a step does with their gradients."""

import pytest
import torch
from narrow import NUM_KNOWN, batch_of, doubled, narrow
from slow_flows import slow_log_density
from torch import Tensor
from torch.nn import functional as F

from osr_core.methods.openhybrid.method import OpenHybrid
from osr_core.recipes import Training

every_kind = pytest.mark.parametrize("kind", ["coupling", "residual"])
every_share = pytest.mark.parametrize("share", [0.0, 0.3, 1.0])


def stirred(kind: str, **settings: object) -> OpenHybrid:
    """A method whose flow is far from the identity, in training mode."""
    method = narrow(OpenHybrid, flow=kind, flow_blocks=2, flow_hidden=4, **settings).train()
    with torch.no_grad():
        for parameter in method.flow.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return method


@every_kind
@every_share
def test_losses_equal_the_formulas(kind: str, share: float) -> None:
    """CE, and w mean(-log p(u)) / D with u over the batch's deviation, image by image; so do their
    gradients by z and by the flow's parameters.
    """
    method = stirred(kind, flow_weight=0.7, encoder_gradient=share).double()
    (_, weights), label = doubled(method.flow), torch.tensor([0, 1, 2, 0])
    z = torch.randn(4, method.backbone.dim).double().requires_grad_()
    losses = method.losses_at(z, label)
    mean, variance = z.mean(0), ((z - z.mean(0)) ** 2).mean(0)
    entropy, surprise = torch.zeros(()).double(), torch.zeros(()).double()
    for b in range(4):
        logits = z[b] @ method.head.weight.T
        entropy = entropy + (logits.logsumexp(0) - logits[label[b]]) / 4
        u = (z[b] - mean) / (variance + 1e-5).sqrt()
        surprise = surprise - 0.7 * slow_log_density(weights, kind, u) / len(u) / 4
    ours = torch.stack([losses["cross_entropy"], losses["density"]])
    torch.testing.assert_close(ours, torch.stack([entropy, surprise]))
    torch.stack(list(losses.values())).sum().backward()
    by_entropy = torch.autograd.grad(entropy, z, retain_graph=True)[0]
    by_surprise = torch.autograd.grad(surprise, [z, *weights.values()])
    torch.testing.assert_close(z.grad, by_entropy + share * by_surprise[0])
    slopes = dict(zip(weights, by_surprise[1:], strict=True))
    for name, parameter in method.flow.named_parameters():
        torch.testing.assert_close(parameter.grad, slopes[name], msg=name)


@every_kind
def test_the_score_is_the_surprise(kind: str) -> None:
    """By the running statistics, each image by itself."""
    method, batch = stirred(kind).eval(), batch_of(3)
    mean = torch.linspace(-1, 2, method.backbone.dim)
    variance = torch.linspace(0.2, 3, method.backbone.dim)
    method.norm.running_mean.copy_(mean)
    method.norm.running_var.copy_(variance)
    _, weights = doubled(method.flow)
    with torch.no_grad():
        prediction = method(batch.images)
        u = ((method.embed(batch.images) - mean) / (variance + 1e-5).sqrt()).double()
    expected = torch.stack([-slow_log_density(weights, kind, row) for row in u]).detach()
    torch.testing.assert_close(prediction.unknown_score.double(), expected, rtol=1e-4, atol=1e-4)
    assert prediction.logits.shape == (3, NUM_KNOWN)


@every_kind
@every_share
def test_a_step_takes_so_much_of_the_density_s_gradient_to_the_network(
    kind: str, share: float
) -> None:
    """Plain SGD moves each weight by -lr times that of CE, and the share g of the other term's;
    none of it is clipped.
    """
    method, batch = stirred(kind, flow_weight=50.0, encoder_gradient=share), batch_of(6)
    z = method.embed(batch.images)
    entropy = F.cross_entropy(method.head(z), batch.label)
    density = -50 * method.flow.log_density(method.norm(z)).mean() / method.backbone.dim
    network = list(method.backbone.parameters())
    of_entropy = torch.autograd.grad(entropy, network, retain_graph=True)
    of_density = torch.autograd.grad(density, network)
    assert norm(of_density) > 10
    before = [each.detach().clone() for each in network]
    method.train_step(batch, method.optimizers(Training(lr=0.5, momentum=0.0, weight_decay=0.0)))
    for parameter, old, first, second in zip(network, before, of_entropy, of_density, strict=True):
        moved, expected = parameter.detach() - old, -0.5 * (first + share * second)
        torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-5)


def norm(gradients: tuple[Tensor, ...]) -> float:
    """Of all of them together."""
    return float(torch.cat([each.flatten() for each in gradients]).norm())


def adam(gradients: list[Tensor], lr: float) -> Tensor:
    """What the last of some steps adds."""
    mean = square = torch.zeros_like(gradients[0])
    for gradient in gradients:
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
    num = len(gradients)
    return -lr * (mean / (1 - 0.9**num)) / ((square / (1 - 0.999**num)).sqrt() + 1e-8)


@every_kind
def test_the_flow_takes_steps_of_clipped_adam(kind: str) -> None:
    """Gradients of a norm above 1 are scaled to 1, others left: a first step of Adam does not show
    it, those after it do. The head takes none of it.
    """
    method, batch = stirred(kind, flow_lr=0.01, flow_weight=0.05), batch_of(6)
    optimizers = method.optimizers(Training(lr=0.5, momentum=0.0, weight_decay=0.0))
    assert isinstance(optimizers["flow"], torch.optim.Adam)
    flow, norms, clipped = list(method.flow.parameters()), [], []
    for push in (10.0, -10.0, 20.0):
        with torch.no_grad():
            method.flow.shift += push
        losses = method.losses(batch)
        gradients = torch.autograd.grad(losses["density"], flow, retain_graph=True)
        (of_head,) = torch.autograd.grad(losses["cross_entropy"], [method.head.weight])
        norms.append(norm(gradients))
        clipped.append([each * min(1, 1 / norms[-1]) for each in gradients])
        before = [each.detach().clone() for each in (method.head.weight, *flow)]
        method.train_step(batch, optimizers)
        torch.testing.assert_close(method.head.weight - before[0], -0.5 * of_head)
        for parameter, old, *steps in zip(flow, before[1:], *clipped, strict=True):
            torch.testing.assert_close(
                parameter.detach() - old, adam(steps, 0.01), rtol=1e-3, atol=1e-5
            )
    assert norms[1] < 1 < 2 < min(norms[0], norms[2])
