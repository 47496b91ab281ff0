"""Derivatives of functions by torch.func, and compositions of them -> func.json.

The file is one JSON object: for each name that `crates/wengert/tests/it/func/reference.rs` computes too, the list of flattened
results. Everything is f64; numbers are shortest round trips.
"""

import json
import pathlib

import torch
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp

OUT = pathlib.Path(__file__).parents[2] / "crates/wengert/tests/data/func.json"
torch.set_default_dtype(torch.float64)

X = torch.tensor([0.3, -0.7, 1.1])
V = torch.tensor([0.2, 1.0, -0.6])
M = torch.tensor([[0.5, -1.0, 0.25], [2.0, 0.125, -0.5], [-0.75, 1.5, 1.0]])
W = torch.tensor([[0.3, -0.2, 0.9], [-1.1, 0.4, 0.6]])
B = torch.tensor([0.1, -0.3])


def smooth(x):
    return (x.exp() * (M @ x).tanh()).sum() + x.prod() * x.sin().sum()


def field(x):
    return ((M @ x) * x.cos()).sigmoid() + x.cumsum(0).square()


def layer(w, b):
    return torch.nn.functional.linear(torch.stack([X, V]), w, b).softmax(-1)


def loss(w, b):
    return torch.nn.functional.cross_entropy(torch.nn.functional.linear(torch.stack([X, V]), w, b), torch.tensor([1, 0]))


def flat(tree):
    if isinstance(tree, torch.Tensor):
        return [tree.flatten().tolist()]
    return [values for part in tree for values in flat(part)]


def results():
    yield "grad", grad(smooth)(X)
    yield "grad of grad", grad(lambda x: grad(smooth)(x).square().sum())(X)
    yield "grad of grad of grad", grad(lambda x: grad(lambda y: (grad(smooth)(y) * V).sum())(x).square().sum())(X)
    yield "vjp", vjp(field, X)[1](V)
    yield "jvp", jvp(field, (X,), (V,))
    yield "jvp of jvp", jvp(lambda x: jvp(field, (x,), (x * x,))[1], (X,), (V,))
    yield "hvp", jvp(grad(smooth), (X,), (V,))[1]
    yield "grad of jvp", grad(lambda x: jvp(smooth, (x,), (V,))[1])(X)
    yield "grad of vjp by its seed", grad(lambda v: vjp(field, X)[1](v)[0].exp().sum())(V)
    yield "jacrev", jacrev(field)(X)
    yield "jacfwd", jacfwd(field)(X)
    yield "hessian", hessian(smooth)(X)
    yield "hessian of a field", hessian(field)(X)
    yield "jacrev of hessian", jacrev(hessian(smooth))(X)
    yield "jacfwd of jacrev of what captures", jacfwd(lambda x: jacrev(lambda y: field(x * y))(V))(X)
    yield "jacobians of a layer", jacrev(layer, argnums=(0, 1))(W, B)
    yield "hessian of a loss", hessian(loss, argnums=(0, 1))(W, B)


if __name__ == "__main__":
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(flat(tree))}" for name, tree in results())
    OUT.write_text(f"{{\n{text}\n}}\n")
