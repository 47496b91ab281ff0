"""Reading and writing by index, masks and sorting."""

import torch
import torch.nn.functional as F

from .build import INF, NAN, case, index, mask, v, x

CALLS = {
    "gather": torch.gather,
    "scatter": torch.scatter,
    "scatter_add": torch.scatter_add,
    "index_select": torch.index_select,
    "index_add": torch.index_add,
    "index_put": lambda tensor, indices, values, accumulate=False: tensor.index_put(tuple(indices), values, accumulate),
    "masked_fill": torch.masked_fill,
    "masked_select": torch.masked_select,
    "take_along_dim": lambda tensor, indices, dim=None: torch.take_along_dim(tensor, indices[0], dim),
    # Ties keep their order: without `stable` theirs is nobody's promise.
    "sort": lambda tensor, dim=-1, descending=False: torch.sort(tensor, stable=True, dim=dim, descending=descending),
    "argsort": lambda tensor, dim=-1, descending=False: torch.argsort(tensor, stable=True, dim=dim, descending=descending),
    "topk": torch.topk,
    "one_hot": F.one_hot,
    "embedding": F.embedding,
}


def gather_scatter():
    pairs = [
        ([4], [[3, 0, 3, 3, 1]], 0),
        ([2, 3], [[[0, 2, 2], [1, 1, 0]]], 1),
        ([2, 3], [[[0, 2, 2], [1, 1, 0]]], -1),
        ([3, 2], [[[2, 0], [2, 2], [2, 1], [0, 0]]], 0),
        ([2, 3, 2], [[[[0, 2]], [[1, 1]]]], 1),
        ([3, 4], [[[1, 0], [3, 3]]], 1),
    ]
    for shape, (values,), dim in pairs:
        yield case("gather", x(*shape), index(values), dim=dim)
    yield case("gather", x(), index(0), dim=0)
    yield case("gather", x(3), index([], shape=[0]), dim=0)
    yield case("gather", x(2, 3, layout="t"), index([[0, 2, 2], [1, 1, 0]]), tag="layout", dim=1)
    yield case("gather", x(3, dtype="f32"), index([1, 1]), tag="f32", dim=0)
    targets = [
        ([5], [3, 0, 4], [3], 0),
        ([2, 4], [[0, 2, 3], [1, 3, 0]], [2, 3], 1),
        ([3, 2], [[2, 0], [0, 1]], [2, 2], 0),
        ([2, 3, 2], [[[0, 2], [2, 0]], [[1, 1], [0, 2]]], [2, 2, 2], -2),
        ([3], 1, [], 0),
    ]
    for op in ("scatter", "scatter_add"):
        for shape, values, source, dim in targets:
            if shape == [3]:
                yield case(op, x(), index(0), x(name="src"), dim=0)
            else:
                yield case(op, x(*shape), index(values), x(*source, name="src"), dim=dim)
        yield case(op, x(3), index([], shape=[0]), x(0, name="src"), dim=0)
        yield case(op, x(4, 2, layout="t"), index([[3, 1], [0, 2]]), x(2, 2, name="src", layout="t"), tag="layout", dim=0)
        yield case(op, x(4, dtype="f32"), index([2, 0]), x(2, name="src", dtype="f32"), tag="f32", dim=0)
    for shape, values, source, dim in (([3], [1, 1, 1, 0], [4], 0), ([2, 3], [[0, 0, 2], [1, 1, 1]], [2, 3], 1),
                                       ([2, 2], [[1, 1], [1, 0], [0, 0]], [3, 2], 0)):
        yield case("scatter_add", x(*shape), index(values), x(*source, name="src"), tag="repeated", dim=dim)
        # The last write wins. PyTorch would give the gradient of the slot to the losers too, so they take none here.
        yield case("scatter", x(*shape), index(values), x(*source, name="src", grad=False), tag="repeated", dim=dim)
    yield case("scatter", x(2, 3), index([[0, 2], [1, 1]]), dim=1, value=1.5)
    yield case("scatter", x(4), index([3]), dim=0, value=-2.0)


