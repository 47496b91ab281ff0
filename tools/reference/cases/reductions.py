"""Reductions and cumulative operations."""

import torch

from .build import INF, NAN, case, mask, v, x


def norm(tensor, p=2.0, dim=None, keepdim=False):
    return torch.linalg.vector_norm(tensor, p, dim, keepdim)


CALLS = {
    "sum": torch.sum,
    "mean": torch.mean,
    "prod": torch.prod,
    "max": torch.max,
    "min": torch.min,
    "amax": torch.amax,
    "amin": torch.amin,
    "argmax": torch.argmax,
    "argmin": torch.argmin,
    "var": torch.var,
    "std": torch.std,
    "norm": norm,
    "logsumexp": torch.logsumexp,
    "any": torch.any,
    "all": torch.all,
    "cumsum": torch.cumsum,
    "cumprod": torch.cumprod,
}
WHOLE = [[], [1], [7], [2, 3], [2, 1, 3]]
ONE_DIM = [
    ([4, 3], {"dim": 0}),
    ([4, 3], {"dim": -1}),
    ([2, 3, 4], {"dim": 1}),
    ([2, 3, 4], {"dim": -2, "keepdim": True}),
    ([3, 1], {"dim": 1}),
    ([], {"dim": 0}),
    ([0, 3], {"dim": 1}),
    ([1, 2, 1, 2, 1, 1, 2, 1], {"dim": -2}),
]
SEVERAL_DIMS = [
    ([2, 3, 4], {"dim": [0, 2]}),
    ([2, 3, 4], {"dim": [-1, 0], "keepdim": True}),
    ([2, 1, 3, 2], {"dim": [1, 3]}),
    ([2, 3], {"dim": [0, 1], "keepdim": True}),
    ([1, 2, 1, 2, 1, 1, 2, 1], {"dim": [1, -2, 5]}),
]
NO_WHOLE_FORM = {"logsumexp", "cumsum", "cumprod"}
ONE_DIM_ONLY = {"prod", "max", "min", "argmax", "argmin", "cumsum", "cumprod"}
ORDINARY = [op for op in CALLS if op not in ("any", "all")]
ZEROS = [[1.5], [0.0], [2.0, 0.0, -3.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, -3.0, 0.5, 0.0]]
TIES = [[1.0, 3.0, 3.0, 2.0], [2.0, 2.0], [-1.0, -1.0, -1.0, 0.0, 0.0], [0.0, -0.0]]
NOT_FINITE = [[1.0, NAN, 3.0], [NAN, NAN], [1.0, INF, 2.0], [-INF, 1.0], [INF, -INF, 0.0], [INF, INF], [-INF, -INF]]


def usual():
    """The shapes and dimensions that every reduction gets."""
    for op in ORDINARY:
        low, high = (0.2, 2) if op in ("prod", "cumprod") else (-2, 2)
        keeps = not op.startswith("cum")
        if op not in NO_WHOLE_FORM:
            for shape in WHOLE:
                # One value has no spread: `degenerate` has those cases.
                if op in ("var", "std") and shape in ([], [1]):
                    continue
                yield case(op, x(*shape, low=low, high=high))
            yield case(op, x(3, 2, low=low, high=high, layout="t"), tag="layout")
            yield case(op, x(8, low=low, high=high, dtype="f32"), tag="f32")
        for shape, kwargs in ONE_DIM + ([] if op in ONE_DIM_ONLY else SEVERAL_DIMS):
            if not keeps:
                kwargs = {"dim": kwargs["dim"]}
            if op in ("var", "std") and shape in ([], [3, 1]):
                continue
            yield case(op, x(*shape, low=low, high=high), **kwargs)
        yield case(op, x(3, 2, low=low, high=high, layout="t"), tag="layout", dim=0)
        yield case(op, x(2, 3, 2, low=low, high=high, layout="t"), tag="layout", dim=-1)
        yield case(op, x(3, 3, low=low, high=high, dtype="f32"), tag="f32", dim=1)


def empty():
    """Nothing to reduce, where that has a value."""
    for op in ("sum", "mean", "prod", "var", "std", "norm"):
        yield case(op, x(0), tag="empty", second=False)
        yield case(op, x(2, 0, 3), tag="empty", second=False)
        yield case(op, x(2, 0), tag="empty", second=False, dim=1)
    for op in ("cumsum", "cumprod"):
        yield case(op, x(2, 0), tag="empty", second=False, dim=1)
    yield case("logsumexp", x(2, 0), tag="empty", second=False, dim=1)
    for op in ("any", "all"):
        yield case(op, mask([], "input", shape=[0]), tag="empty", second=False)
        yield case(op, mask([], "input", shape=[2, 0]), tag="empty", second=False, dim=1)


