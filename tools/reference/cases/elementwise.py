"""Elementwise operations and comparisons."""

import operator

import torch
import torch.nn.functional as F

from .build import INF, NAN, case, mask, same, v, x


def number_remainder(number, tensor):
    """PyTorch has no derivative of `remainder` with a number on the left, but has it with a tensor there."""
    return torch.remainder(torch.tensor(number, dtype=tensor.dtype), tensor)


# Op -> function, range of the ordinary values.
UNARY = {
    "neg": (torch.neg, -2, 2),
    "reciprocal": (torch.reciprocal, 0.3, 3),
    "sqrt": (torch.sqrt, 0.05, 4),
    "rsqrt": (torch.rsqrt, 0.1, 4),
    "exp": (torch.exp, -3, 3),
    "exp2": (torch.exp2, -3, 3),
    "expm1": (torch.expm1, -3, 3),
    "ln": (torch.log, 0.1, 4),
    "log2": (torch.log2, 0.1, 4),
    "log10": (torch.log10, 0.1, 4),
    "log1p": (torch.log1p, -0.8, 3),
    "sin": (torch.sin, -6, 6),
    "cos": (torch.cos, -6, 6),
    "tan": (torch.tan, -1.4, 1.4),
    "asin": (torch.asin, -0.95, 0.95),
    "acos": (torch.acos, -0.95, 0.95),
    "atan": (torch.atan, -4, 4),
    "sinh": (torch.sinh, -3, 3),
    "cosh": (torch.cosh, -3, 3),
    "tanh": (torch.tanh, -3, 3),
    "asinh": (torch.asinh, -4, 4),
    "acosh": (torch.acosh, 1.1, 5),
    "atanh": (torch.atanh, -0.95, 0.95),
    "sigmoid": (torch.sigmoid, -6, 6),
    "softplus": (F.softplus, -6, 6),
    "relu": (torch.relu, -2, 2),
    "leaky_relu": (F.leaky_relu, -2, 2),
    "elu": (F.elu, -3, 3),
    "selu": (F.selu, -3, 3),
    "silu": (F.silu, -5, 5),
    "gelu": (F.gelu, -4, 4),
    "mish": (F.mish, -5, 5),
    "hardtanh": (F.hardtanh, -2, 2),
    "erf": (torch.erf, -3, 3),
    "erfc": (torch.erfc, -3, 3),
    "abs": (torch.abs, -2, 2),
    "sign": (torch.sign, -2, 2),
    "floor": (torch.floor, -3, 3),
    "ceil": (torch.ceil, -3, 3),
    "round": (torch.round, -3, 3),
    "trunc": (torch.trunc, -3, 3),
    "square": (torch.square, -2, 2),
    "is_nan": (torch.isnan, -2, 2),
    "is_finite": (torch.isfinite, -2, 2),
}
# Op, arguments, range, points where the arguments matter.
UNARY_KWARGS = [
    ("leaky_relu", {"negative_slope": 0.2}, -2, 2, [0.0, -1.0]),
    ("elu", {"alpha": 0.7}, -3, 3, [0.0, -50.0]),
    ("softplus", {"beta": 2.0, "threshold": 5.0}, -6, 6, [2.5, 2.75, -400.0]),
    ("gelu", {"approximate": "tanh"}, -4, 4, [0.0, 30.0, -30.0]),
    ("gelu", {"approximate": "none"}, -4, 4, [0.0, 30.0, -30.0]),
    ("hardtanh", {"min_val": -0.5, "max_val": 1.25}, -2, 2, [-0.5, 1.25, 1.0]),
    ("clamp", {"min": -0.5, "max": 0.75}, -2, 2, [-0.5, 0.75, INF, -INF, NAN]),
    ("clamp", {"min": 0.25}, -2, 2, [0.25, -INF, NAN]),
    ("clamp", {"max": 0.25}, -2, 2, [0.25, INF, NAN]),
    ("clamp", {"min": 1.0, "max": -1.0}, -2, 2, [0.0]),
    *[("powi", {"exponent": n}, -2, 2, [0.0, -0.0, -1.0, INF, -INF, NAN]) for n in (0, 1, 2, 3, 4, -1, -2)],
    *[("pow", {"exponent": p}, 0.1, 3, [0.0, -1.5, INF, NAN]) for p in (2.5, 0.5, -0.5, -1.5)],
    *[("pow", {"exponent": p}, -2, 2, [0.0, -1.0, INF, -INF, NAN]) for p in (0.0, 1.0, 2.0, 3.0, 4.0, -2.0)],
]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 2.5, -2.5, 3.0, -3.0, 1e-8, -1e-8, 1e-300, 6.0, -6.0, 25.0, -25.0, 800.0,
           -800.0]
NONFINITE = [NAN, INF, -INF]