def by_index():
    for shape, values, dim in (([4], [3, 0, 3], 0), ([2, 3], [2, 2, 0, 1], 1), ([2, 3, 2], [1], -2), ([3, 2], [0, 2], 0)):
        yield case("index_select", x(*shape), index(values), dim=dim)
        source = list(shape)
        source[dim] = len(values)
        yield case("index_add", x(*shape), index(values), x(*source, name="source"), dim=dim)
    yield case("index_select", x(3, 2), index([], shape=[0]), dim=0)
    yield case("index_select", x(2, 3, layout="t"), index([1, 1]), tag="layout", dim=1)
    yield case("index_select", x(3, dtype="f32"), index([2, 0]), tag="f32", dim=0)
    yield case("index_add", x(3), index([0, 0]), x(2, name="source"), tag="repeated", dim=0, alpha=2.5)
    yield case("index_add", x(2, 3, layout="t"), index([1, 1]), x(2, 2, name="source", layout="t"), tag="layout", dim=1)
    yield case("index_add", x(3, dtype="f32"), index([2, 2]), x(2, name="source", dtype="f32"), tag="f32", dim=0)
    first, second = index([0, 1, 1], "indices"), index([2, 0, 2], "indices")
    for accumulate in (False, True):
        yield case("index_put", x(4), index([3, 1], "indices"), x(2, name="values"), accumulate=accumulate)
        yield case("index_put", x(2, 3), first, second, x(3, name="values"), accumulate=accumulate)
        yield case("index_put", x(2, 3), index([1], "indices"), x(1, 3, name="values"), accumulate=accumulate)
        yield case("index_put", x(3, 2), index([2, 0], "indices"), x(2, name="values"), tag="broadcast", accumulate=accumulate)
        yield case("index_put", x(2, 3), first, second, x(name="values"), tag="broadcast", accumulate=accumulate)
        yield case("index_put", x(3), index([-1, 0], "indices"), x(2, name="values"), accumulate=accumulate)
    yield case("index_put", x(3), index([1, 1, 0, 1], "indices"), x(4, name="values"), tag="repeated", accumulate=True)
    yield case("index_put", x(3), index([1, 1, 0, 1], "indices"), x(4, name="values", grad=False), tag="repeated", accumulate=False)
    yield case("take_along_dim", x(2, 3), index([[2, 0], [1, 1]], "indices"), dim=1)
    yield case("take_along_dim", x(2, 3), index([[0, 1, 0]], "indices"), dim=0)
    yield case("take_along_dim", x(2, 3), index([[2], [0]], "indices"), dim=-1)
    yield case("take_along_dim", x(1, 3), index([[2], [0]], "indices"), tag="broadcast", dim=1)
    yield case("take_along_dim", x(2, 3), index([5, 0, 0], "indices"))
    yield case("take_along_dim", x(2, 3, layout="t"), index([[2, 0], [1, 1]], "indices"), tag="layout", dim=1)


def masks():
    rows = mask([[1, 0, 0], [0, 1, 1]])
    yield case("masked_fill", x(2, 3), rows, value=-1.5)
    yield case("masked_fill", x(2, 3), mask([1, 0, 1]), tag="broadcast", value=0.0)
    yield case("masked_fill", x(2, 3), mask([[1], [0]]), tag="broadcast", value=-INF)
    yield case("masked_fill", x(2, 3), rows, x(name="value"))
    yield case("masked_fill", x(3, 2, layout="t"), mask([[1, 0], [0, 0], [1, 1]]), tag="layout", value=2.0)
    yield case("masked_fill", x(), mask(1), value=2.0)
    yield case("masked_fill", x(0, 3), mask([1, 0, 1]), tag="broadcast", value=2.0)
    yield case("masked_fill", x(3, dtype="f32"), mask([0, 1, 0]), tag="f32", value=0.5)
    yield case("masked_fill", v([NAN, INF, 1.0]), mask([1, 1, 0]), tag="nonfinite", value=0.0)
    yield case("masked_select", x(2, 3), rows)
    yield case("masked_select", x(2, 3), mask([1, 0, 1]), tag="broadcast")
    yield case("masked_select", x(3), mask([[1, 0, 1], [0, 1, 1]]), tag="broadcast")
    yield case("masked_select", x(2, 2), mask([[0, 0], [0, 0]]))
    yield case("masked_select", x(), mask(1))
    yield case("masked_select", x(3, 2, layout="t"), mask([[1, 0], [0, 0], [1, 1]]), tag="layout")
    yield case("masked_select", x(3, dtype="f32"), mask([0, 1, 1]), tag="f32")


