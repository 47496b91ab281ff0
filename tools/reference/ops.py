"""What PyTorch computes for every operation -> crates/wengert/tests/data/ops.jsonl.gz, one JSON object per line.

    op       name, as in wengert
    tag      basic, broadcast, layout, same, f32, empty, repeated: ordinary values
             special: zeros, ties, edges; nonfinite: NaN and infinities
    kwargs   PyTorch's keyword arguments; one named like an operand is that operand as a number
    inputs   [{"name", "dtype", "shape", "data", "grad"?, "layout"?} or {"name", "same_as": number of an earlier input}]
             `data` is row-major whatever the layout; "grad" marks what asks for a gradient;
             layout "t" is stored with its last two dimensions swapped. Inputs of one repeated name are a list.
    outputs  [{"dtype", "shape", "data", "grad_fn"?}]
    seeds    one flat list per output, null where it has no gradient
    grads    seeds applied to the Jacobian: one flat list per input, null where PyTorch has none
    weights  one flat list per input with "grad", else null
    jvp      Jacobian times `weights`: one flat list per output, null where it is zero by structure
    grads2   gradient of sum(grads * weights), one flat list per input, null where it is zero by structure

The line ends after `outputs` if nothing is differentiable, and after `grads` where second derivatives are not asked for, or PyTorch
has none. "dtype" is f64, f32, i64 or bool. Floats are shortest round trips in their dtype; "nan", "inf" and "-inf" are strings.
"""

import os

