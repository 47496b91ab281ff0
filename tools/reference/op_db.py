"""Samples of PyTorch's own operator database -> crates/wengert/tests/data/op_db.jsonl.gz and op_db.md beside this file.

`torch.testing._internal.common_methods_invocations.op_db` lists every operator of PyTorch with inputs and keyword arguments that
its own tests use. `cases/op_db_map.py` says which operation here an entry is and `cases/op_db_left_out.py` why it is none; an entry
that neither names stops this program. `op_db.md` shows for every entry how many samples there are, taken and dropped, and why.

The lines are as in `ops.jsonl.gz` (see `ops.py`), with these differences:

    entry    the name in op_db
    tag      sample; strided: the same with a gap after every element; edge: zeros, huge numbers, infinities, NaN (values and
             first derivatives)
    strides  of an input that is not contiguous, instead of "layout"

Lengths in the database are made smaller, and numbers rounded to four digits, so that the file stays small. Of samples that differ in
nothing but numbers one is taken, and of the others those that show a new pair of arguments.
"""

import collections
import gzip
import itertools
import json
import math
import pathlib
import random
import warnings

import ops  # First: it sets what PyTorch reads when it is imported.
import numpy as np
import torch

torch.backends.mkldnn.enabled = False  # The import of the database freezes this flag.
from torch.testing._internal import common_methods_invocations as database
from torch.testing._internal.common_utils import noncontiguous_like
from torch.testing._internal.opinfo import core, definitions
from torch.utils import _pytree as pytree

from cases.op_db_left_out import LEFT_OUT
from cases.op_db_map import CALLS, DTYPES, MAPPED, refused, translated

HERE = pathlib.Path(__file__).parent
OUT = HERE.parents[1] / "crates/wengert/tests/data/op_db.jsonl.gz"
LIST = HERE / "op_db.md"
# Lengths that the database calls XS, S, M and L: small ones, and for samples that are no valid calls then, larger ones.
LENGTHS = ((2, 3, 4, 5), (3, 5, 5, 6))
MOST_ELEMENTS = 260
MOST_CASES = {torch.float64: 12, torch.float32: 5}
MOST_STRIDED = 3
# Of entries that are several operations here.
MOST_COMPOSED = {torch.float64: 6, torch.float32: 2}
HEAD = """# PyTorch's operator database and wengert

Written by `op_db.py`. Samples are those of PyTorch, for both float types where there are both; cases are those of them that were taken, some
again with gaps between their elements, and those at zeros, huge numbers, infinities and NaN. An operation in parentheses is a line of several.

| entry | operation here | samples | cases | samples not taken |
| --- | --- | --- | --- | --- |
"""
EDGES = (0.0, -0.0, 0.25, -1.0, 2.0, -math.pi, 501.0, -1e20, 1e20, math.inf, -math.inf, math.nan)


def name_of(info):
    return f"{info.name}[{info.variant_test_name}]" if info.variant_test_name else info.name


def with_lengths(lengths):
    """Gives every module of the database other lengths."""
    modules = [database, core, *(getattr(definitions, name) for name in ("linalg", "special", "_masked"))]
    for module, (key, length) in itertools.product(modules, zip(("XS", "S", "M", "L"), lengths)):
        if hasattr(module, key):
            setattr(module, key, length)


def samples(info, dtype):
    """The entry's samples, always the same ones."""
    for lengths in LENGTHS:
        with_lengths(lengths)
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        try:
            found = list(info.sample_inputs("cpu", dtype, requires_grad=info.supports_autograd and dtype.is_floating_point))
            for sample in found:
                function_of(info)(sample.input, *sample.args, **sample.kwargs)
            return found
        except (IndexError, RuntimeError):
            continue
    raise AssertionError(f"no samples of {name_of(info)}")


def function_of(info):
    return CALLS.get(name_of(info), info.op)


def storage_of(tensor):
    """The elements that a tensor's strides reach, in the order of memory."""
    length = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride())) if tensor.numel() else 0
    return tensor.detach().as_strided((length,), (1,))


def rounded(tensor):
    """A leaf of the same layout with numbers of four digits."""
    if not tensor.is_floating_point():
        return tensor.detach()
    digits = [float(f"{n:.4g}") for n in storage_of(tensor).double().tolist()]
    copy = torch.tensor(digits, dtype=tensor.dtype).as_strided(tensor.shape, tensor.stride())
    return copy.requires_grad_(tensor.requires_grad)


