"""Movement: new shapes, orders, joints and borders of the same numbers."""

import torch
import torch.nn.functional as F

from .build import INF, NAN, case, same, v, x


def slice_(tensor, dim=0, start=None, end=None, step=1):
    return tensor[(slice(None),) * (dim % tensor.dim()) + (slice(start, end, step),)]


CALLS = {
    "reshape": torch.reshape,
    "flatten": torch.flatten,
    "unflatten": torch.unflatten,
    "squeeze": torch.squeeze,
    "unsqueeze": torch.unsqueeze,
    "transpose": torch.transpose,
    "t": torch.t,
    "permute": torch.permute,
    "movedim": torch.movedim,
    "expand": lambda tensor, size: tensor.expand(size),
    "broadcast_to": torch.broadcast_to,
    "repeat": lambda tensor, repeats: tensor.repeat(repeats),
    "flip": torch.flip,
    "roll": torch.roll,
    "cat": torch.cat,
    "stack": torch.stack,
    "split": torch.split,
    "chunk": torch.chunk,
    "unbind": torch.unbind,
    "slice": slice_,
    "narrow": torch.narrow,
    "select": torch.select,
    "pad": F.pad,
    "tril": torch.tril,
    "triu": torch.triu,
    "diagonal": torch.diagonal,
    "diag": torch.diag,
}
# Op -> (shape, arguments) rows.
ROWS = {
    "reshape": [([2, 3], {"shape": [3, 2]}), ([2, 3], {"shape": [-1]}), ([4], {"shape": [2, -1]}), ([], {"shape": [1, 1]}),
                ([1], {"shape": []}), ([0, 3], {"shape": [3, 0]}), ([2, 3, 2], {"shape": [1, 2, 1, 3, 1, 2, 1, 1]})],
    "flatten": [([2, 3, 2], {}), ([2, 3, 2], {"start_dim": 1}), ([2, 3, 2], {"start_dim": 0, "end_dim": 1}), ([], {}), ([3], {}),
                ([2, 1, 2, 2], {"start_dim": -3, "end_dim": -2}), ([2, 0], {})],
    "unflatten": [([6], {"dim": 0, "sizes": [2, 3]}), ([2, 6], {"dim": -1, "sizes": [3, -1]}),
                  ([4, 2], {"dim": 0, "sizes": [2, 1, 2]})],
    "squeeze": [([1, 3, 1], {}), ([1, 3, 1], {"dim": 0}), ([1, 3, 1], {"dim": -1}), ([1, 3, 1], {"dim": 1}),
                ([1, 3, 1, 1], {"dim": [0, 2]}),
                ([], {}), ([1, 0], {}), ([2, 2], {})],
    "unsqueeze": [([3], {"dim": 0}), ([3], {"dim": -1}), ([2, 3], {"dim": 1}), ([], {"dim": 0}), ([2, 3], {"dim": -3}),
                  ([0], {"dim": 1})],
    "transpose": [([2, 3], {"dim0": 0, "dim1": 1}), ([2, 3, 4], {"dim0": -1, "dim1": 0}), ([2, 3, 4], {"dim0": 1, "dim1": 1}),
                  ([0, 2], {"dim0": 0, "dim1": 1}),
                  ([3], {"dim0": 0, "dim1": -1})],
    "t": [([2, 3], {}), ([3], {}), ([], {}), ([1, 4], {}), ([0, 2], {})],
    "permute": [([2, 3, 4], {"dims": [2, 0, 1]}), ([2, 3, 4], {"dims": [-1, 1, 0]}), ([2, 3], {"dims": [0, 1]}), ([], {"dims": []}),
                ([1, 2, 1, 2, 1, 1, 2, 1], {"dims": [6, 0, 3, 1, 7, 2, 5, 4]}), ([2, 0, 3], {"dims": [1, 2, 0]})],
    "movedim": [([2, 3, 4], {"source": 0, "destination": 2}), ([2, 3, 4], {"source": -1, "destination": 0}),
                ([2, 3, 4], {"source": [0, 1], "destination": [2, 0]}),
                ([2, 3, 1, 2], {"source": [3, 0], "destination": [0, -1]})],
    "expand": [([3, 1], {"size": [3, 4]}), ([3], {"size": [2, 3]}), ([1, 3, 1], {"size": [2, -1, 2]}), ([], {"size": [2, 2]}),
               ([1], {"size": [0]}),
               ([2, 1], {"size": [3, -1, 2]})],
    "broadcast_to": [([3], {"size": [2, 3]}), ([2, 1, 3], {"size": [2, 2, 3]}), ([], {"size": [3]}), ([1], {"size": [0, 2, 1]}),
                     ([2, 3], {"size": [2, 3]})],
    "repeat": [([3], {"repeats": [2]}), ([3], {"repeats": [2, 2]}), ([2, 3], {"repeats": [1, 2]}), ([], {"repeats": [3]}),
               ([2, 1], {"repeats": [2, 1, 3]}),
               ([2], {"repeats": [0]}), ([0, 2], {"repeats": [2, 2]})],
    "flip": [([4], {"dims": [0]}), ([2, 3], {"dims": [1]}), ([2, 3], {"dims": [0, -1]}), ([2, 3, 2], {"dims": [-2]}),
             ([2, 3], {"dims": []}), ([0, 2], {"dims": [0]})],
    "roll": [([5], {"shifts": 2}), ([5], {"shifts": -1, "dims": 0}), ([2, 3], {"shifts": 4}), ([2, 3], {"shifts": 1, "dims": 1}),
             ([2, 3], {"shifts": [1, -2], "dims": [0, 1]}), ([3, 4], {"shifts": 7, "dims": -1}),
             ([0, 2], {"shifts": 1, "dims": 1}), ([3, 2], {"shifts": 0, "dims": 0})],
    "split": [([5], {"split_size_or_sections": 2}), ([4, 3], {"split_size_or_sections": 2, "dim": 1}),
              ([5, 2], {"split_size_or_sections": [1, 3, 1], "dim": 0}),
              ([2, 4], {"split_size_or_sections": [4, 0], "dim": -1}), ([3], {"split_size_or_sections": 7})],
    "chunk": [([5], {"chunks": 2}), ([6, 2], {"chunks": 3}), ([2, 5], {"chunks": 4, "dim": -1}), ([3], {"chunks": 1}),
              ([2], {"chunks": 5})],
    "unbind": [([3], {}), ([2, 3], {}), ([2, 3], {"dim": -1}), ([2, 1, 2], {"dim": 1}), ([2, 0], {"dim": 0})],
    "slice": [([6], {"dim": 0, "start": 1, "end": 4}), ([6], {"dim": 0, "start": 0, "end": 6, "step": 2}),
              ([7], {"dim": 0, "start": 1, "step": 3}),
              ([3, 4], {"dim": 1, "start": -2}), ([3, 4], {"dim": 0, "end": -1}),
              ([2, 5], {"dim": -1, "start": 1, "end": 100, "step": 2}), ([4], {"dim": 0, "start": 3, "end": 3}),
              ([0, 2], {"dim": 1, "start": 1, "end": 2})],
    "narrow": [([5], {"dim": 0, "start": 1, "length": 3}), ([3, 4], {"dim": 1, "start": 2, "length": 2}),
               ([3, 4], {"dim": -2, "start": -1, "length": 1}), ([3], {"dim": 0, "start": 3, "length": 0})],
    "select": [([4], {"dim": 0, "index": 2}), ([2, 3], {"dim": 1, "index": -1}), ([2, 3], {"dim": -2, "index": 0}),
               ([2, 1, 3], {"dim": 1, "index": 0}), ([0, 2], {"dim": 1, "index": 1})],
    "tril": [([3, 3], {}), ([2, 4], {"diagonal": 1}), ([4, 2], {"diagonal": -1}), ([2, 2, 3], {}), ([2, 2], {"diagonal": -5}),
             ([2, 2], {"diagonal": 5}), ([0, 3], {})],
    "triu": [([3, 3], {}), ([2, 4], {"diagonal": 1}), ([4, 2], {"diagonal": -1}), ([2, 2, 3], {}), ([2, 2], {"diagonal": -5}),
             ([2, 2], {"diagonal": 5}), ([0, 3], {})],
    "diagonal": [([3, 3], {}), ([2, 4], {"offset": 1}), ([4, 2], {"offset": -2}), ([2, 3, 4], {"dim1": 1, "dim2": 2}),
                 ([2, 3, 4], {"offset": 1, "dim1": -1, "dim2": 0}), ([2, 2], {"offset": 3})],
    "diag": [([3], {}), ([3, 3], {}), ([2], {"diagonal": 1}), ([2], {"diagonal": -2}), ([2, 3], {"diagonal": 1}),
             ([3, 2], {"diagonal": -1}), ([0], {})],
    "pad": [([3], {"pad": [1, 2]}), ([2, 3], {"pad": [1, 0, 0, 2], "value": 1.5}),
            ([2, 3], {"pad": [2, 1], "mode": "constant", "value": -INF}), ([4, 3], {"pad": [-1, 1, -1, -2]}),
            ([2, 2, 2], {"pad": [0, 1, 1, 0, 2, 1]}), ([0, 2], {"pad": [1, 1]}), ([], {"pad": []}),
            *[(shape, {"pad": pad, "mode": mode}) for mode in ("reflect", "replicate", "circular")
              for shape, pad in (([2, 4], [2, 3]), ([1, 2, 4], [1, 0]), ([2, 3, 4], [1, 1, 2, 0]), ([1, 2, 3, 3], [2, 1, 0, 2]),
                                 ([1, 1, 2, 3, 3], [1, 2, 0, 1, 1, 1]))]],
}