def special():
    for row in ZEROS:
        yield case("prod", v(row), tag="special")
        yield case("cumprod", v(row), tag="special", dim=0)
    yield case("prod", v([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [4.0, 5.0, 6.0]]), tag="special", dim=1)
    yield case("prod", v([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [4.0, 5.0, 6.0]]), tag="special", dim=0, keepdim=True)
    yield case("cumprod", v([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [4.0, 5.0, 6.0]]), tag="special", dim=1)
    yield case("cumprod", v([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [4.0, 5.0, 6.0]]), tag="special", dim=0)
    for op in ("max", "min", "amax", "amin", "argmax", "argmin"):
        for row in TIES:
            yield case(op, v(row), tag="special", second=False)
            yield case(op, v([row, row[::-1]]), tag="special", second=False, dim=1)
        for row in NOT_FINITE:
            yield case(op, v(row), tag="nonfinite", second=False)
            yield case(op, v([row, row[::-1]]), tag="nonfinite", second=False, dim=-1)
        yield case(op, v([[1.0, 1.0], [1.0, 1.0]]), tag="special", second=False, dim=0)
    for op in ("sum", "mean", "prod", "var", "std", "norm"):
        for row in NOT_FINITE:
            yield case(op, v(row), tag="nonfinite", second=False)
    for op in ("logsumexp", "cumsum", "cumprod"):
        for row in NOT_FINITE:
            yield case(op, v(row), tag="nonfinite", second=False, dim=0)
    for row in ([1000.0, 1001.0, 999.5], [-1000.0, -1001.0], [0.0, -800.0], [3.0, 3.0]):
        yield case("logsumexp", v(row), tag="special", dim=0)


def spread():
    """Variance and standard deviation with corrections, of constants and of too few values."""
    for op in ("var", "std"):
        for correction in (0, 1, 2):
            yield case(op, x(5), correction=correction)
            yield case(op, x(3, 4), dim=1, correction=correction)
            yield case(op, x(3, 4), dim=[0, 1], keepdim=True, correction=correction)
        for correction in (0, 1, 3):
            yield case(op, v([1.5]), tag="special", second=False, correction=correction)
            yield case(op, v(2.5), tag="special", second=False, correction=correction)
            yield case(op, v([[1.5], [2.0]]), tag="special", second=False, dim=1, correction=correction)
            yield case(op, v([2.0, 2.0, 2.0]), tag="special", second=False, correction=correction)


def norms():
    for p in (1.0, 2.0, INF, 0.0, 3.0):
        yield case("norm", x(5), p=p)
        yield case("norm", x(2, 3), p=p)
        yield case("norm", x(2, 3), p=p, dim=1)
        yield case("norm", x(2, 3, 2), p=p, dim=[0, -1], keepdim=True)
        yield case("norm", x(3, 2, layout="t"), tag="layout", p=p, dim=0)
        yield case("norm", x(4, dtype="f32"), tag="f32", p=p)
        yield case("norm", x(), p=p)
        for row in ([0.0, 0.0, 0.0], [0.0], [3.0, 0.0, -4.0], [2.0, -2.0, 1.0]):
            yield case("norm", v(row), tag="special", second=False, p=p)
        yield case("norm", v([[0.0, 0.0], [1.0, 0.0]]), tag="special", second=False, p=p, dim=1)
        yield case("norm", v([1.0, NAN]), tag="nonfinite", second=False, p=p)
        yield case("norm", v([1.0, -INF]), tag="nonfinite", second=False, p=p)


def truths():
    for op in ("any", "all"):
        for values in ([1, 0, 1], [0, 0], [1, 1], 1, 0):
            yield case(op, mask(values, "input"))
        rows = mask([[1, 0, 1], [1, 1, 1], [0, 0, 0]], "input")
        yield case(op, rows, dim=0)
        yield case(op, rows, dim=-1)
        yield case(op, rows, dim=1, keepdim=True)
        yield case(op, rows, dim=[0, 1])
        yield case(op, mask([[[1, 0], [0, 0]], [[1, 1], [1, 0]]], "input"), dim=[0, 2])
        yield case(op, v([0.0, NAN, -0.0]), tag="nonfinite")
        yield case(op, v([[0.0, 1.0], [0.0, -0.0]]), dim=1)


def cases():
    yield from usual()
    yield from empty()
    yield from special()
    yield from spread()
    yield from norms()
    yield from truths()