# Op -> function, function of a number on the left, ranges of the two operands.
BINARY = {
    "add": (torch.add, operator.add, (-2, 2), (-2, 2)),
    "sub": (torch.sub, operator.sub, (-2, 2), (-2, 2)),
    "mul": (torch.mul, operator.mul, (-2, 2), (-2, 2)),
    "div": (torch.div, operator.truediv, (-2, 2), (0.4, 3)),
    "pow": (torch.pow, torch.pow, (0.2, 3), (-2, 2)),
    "atan2": (torch.atan2, None, (-2, 2), (-2, 2)),
    "fmod": (torch.fmod, None, (-5, 5), (0.7, 2)),
    "remainder": (torch.remainder, number_remainder, (-5, 5), (0.7, 2)),
    "minimum": (torch.minimum, None, (-2, 2), (-2, 2)),
    "maximum": (torch.maximum, None, (-2, 2), (-2, 2)),
    "fmin": (torch.fmin, None, (-2, 2), (-2, 2)),
    "fmax": (torch.fmax, None, (-2, 2), (-2, 2)),
    "copysign": (torch.copysign, None, (-2, 2), (-2, 2)),
    "hypot": (torch.hypot, None, (-2, 2), (-2, 2)),
    "xlogy": (torch.xlogy, torch.xlogy, (-2, 2), (0.1, 3)),
}
RIGHT_NUMBER = ["add", "sub", "mul", "div", "fmod", "remainder", "xlogy"]
SHAPES = [
    ([], []),
    ([17], [17]),
    ([2, 3], [3]),
    ([2, 1, 3], [4, 1]),
    ([], [2, 2]),
    ([3, 1], []),
    ([1], [2, 1]),
    ([0, 3], [1, 3]),
    ([2, 1, 2, 1], [1, 3, 1, 2]),
]
PAIRS = {
    "div": [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (1.0, -0.0), (0.0, 2.0)],
    "pow": [(b, e) for b in (-2.0, -1.5, 0.0, 1.0, 2.0) for e in (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0)],
    "atan2": [(0.0, 0.0), (0.0, 1.0), (0.0, -1.0), (-0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)],
    "fmod": [(a, b) for a in (-4.0, -3.5, 0.0, 3.5, 4.0) for b in (-2.0, 2.0, 0.0)],
    "remainder": [(a, b) for a in (-4.0, -3.5, 0.0, 3.5, 4.0) for b in (-2.0, 2.0, 0.0)],
    "minimum": [(1.0, 1.0), (0.0, -0.0), (-2.0, -2.0)],
    "maximum": [(1.0, 1.0), (0.0, -0.0), (-2.0, -2.0)],
    "fmin": [(1.0, 1.0), (0.0, -0.0), (-2.0, -2.0)],
    "fmax": [(1.0, 1.0), (0.0, -0.0), (-2.0, -2.0)],
    "copysign": [(1.0, -0.0), (-1.0, 0.0), (0.0, -1.0), (-0.0, 1.0), (0.0, -0.0)],
    "hypot": [(0.0, 0.0), (3.0, 4.0), (0.0, -2.0), (1e200, 1e200), (1e-200, 1e-200)],
    "xlogy": [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (2.0, -1.0)],
}
COMPARISONS = {name: getattr(torch, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")}

CALLS = (
    {name: row[0] for name, row in UNARY.items()}
    | {name: row[0] for name, row in BINARY.items()}
    | COMPARISONS
    | {"powi": torch.pow, "clamp": torch.clamp, "where_": torch.where, "lerp": torch.lerp}
)
NUMBER_ON_THE_LEFT = {name: row[1] for name, row in BINARY.items() if row[1]}


def unary():
    for op, (_, low, high) in UNARY.items():
        for shape in ([17], [], [2, 1, 3], [0, 2]):
            yield case(op, x(*shape, low=low, high=high))
        yield case(op, x(3, 2, low=low, high=high, layout="t"), tag="layout")
        yield case(op, x(9, low=low, high=high, dtype="f32"), tag="f32")
        yield case(op, v(SPECIAL), tag="special", second=False)
        yield case(op, v(NONFINITE), tag="nonfinite", second=False)
    for op, kwargs, low, high, points in UNARY_KWARGS:
        finite, rest = [p for p in points if abs(p) < INF], [p for p in points if not abs(p) < INF]
        yield case(op, x(5, low=low, high=high), **kwargs)
        yield case(op, x(2, 2, low=low, high=high, layout="t"), tag="layout", **kwargs)
        yield case(op, x(3, low=low, high=high, dtype="f32"), tag="f32", **kwargs)
        yield case(op, v(finite), tag="special", second=False, **kwargs)
        if rest:
            yield case(op, v(rest), tag="nonfinite", second=False, **kwargs)
    # x^4 at 3: the second derivative is 108.
    yield case("powi", v([3.0]), exponent=4)
    yield case("pow", v([3.0, -3.0]), exponent=4.0)


def binary():
    for op, (_, left, (a, b), (c, d)) in BINARY.items():
        name = "exponent" if op == "pow" else "other"
        pair = lambda s, t, layout=None, dtype="f64": (
            x(*s, low=a, high=b, layout=layout, dtype=dtype),
            x(*t, name=name, low=c, high=d, layout=layout, dtype=dtype),
        )
        for left_shape, right_shape in SHAPES:
            tag = "basic" if left_shape == right_shape else "broadcast"
            yield case(op, *pair(left_shape, right_shape), tag=tag)
        yield case(op, *pair([3, 2], [3, 2], "t"), tag="layout")
        yield case(op, *pair([2, 3, 2], [3, 2], "t"), tag="layout")
        yield case(op, *pair([4], [4], dtype="f32"), tag="f32")
        yield case(op, x(3, low=max(c, 0.2), high=d), same(0, name), tag="same", second=op not in ("minimum", "maximum", "fmin", "fmax", "copysign"))
        if op in RIGHT_NUMBER:
            yield case(op, x(2, 2, low=a, high=b), other=1.75)
        if left:
            yield case(op, x(2, 2, name=name, low=c, high=d), input=1.75)
        if op in PAIRS:
            first, second = zip(*PAIRS[op])
            yield case(op, v(list(first)), v(list(second), name), tag="special", second=False)
        values = [NAN, INF, -INF, 1.5, -2.0, 0.0]
        pairs = [(p, q) for p in values for q in values if not (abs(p) < INF and abs(q) < INF)]
        first, second = zip(*pairs)
        yield case(op, v(list(first)), v(list(second), name), tag="nonfinite", second=False)


def three():
    cond = mask([[1, 0, 1], [0, 0, 1]], "condition")
    yield case("where_", cond, x(2, 3), x(2, 3, name="other"))
    yield case("where_", cond, x(3), x(2, 1, name="other"), tag="broadcast")
    yield case("where_", mask([1, 0, 1], "condition"), x(2, 1), x(name="other"), tag="broadcast")
    yield case("where_", mask(1, "condition"), x(), x(name="other"))
    yield case("where_", mask([], "condition", shape=[0]), x(0), x(1, name="other"), tag="broadcast")
    yield case("where_", cond, x(2, 3, layout="t"), x(2, 3, name="other", layout="t"), tag="layout")
    yield case("where_", cond, x(2, 3), other=-1.5)
    yield case("where_", cond, x(2, 3, dtype="f32"), x(3, name="other", dtype="f32"), tag="f32")
    yield case("where_", mask([1, 0, 1, 0], "condition"), v([1.0, NAN, INF, -INF]), v([NAN, 2.0, -INF, INF], "other"),
               tag="nonfinite", second=False)
    yield case("where_", mask([1, 0], "condition"), x(2), same(1), tag="same")
    for weight in (0.25, 0.75, 0.0, 1.0, 1.5):
        yield case("lerp", x(3), x(3, name="end"), weight=weight)
    for s, t, u in (([3], [3], [3]), ([2, 3], [3], [2, 1]), ([], [2], []), ([0, 2], [2], [1]), ([2, 1, 3], [4, 1], [])):
        yield case("lerp", x(*s), x(*t, name="end"), x(*u, name="weight"), tag="broadcast" if s != t else "basic")
    yield case("lerp", x(2, 3, layout="t"), x(2, 3, name="end", layout="t"), x(2, 3, name="weight", layout="t"), tag="layout")
    yield case("lerp", x(3, dtype="f32"), x(3, name="end", dtype="f32"), x(3, name="weight", dtype="f32"), tag="f32")
    yield case("lerp", v([0.0, INF, 1.0, NAN]), v([1.0, 1.0, INF, 1.0], "end"), v([0.5, 0.25, 0.75, 0.5], "weight"),
               tag="nonfinite", second=False)


def comparisons():
    values = [NAN, INF, -INF, 0.0, -0.0, 1.5]
    left, right = zip(*[(p, q) for p in values for q in values])
    for op in COMPARISONS:
        yield case(op, v([1.0, 2.0, 3.0]), v([1.0, 2.5, -3.0], "other"))
        yield case(op, v([[1.0], [2.0]]), v([1.0, 2.0, 3.0], "other"), tag="broadcast")
        yield case(op, v([1.0, 2.0, 3.0]), other=2.0)
        yield case(op, v([], shape=[0, 2]), v([1.0, 2.0], "other"), tag="broadcast")
        yield case(op, v([0.1, 0.2, 0.3], dtype="f32"), v([0.1, 0.3, 0.2], "other", dtype="f32"), tag="f32")
        yield case(op, v(list(left)), v(list(right), "other"), tag="nonfinite")


def cases():
    yield from unary()
    yield from binary()
    yield from three()
    yield from comparisons()