def sorting():
    for op in ("sort", "argsort"):
        for shape, kwargs in (([7], {}), ([2, 4], {"descending": True}), ([3, 2], {"dim": 0}),
                              ([2, 3, 2], {"dim": 1, "descending": True}), ([], {}), ([1], {}), ([2, 0], {}),
                              ([0, 2], {"dim": 1})):
            yield case(op, x(*shape), **kwargs)
        yield case(op, x(3, 2, layout="t"), tag="layout", dim=-1)
        yield case(op, x(5, dtype="f32"), tag="f32")
        for descending in (False, True):
            yield case(op, v([2.0, 1.0, 2.0, 1.0, 1.0]), tag="special", descending=descending)
            yield case(op, v([0.0, -0.0, 0.0]), tag="special", descending=descending)
            yield case(op, v([1.0, NAN, -INF, INF, NAN, 0.0]), tag="nonfinite", descending=descending)
    for shape, kwargs in (([6], {"k": 3}), ([6], {"k": 2, "largest": False}), ([2, 4], {"k": 2, "dim": 1}),
                          ([4, 2], {"k": 3, "dim": 0, "largest": False}), ([3], {"k": 3}), ([3], {"k": 0}),
                          ([], {"k": 1}), ([2, 3, 2], {"k": 1, "dim": -2})):
        yield case("topk", x(*shape), **kwargs)
    yield case("topk", x(3, 2, layout="t"), tag="layout", k=1)
    yield case("topk", x(5, dtype="f32"), tag="f32", k=2)
    yield case("topk", v([1.0, NAN, INF, -INF, 0.0]), tag="nonfinite", k=3)
    yield case("topk", v([1.0, NAN, INF, -INF, 0.0]), tag="nonfinite", k=3, largest=False)


def tables():
    yield case("one_hot", index([0, 2, 1, 2], "input"), num_classes=4)
    yield case("one_hot", index([0, 2, 1], "input"), num_classes=-1)
    yield case("one_hot", index([[1, 0], [0, 1]], "input"), num_classes=2)
    yield case("one_hot", index(2, "input"), num_classes=3)
    yield case("one_hot", index([], "input", shape=[0]), num_classes=3)
    for values in ([0, 3, 3], [[1, 2], [1, 1]], 2):
        yield case("embedding", index(values, "input"), x(4, 3, name="weight"))
    # PyTorch fails on the second derivative of this one.
    yield case("embedding", index([], "input", shape=[0]), x(4, 3, name="weight"), tag="empty", second=False)
    yield case("embedding", index([0, 2, 2, 1], "input"), x(3, 2, name="weight"), padding_idx=2)
    yield case("embedding", index([0, 2, 2, 1], "input"), x(3, 2, name="weight"), padding_idx=-3)
    yield case("embedding", index([0, 1], "input"), x(3, 2, name="weight", layout="t"), tag="layout")
    yield case("embedding", index([0, 1, 1], "input"), x(3, 2, name="weight", dtype="f32"), tag="f32")


def cases():
    yield from gather_scatter()
    yield from by_index()
    yield from masks()
    yield from sorting()
    yield from tables()