def arguments(entry, sample):
    """Name -> value, as PyTorch has them; None if the sample has a keyword that is not offered, which is returned second."""
    row = MAPPED[entry]
    values = (sample.input, *sample.args)
    if len(values) > len(row.names):
        return None, "more positional arguments"
    named = dict(zip(row.names, values))
    for key, value in sample.kwargs.items():
        if key == "device" or key == "dtype" and value == dtype_of(sample):
            continue
        if key not in row.keywords:
            return None, f"no keyword `{key}`"
        named[key] = value
    return named, None


def tensors_of(values):
    values = (values.input, values.args, values.kwargs) if isinstance(values, core.SampleInput) else values
    return [t for t in pytree.tree_leaves(values) if isinstance(t, torch.Tensor)]


def elements(sample):
    return sum(t.numel() for t in tensors_of(sample))


def dtype_of(sample):
    return next((t.dtype for t in tensors_of((sample.input, sample.args)) if t.is_floating_point()), None)


def atoms(named):
    """What a sample shows, without its numbers."""
    kind = lambda t: f"{t.dtype} of rank {t.dim()}" + (", empty" if t.numel() == 0 else "") + ("" if t.is_contiguous() else ", strided")
    show = lambda v: kind(v) if isinstance(v, torch.Tensor) else [show(e) for e in v] if isinstance(v, (list, tuple)) else repr(v)
    return {f"{key}: {show(value)}" for key, value in named.items()}


def chosen(calls, most):
    """Of the calls those that show an atom that none before does, then those that show a new pair until there are `most`."""
    kept, seen = [], set()
    for size in (1, 2):
        for position, named in enumerate(calls):
            shows = set(itertools.combinations(sorted(atoms(named)), min(size, len(named))))
            if (size == 1 or len(kept) < most) and position not in kept and shows - seen:
                kept.append(position)
                seen |= shows
    return sorted(kept)