# One thread and plain loops, so that another processor rounds alike.
os.environ |= {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"}

import collections
import gzip
import json
import pathlib
import random
import warnings

import numpy as np
import torch

from cases import build, elementwise, indexing, losses, networks, products, reductions, shapes

OUT = pathlib.Path(__file__).parents[2] / "crates/wengert/tests/data/ops.jsonl.gz"
MODULES = (elementwise, reductions, shapes, indexing, products, networks, losses)
CALLS = {op: function for module in MODULES for op, function in module.CALLS.items()}
DTYPES = {"f64": torch.float64, "f32": torch.float32, "i64": torch.int64, "bool": torch.bool}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def numbers(tensor):
    """The elements in row-major order, each the shortest text that reads back to it."""
    flat = tensor.numpy(force=True).reshape(-1)
    if flat.dtype == np.float32:
        flat = [float(str(n)) for n in flat]
    return [n if np.isfinite(n) else str(n) for n in (flat if isinstance(flat, list) else flat.tolist())]


def draw(rng, shape, low, high, position=0):
    """Distinct decimals of three digits, the last one odd and another for each position, so never tied and never an integer."""
    count = int(np.prod(shape, dtype=np.int64))
    grid = range(round(low * 100), round(high * 100))
    chosen = rng.sample(grid, count) if count <= len(grid) else rng.choices(grid, k=count)
    return torch.tensor([(10 * n + 1 + 2 * (position % 5)) / 1000 for n in chosen], dtype=torch.float64).reshape(shape)


def tensor_of(arg, rng, position):
    """The input as a leaf, laid out as it asks."""
    if arg.values is None:
        tensor = draw(rng, arg.shape, arg.low, arg.high, position).to(DTYPES[arg.dtype])
    else:
        tensor = torch.tensor(arg.values, dtype=DTYPES[arg.dtype])
        tensor = tensor if arg.shape is None else tensor.reshape(arg.shape)
    if arg.layout == "t":
        tensor = tensor.transpose(-1, -2).contiguous().transpose(-1, -2)
    return tensor.requires_grad_(arg.grad)


def described(arg, tensor):
    """An input as JSON."""
    if arg.same_as is not None:
        return {"name": arg.name, "same_as": arg.same_as}
    row = {"name": arg.name, "dtype": arg.dtype, "shape": list(tensor.shape), "data": numbers(tensor)}
    return row | ({"grad": True} if arg.grad else {}) | ({"layout": arg.layout} if arg.layout else {})


def grad_fn(tensor):
    """The name that printing the tensor shows."""
    return {"grad_fn": tensor.grad_fn.name().rsplit("::", 1)[-1]} if tensor.grad_fn is not None else {}


def call(case, tensors):
    """The outputs of the case's operation."""
    function = elementwise.NUMBER_ON_THE_LEFT[case.op] if "input" in case.kwargs else CALLS[case.op]
    outputs = build.call(function, [(arg.name, t) for arg, t in zip(case.inputs, tensors)], case.kwargs)
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def listed(tensors):
    return [None if t is None else numbers(t) for t in tensors]


def at(positions, values, length):
    """`values` put at `positions` of a list that is None elsewhere."""
    row = [None] * length
    for position, value in zip(positions, values):
        row[position] = value
    return row


def second_order(grads, leaves, seeds, rng):
    """Weights, their product with the Jacobian, and the second derivatives; None where PyTorch can't."""
    weights = [draw(rng, leaf.shape, -1, 1).to(leaf.dtype) for leaf in leaves]
    terms = [(g * w).sum() for g, w in zip(grads, weights) if g is not None and g.requires_grad]
    if not terms:
        return weights, [None] * len(seeds), [None] * len(leaves)
    try:
        found = torch.autograd.grad(sum(terms), seeds + leaves, allow_unused=True)
    except RuntimeError as error:
        assert "not implemented" in str(error), error
        return None
    return weights, found[: len(seeds)], found[len(seeds) :]


def evaluate(case, key):
    """The case as one JSON object."""
    rng = random.Random(key)
    tensors = []
    for position, arg in enumerate(case.inputs):
        tensors.append(tensors[arg.same_as] if arg.same_as is not None else tensor_of(arg, rng, position))
    outputs = call(case, tensors)
    kwargs = {k: str(a) if isinstance(a, float) and not np.isfinite(a) else a for k, a in case.kwargs.items()}
    row = {"op": case.op, "tag": case.tag, "kwargs": kwargs}
    row["inputs"] = [described(arg, t) for arg, t in zip(case.inputs, tensors)]
    row["outputs"] = [{"dtype": NAMES[t.dtype], "shape": list(t.shape), "data": numbers(t)} | grad_fn(t) for t in outputs]
    smooth = [i for i, t in enumerate(outputs) if t.requires_grad]
    wanted = [i for i, arg in enumerate(case.inputs) if arg.grad]
    if not smooth:
        return row
    leaves = [tensors[i] for i in wanted]
    seeds = [draw(rng, outputs[i].shape, -1, 1).to(outputs[i].dtype).requires_grad_() for i in smooth]
    grads = torch.autograd.grad([outputs[i] for i in smooth], leaves, seeds, create_graph=case.second, allow_unused=True)
    row["seeds"] = at(smooth, listed(seeds), len(outputs))
    row["grads"] = at(wanted, listed(grads), len(tensors))
    second = second_order(grads, leaves, seeds, rng) if case.second else None
    if second:
        weights, jvp, grads2 = second
        row["weights"] = at(wanted, listed(weights), len(tensors))
        row["jvp"] = at(smooth, listed(jvp), len(outputs))
        row["grads2"] = at(wanted, listed(grads2), len(tensors))
    return row


def main():
    """Evaluate every case and write the file, with no time stamp in it."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.mkldnn.enabled = False
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message=".*degrees of freedom is <= 0")
    warnings.filterwarnings("ignore", message="reduction: 'mean' divides the total loss")
    counts, lines = collections.Counter(), []
    for case in (case for module in MODULES for case in module.cases()):
        # The numbers of a case depend on its op and its place among that op's cases: a new op changes no other's.
        row = evaluate(case, f"{case.op}/{counts[case.op]}")
        counts[case.op] += 1
        lines.append(json.dumps(row, separators=(",", ":"), allow_nan=False))
    unused = set(CALLS) - set(counts)
    assert not unused, f"no case for {unused}"
    OUT.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n", 9, mtime=0))
    print(f"{len(lines)} cases of {len(counts)} operations, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