def joined(name, op):
    """Inputs of `cat` and `stack` are several tensors of one name."""
    shapes = {
        "cat": [([[2], [3]], 0), ([[2, 3], [1, 3], [2, 3]], 0), ([[2, 1], [2, 2]], -1), ([[2, 2, 1], [2, 3, 1]], 1),
                ([[0], [3]], 0), ([[2, 0], [2, 2]], 1), ([[3]], 0)],
        "stack": [([[2], [2]], 0), ([[2, 3], [2, 3], [2, 3]], 1), ([[2, 3], [2, 3]], -1), ([[], []], 0), ([[0, 2], [0, 2]], 1),
                  ([[3]], -2)],
    }[op]
    for parts, dim in shapes:
        yield case(op, *[x(*shape, name=name) for shape in parts], dim=dim)
    yield case(op, x(2, 3, name=name, layout="t"), x(2, 3, name=name, layout="t"), tag="layout", dim=1)
    yield case(op, x(2, 3, name=name), same(0, name), tag="same", dim=0)
    yield case(op, x(2, name=name, dtype="f32"), x(2, name=name, dtype="f32"), tag="f32", dim=0)


def cases():
    for op, rows in ROWS.items():
        for shape, kwargs in rows:
            yield case(op, x(*shape), **kwargs)
        stored_transposed = next(((s, k) for s, k in rows if len(s) >= 2 and 0 not in s), None)
        if stored_transposed:
            shape, kwargs = stored_transposed
            yield case(op, x(*shape, layout="t"), tag="layout", **kwargs)
        shape, kwargs = rows[0]
        yield case(op, x(*shape, dtype="f32"), tag="f32", **kwargs)
    yield from joined("tensors", "cat")
    yield from joined("tensors", "stack")
    for op in ("tril", "triu"):
        yield case(op, v([[NAN, INF], [-INF, NAN]]), tag="nonfinite", second=False)