def plain(value):
    """A keyword argument as JSON."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    assert isinstance(value, (bool, int, float, str)), value
    return value


def inputs_and_keywords(named):
    """(name, tensor) of every tensor, `input` first, and the other arguments as JSON."""
    inputs, kwargs = [], {}
    for key, value in sorted(named.items(), key=lambda item: item[0] != "input"):
        if isinstance(value, torch.Tensor):
            inputs.append((key, value))
        elif isinstance(value, (list, tuple)) and tensors_of(value):
            inputs += [(key, tensor) for tensor in value]
        else:
            kwargs[key] = plain(value)
    return inputs, kwargs


def described(name, tensor, earlier):
    """An input as JSON."""
    if any(tensor is other for other in earlier):
        return {"name": name, "same_as": next(k for k, other in enumerate(earlier) if tensor is other)}
    row = {"name": name, "dtype": ops.NAMES[tensor.dtype], "shape": list(tensor.shape), "data": ops.numbers(tensor)}
    row |= {"grad": True} if tensor.requires_grad else {}
    return row | ({} if tensor.is_contiguous() else {"strides": list(tensor.stride())})


def evaluated(info, sample, tag, second, rng):
    """The sample as one JSON object; `sample` holds rounded leaves."""
    entry = name_of(info)
    named, _ = arguments(entry, sample)
    inputs, kwargs = inputs_and_keywords(translated(entry, named))
    tensors = [tensor for _, tensor in inputs]
    outputs = function_of(info)(sample.input, *sample.args, **sample.kwargs)
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    row = {"op": MAPPED[entry].op, "entry": entry, "tag": tag, "kwargs": kwargs}
    row["inputs"] = [described(name, tensor, tensors[:k]) for k, (name, tensor) in enumerate(inputs)]
    row["outputs"] = [{"dtype": ops.NAMES[t.dtype], "shape": list(t.shape), "data": ops.numbers(t)} for t in outputs]
    smooth = [k for k, t in enumerate(outputs) if t.requires_grad]
    wanted = [k for k, row in enumerate(row["inputs"]) if row.get("grad")]
    if not smooth:
        return row
    leaves = [tensors[k] for k in wanted]
    seeds = [ops.draw(rng, outputs[k].shape, -1, 1).to(outputs[k].dtype).requires_grad_() for k in smooth]
    grads = torch.autograd.grad([outputs[k] for k in smooth], leaves, seeds, create_graph=second, allow_unused=True)
    row["seeds"] = ops.at(smooth, ops.listed(seeds), len(outputs))
    row["grads"] = ops.at(wanted, ops.listed(grads), len(tensors))
    found = ops.second_order(grads, leaves, seeds, rng) if second else None
    if found:
        weights, _, grads2 = found
        row["weights"] = ops.at(wanted, ops.listed(weights), len(tensors))
        row["grads2"] = ops.at(wanted, ops.listed(grads2), len(tensors))
    return row


def edge_samples(info, dtype):
    """Zeros, huge numbers, infinities and NaN: each for one operand, each pair for two."""
    operand = lambda values: torch.tensor(values, dtype=dtype, requires_grad=info.supports_autograd)
    if isinstance(info, core.BinaryUfuncInfo):
        pairs = list(itertools.product(EDGES, EDGES))
        return [core.SampleInput(operand([a for a, _ in pairs]), operand([b for _, b in pairs]))]
    return [core.SampleInput(operand(EDGES))] if isinstance(info, core.UnaryUfuncInfo) else []


def taken(info, dtype, dropped):
    """(sample, tag, whether second derivatives are asked for) of an entry."""
    entry = name_of(info)
    composed = MAPPED[entry].composed
    most = MOST_COMPOSED if composed else MOST_CASES
    fitting, calls = [], []
    found = samples(info, dtype)
    # Where most samples are larger, the three smallest.
    limit = max(MOST_ELEMENTS, min(sorted(map(elements, found))[:3][-1], 2 * MOST_ELEMENTS))
    for sample in found:
        named, reason = arguments(entry, sample)
        reason = reason or refused(entry, named)
        if not reason and elements(sample) > limit:
            reason = "too large"
        if reason:
            dropped[reason] += 1
        else:
            fitting.append(sample)
            calls.append(named)
    kept = [fitting[k].transform(leaf) for k in chosen(calls, most.get(dtype, 12))]
    dropped["shows no other argument"] += len(fitting) - len(kept)
    second = info.supports_gradgrad
    cases = [(sample, "sample", second) for sample in kept]
    if dtype == torch.float64:
        several = [s for s in kept if any(t.numel() > 1 for t in tensors_of(s))]
        cases += [(sample.transform(gapped), "strided", second) for sample in several[: 1 if composed else MOST_STRIDED]]
    if dtype in MOST_CASES and not composed:
        cases += [(sample, "edge", False) for sample in edge_samples(info, dtype)]
    return len(found), cases


def leaf(value):
    return rounded(value) if isinstance(value, torch.Tensor) else value


def gapped(value):
    return noncontiguous_like(value.detach()).requires_grad_(value.requires_grad) if isinstance(value, torch.Tensor) else value


def lines(info, listing):
    """The entry's cases as JSON texts; what became of its samples goes to `listing`."""
    entry = name_of(info)
    dtypes = [DTYPES[entry]] if entry in DTYPES else list(MOST_CASES)
    total, dropped, texts = 0, collections.Counter(), []
    for dtype in dtypes:
        count, cases = taken(info, dtype, dropped)
        total += count
        for position, (sample, tag, second) in enumerate(cases):
            row = evaluated(info, sample, tag, second, random.Random(f"{entry}/{dtype}/{position}"))
            texts.append(json.dumps(row, separators=(",", ":"), allow_nan=False))
    assert texts, f"no sample of {entry}: {dropped}"
    reasons = "; ".join(f"{reason}: {count}" for reason, count in sorted(dropped.items()) if count)
    op = f"(`{MAPPED[entry].op}`)" if MAPPED[entry].composed else f"`{MAPPED[entry].op}`"
    listing.append(f"| `{entry}` | {op} | {total} | {len(texts)} | {reasons} |")
    return texts


def write_list(listing):
    """Writes what became of every entry."""
    text = HEAD + "\n".join(listing) + "\n\n## Left out\n\n| reason | entries |\n| --- | --- |\n"
    for reason, group in itertools.groupby(LEFT_OUT, LEFT_OUT.get):
        text += f"| {reason} | {' '.join(f'`{entry}`' for entry in group)} |\n"
    LIST.write_text(text)


def main():
    """Evaluate the samples of every entry that is mapped and write the files, with no time stamp in them."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    warnings.simplefilter("ignore")
    entries = {name_of(info): info for info in database.op_db}
    unknown = set(entries) - set(MAPPED) - set(LEFT_OUT)
    stale = (set(MAPPED) | set(LEFT_OUT)) - set(entries)
    assert not unknown and not stale, f"in op_db and not named: {sorted(unknown)}; named and not in op_db: {sorted(stale)}"
    listing, texts = [], []
    for entry in MAPPED:
        texts += lines(entries[entry], listing)
    write_list(listing)
    OUT.write_bytes(gzip.compress("\n".join(texts).encode() + b"\n", 9, mtime=0))
    print(f"{len(texts)} cases of {len(MAPPED)} entries, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
