"""The workloads in PyTorch, eager; where there are several usual ways, the one that is fastest here.

    python torch_peer.py THREADS
"""

import sys

import torch
import torch.nn.functional as F

import protocol

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
RATE = 1e-3
ADAM = dict(lr=RATE, eps=1e-6, weight_decay=0.01)


def by_threads(run):
    """`run(count)` with all threads, and with one: small work is slower on many."""

    def variant(threads):
        def iterate(count):
            torch.set_num_threads(threads)
            run(count)

        return iterate

    return [variant(threads) for threads in sorted({1, THREADS})]


def differentiate(arrays, f):
    inputs = [torch.tensor(a, requires_grad=True) for a in arrays]

    def gradient():
        for x in inputs:
            x.grad = None
        y = f(*inputs)
        y.backward()
        return y

    def iterate(count):
        for _ in range(count):
            gradient()

    def check():
        y = gradient()
        return [y.detach().numpy()] + [x.grad.numpy() for x in inputs]

    return protocol.Program(protocol.fastest(by_threads(iterate)), check)


class ManualSgd:
    """The least that a step can be: one call for all parameters."""

    def __init__(self, parameters):
        self.parameters = parameters

    @torch.no_grad()
    def step(self):
        torch._foreach_add_(self.parameters, [p.grad for p in self.parameters], alpha=-RATE)

    def zero_grad(self, set_to_none=True):
        for p in self.parameters:
            p.grad = None


def train(parameters, losses, optimizers):
    """`losses` are ways to write one loss, `optimizers` ways to make one step."""

    def step(loss, optimizer):
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    def variant(loss, optimizer):
        def iterate(count):
            for _ in range(count):
                step(loss, optimizer)

        return iterate

    def check():
        # Variants were tried on the parameters: the check begins from the inputs again.
        with torch.no_grad():
            for p, start in zip(parameters, starts):
                p.copy_(start)
        for p in parameters:
            p.grad = None
        loss = losses[0]()
        loss.backward()
        results = [loss.detach().numpy()] + [p.grad.numpy().copy() for p in parameters]
        optimizer = optimizers[0]()
        for _ in range(protocol.CHECKED_STEPS):
            step(losses[0], optimizer)
        return results + [p.detach().numpy() for p in parameters]

    starts = [p.detach().clone() for p in parameters]
    losses = losses if isinstance(losses, list) else [losses]
    variants = [way for loss in losses for make in optimizers for way in by_threads(variant(loss, make()))]
    return protocol.Program(protocol.fastest(variants), check)


def descend(parameters, losses):
    sgd = [lambda kind=kind: torch.optim.SGD(parameters, RATE, **kind) for kind in ({"foreach": True}, {"fused": True})]
    return train(parameters, losses, [lambda: ManualSgd(parameters), *sgd])


def parameters_of(arrays):
    return [torch.tensor(a, requires_grad=True) for a in arrays]


def scalar_chain(arrays):
    return differentiate(arrays, protocol.scalar_chain)


def tanh_exp(arrays):
    return differentiate(arrays, lambda x: ((x * x + 2).tanh() * x.exp()).sum())


def mean_square(arrays):
    return differentiate(arrays, protocol.mean_square)


def mlp(arrays):
    x, target = torch.tensor(arrays[0]), torch.tensor(arrays[1])
    parameters = parameters_of(arrays[2:])
    distance = F.mse_loss if target.is_floating_point() else F.cross_entropy

    def loss():
        y = F.linear(x, parameters[0], parameters[1])
        for i in range(2, len(parameters), 2):
            y = F.linear(torch.relu(y), parameters[i], parameters[i + 1])
        return distance(y, target)

    return descend(parameters, loss)


def lenet(arrays):
    x, labels = torch.tensor(arrays[0]), torch.tensor(arrays[1])
    parameters = w1, b1, w2, b2, w3, b3 = parameters_of(arrays[2:])

    def loss_of(x):
        def loss():
            y = F.max_pool2d(torch.relu(F.conv2d(x, w1, b1)), 2)
            y = F.max_pool2d(torch.relu(F.conv2d(y, w2, b2)), 2)
            return F.cross_entropy(F.linear(y.flatten(1), w3, b3), labels)

        return loss

    return descend(parameters, [loss_of(x), loss_of(x.to(memory_format=torch.channels_last))])


def lstm(arrays):
    x, target = torch.tensor(arrays[0]), torch.tensor(arrays[1])
    network = torch.nn.LSTM(x.shape[2], target.shape[1])
    parameters = [network.weight_ih_l0, network.weight_hh_l0, network.bias_ih_l0]
    with torch.no_grad():
        for p, start in zip(parameters, arrays[2:]):
            p.copy_(torch.tensor(start))
        network.bias_hh_l0.zero_()
    network.bias_hh_l0.requires_grad_(False)
    return descend(parameters, lambda: F.mse_loss(network(x)[0][-1], target))


def transformer(arrays):
    x, target = torch.tensor(arrays[0]), torch.tensor(arrays[1])
    parameters = parameters_of(arrays[2:])
    qkv, qkv_bias, out, out_bias, g1, b1, up, up_bias, down, down_bias, g2, b2 = parameters
    batch, tokens, channels = x.shape
    heads = 4

    def by_hand(q, k, v):
        return torch.softmax((q * (channels // heads) ** -0.5) @ k.transpose(-2, -1), -1) @ v

    def loss_with(attention):
        def loss():
            parts = F.linear(x, qkv, qkv_bias).view(batch, tokens, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
            mixed = attention(*parts.unbind(0)).transpose(1, 2).reshape(batch, tokens, channels)
            y = F.layer_norm(x + F.linear(mixed, out, out_bias), (channels,), g1, b1)
            z = F.linear(torch.relu(F.linear(y, up, up_bias)), down, down_bias)
            return F.mse_loss(F.layer_norm(y + z, (channels,), g2, b2), target)

        return loss

    adam = [lambda kind=kind: torch.optim.AdamW(parameters, **ADAM, **kind) for kind in ({"fused": True}, {"foreach": True})]
    return train(parameters, [loss_with(F.scaled_dot_product_attention), loss_with(by_hand)], adam)


WORKLOADS = dict(
    scalar_chain=scalar_chain, tanh_exp=tanh_exp, mean_square=mean_square, mlp=mlp, lenet=lenet, lstm=lstm, transformer=transformer
)

if __name__ == "__main__":
    protocol.serve(f"torch {torch.__version__}", lambda kind, arrays: WORKLOADS[kind](arrays))
