"""Muon: its steps against the singular value decomposition, PyTorch's AdamW and PyTorch's own Muon."""

import pytest
import torch
from test_published_nets import SMALL, small
from torch import nn

from auralflow.trainer.muon import Muon, nearest_orthogonal, split_groups

SHAPES = [(6, 40), (40, 6), (16, 16), (2, 300)]
RATE = 0.01


def random_matrix(shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_vectors_stay_and_singular_values_become_about_one(shape):
    matrix = random_matrix(shape)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    rotated = left.mT @ nearest_orthogonal(matrix) @ right.mT
    values = rotated.diagonal()
    assert values.min() > 0.65
    assert values.max() < 1.2
    torch.testing.assert_close(rotated, values.diag(), atol=1e-4, rtol=0)


def test_singular_values_that_differ_a_hundredfold_become_about_one():
    left, _, right = torch.linalg.svd(random_matrix((8, 30)), full_matrices=False)
    matrix = left @ torch.logspace(0, -2, 8).diag() @ right
    values = torch.linalg.svdvals(nearest_orthogonal(matrix))
    assert values.min() > 0.65
    assert values.max() < 1.2


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_a_matrix_does_not_matter(shape, scale):
    matrix = random_matrix(shape)
    torch.testing.assert_close(nearest_orthogonal(scale * matrix), nearest_orthogonal(matrix))


def test_zeros_stay_zeros():
    assert torch.equal(nearest_orthogonal(torch.zeros(4, 9)), torch.zeros(4, 9))


def stepped(optimizer_of, start, gradients):
    """The weight after a step for each gradient."""
    weight = nn.Parameter(start.clone())
    optimizer = optimizer_of(weight)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_moves_as_with_the_muon_of_pytorch(shape):
    """Theirs computes in bfloat16, so the steps agree to its precision."""
    start = random_matrix(shape)
    gradients = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    ours = stepped(lambda w: Muon([{"params": [w], "muon": True}], lr=RATE), start, gradients)
    theirs = stepped(
        lambda w: torch.optim.Muon([w], lr=RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        start,
        gradients,
    )
    moved = (theirs - start).norm()
    assert moved > 0
    assert (ours - theirs).norm() < 0.03 * moved


def test_other_parameters_move_as_with_adamw():
    start, gradients = random_matrix((5,)), [random_matrix((5,)), -random_matrix((5,))]
    ours = stepped(lambda w: Muon([{"params": [w]}], lr=RATE, weight_decay=0.1), start, gradients)
    theirs = stepped(
        lambda w: torch.optim.AdamW([w], lr=RATE, weight_decay=0.1, fused=True), start, gradients
    )
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_is_as_large_as_one_of_adamw(shape):
    start = random_matrix(shape)
    moved = stepped(
        lambda w: Muon([{"params": [w], "muon": True}], lr=RATE, weight_decay=0.0), start, [start]
    )
    assert (moved - start).square().mean().sqrt() == pytest.approx(0.2 * RATE, rel=0.3)


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 5), nn.Conv2d(2, 64, 3), nn.ConvTranspose2d(64, 2, 2)])
def test_a_convolution_is_a_matrix_of_its_first_dimension_by_all_others(layer):
    gradient = random_matrix(layer.weight.shape)
    flat = layer.weight.detach().flatten(1)
    layer.weight.grad = gradient
    expected = stepped(lambda w: Muon([{"params": [w], "muon": True}], lr=RATE), flat, [gradient.flatten(1)])
    Muon(split_groups(layer, [{"params": layer.parameters(), "lr": RATE}])).step()
    torch.testing.assert_close(layer.weight.detach().flatten(1), expected)


def test_only_weights_of_linear_and_convolutional_layers_are_matrices():
    net = nn.ModuleDict(
        {
            "linear": nn.Linear(3, 2),
            "convolution": nn.Conv2d(2, 4, 3),
            "transposed": nn.ConvTranspose1d(4, 2, 2),
            "one output": nn.Linear(9, 1),
            "depthwise": nn.Conv1d(4, 4, 3, groups=4),
            "normalisation": nn.LayerNorm([2, 3]),
            "recurrent": nn.LSTM(3, 2),
            "embedding": nn.Embedding(5, 3),
        }
    )
    chosen, others = split_groups(net, [{"params": net.parameters(), "lr": RATE}])
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    matrices = {names[id(parameter)] for parameter in chosen["params"]}
    assert matrices == {"linear.weight", "convolution.weight", "transposed.weight"}
    assert (chosen["muon"], others["muon"]) == (True, False)
    assert chosen["lr"] == others["lr"] == RATE
    assert len(chosen["params"]) + len(others["params"]) == len(names)


def test_a_group_keeps_its_learning_rate_and_an_empty_one_is_left_out():
    first, second = nn.Linear(3, 2), nn.Linear(3, 2, bias=False)
    groups = [{"params": first.parameters(), "lr": 1.0}, {"params": second.parameters(), "lr": 2.0}]
    divided = split_groups(nn.ModuleList([first, second]), groups)
    assert [(group["lr"], group["muon"]) for group in divided] == [(1.0, True), (1.0, False), (2.0, True)]


def test_a_state_that_is_saved_and_loaded_continues_to_the_last_bit():
    def run(layer, optimizer, seeds):
        for seed in seeds:
            for parameter in layer.parameters():
                generator = torch.Generator().manual_seed(seed)
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()

    def optimizer_of(layer):
        return Muon(split_groups(layer, [{"params": layer.parameters(), "lr": RATE}]))

    torch.manual_seed(0)
    whole = nn.Linear(6, 4)
    parts = nn.Linear(6, 4)
    parts.load_state_dict(whole.state_dict())
    run(whole, optimizer_of(whole), range(6))

    first = optimizer_of(parts)
    run(parts, first, range(3))
    second = optimizer_of(parts)
    second.load_state_dict(first.state_dict())
    run(parts, second, range(3, 6))
    assert torch.equal(whole.weight, parts.weight)
    assert torch.equal(whole.bias, parts.bias)


def test_a_closure_is_called_once_with_gradients_on():
    layer = nn.Linear(3, 2)
    optimizer = Muon(split_groups(layer, [{"params": layer.parameters(), "lr": RATE}]))
    calls = []

    def closure():
        loss = layer(torch.ones(1, 3)).square().sum()
        loss.backward()
        calls.append(loss.item())
        return calls[-1]

    assert optimizer.step(closure) == calls[0]
    assert len(calls) == 1


@pytest.mark.parametrize("name", SMALL)
def test_every_published_net_has_matrices_and_moves_all_weights(name):
    model = small(name)
    groups = split_groups(model, [{"params": model.parameters(), "lr": RATE}])
    optimizer = Muon(groups)
    assert {group["muon"] for group in groups} == {True, False}
    before = {key: tensor.detach().clone() for key, tensor in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for key, tensor in model.named_parameters():
        assert tensor.isfinite().all(), key
        assert not torch.equal(tensor, before[key]), key
