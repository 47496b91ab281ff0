"""The words in which the tables of cases are written: `case`, and the inputs `x`, `v`, `index`, `mask`, `same`."""

import dataclasses
import math

NAN, INF = math.nan, math.inf


@dataclasses.dataclass
class Arg:
    """One tensor input. `values` is a nested list, or None for numbers drawn from `low..high` in `shape`."""

    name: str
    dtype: str
    shape: list | None = None
    values: object = None
    low: float = -2.0
    high: float = 2.0
    grad: bool = True
    layout: str | None = None
    same_as: int | None = None


@dataclasses.dataclass
class Case:
    """One call. `second` asks for the forward-mode product and the second derivatives too."""

    op: str
    inputs: list
    kwargs: dict
    tag: str
    second: bool


def case(op, *inputs, tag="basic", second=True, **kwargs):
    """A call of `op`; keywords that aren't named here are PyTorch's and go to it."""
    return Case(op, list(inputs), kwargs, tag, second)


def x(*shape, name="input", low=-2.0, high=2.0, dtype="f64", layout=None, grad=True):
    """Distinct short decimals between `low` and `high`, none of them an integer. Layout "t": stored transposed."""
    return Arg(name, dtype, list(shape), None, low, high, grad, layout)


def v(values, name="input", dtype="f64", grad=True, shape=None):
    """Given numbers; `shape` says what nested lists can't, such as `[0, 3]`."""
    return Arg(name, dtype, shape, values, grad=grad)


def index(values, name="index", shape=None):
    """Given integers."""
    return Arg(name, "i64", shape, values, grad=False)


def mask(values, name="mask", shape=None):
    """Given truth values, as 0 and 1."""
    return Arg(name, "bool", shape, values, grad=False)


def same(position, name="other"):
    """The very tensor of input number `position` once more."""
    return Arg(name, "f64", same_as=position, grad=False)


def call(function, inputs, kwargs):
    """`function(first input, second=.., ..)`: inputs by name after the first, those of one repeated name as a list."""
    named = {}
    for name, tensor in inputs:
        named.setdefault(name, []).append(tensor)
    named = {k: t if k in ("tensors", "indices", "operands") else t[0] for k, t in named.items()}
    if "input" in kwargs:
        return function(kwargs["input"], *named.values(), **{k: a for k, a in kwargs.items() if k != "input"})
    first = next(iter(named))
    return function(named.pop(first), **named, **kwargs)
