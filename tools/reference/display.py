"""Writes the reference texts of `crates/wengert/tests/data/display.txt`: tensors, and what PyTorch prints for them.

Needs torch==2.15.0 (see requirements.txt in this directory). The one optional argument is the number of random cases,
250 for the committed file; a large number makes a fuzz run.

A case is three kinds of line, `@`, `=` and `|`:

    @ f32 2x3 grad=AddBackward0 precision=2     element type, shape (`-` for a scalar), what differs from the defaults
    = 3f800000 40000000                         bits of the values (decimal for i64 and bool), repeated as often as it takes
    |tensor([[1., 2., 1.],                      the text, one line each
    |        [2., 1., 2.]], grad_fn=<AddBackward0>)
"""

import contextlib
import math
import pathlib
import random
import struct
import sys

import torch

OUTPUT = pathlib.Path(__file__).parents[2] / "crates/wengert/tests/data/display.txt"
F32, F64, I64, BOOL = torch.float32, torch.float64, torch.int64, torch.bool
NAMES = {F32: "f32", F64: "f64", I64: "i64", BOOL: "bool"}
NAN, INF = math.nan, math.inf
SMALLEST_F32, SMALLEST_F64 = 2.0**-149, 5e-324

# Each turns a leaf that requires a gradient into a tensor of the same shape whose grad_fn has another name.
FUNCTIONS = [
    lambda x: x * 1,
    lambda x: x + 0,
    lambda x: x.clone(),
    lambda x: x.unsqueeze(0).squeeze(0),
    lambda x: torch.nn.functional.leaky_relu(x),
    lambda x: torch.nn.functional.binary_cross_entropy_with_logits(x, torch.ones_like(x), reduction="none"),
]


def cycle(shape, dtype, values):
    """A tensor of the given shape that repeats the values in row-major order."""
    count = math.prod(shape)
    flat = [values[i % len(values)] for i in range(count)]
    return torch.tensor(flat, dtype=dtype).reshape(shape)


def bits(value, dtype):
    if dtype == F32:
        return struct.pack(">f", value).hex()
    if dtype == F64:
        return struct.pack(">d", value).hex()
    return str(int(value))


def shortest_cycle(words):
    return next((words[:n] for n in range(1, len(words)) if all(w == words[i % n] for i, w in enumerate(words))), words)


def emit(tensor, **options):
    torch.set_printoptions(profile="default", **options)
    text = str(tensor)
    torch.set_printoptions(profile="default")
    header = ["@", NAMES[tensor.dtype], "x".join(map(str, tensor.shape)) or "-"]
    if tensor.grad_fn is not None:
        header.append(f"grad={tensor.grad_fn.name()}")
    elif tensor.requires_grad:
        header.append("grad=leaf")
    header += [f"{key}={value}" for key, value in options.items()]
    words = [bits(value, tensor.dtype) for value in tensor.detach().reshape(-1).tolist()]
    print(" ".join(header))
    print(" ".join(["=", *shortest_cycle(words)]))
    print("\n".join("|" + line for line in text.split("\n")))


def scalars_and_short_vectors():
    vectors = [
        [0.0], [-0.0], [1.0], [-1.0], [16.0192], [0.1], [NAN], [INF], [-INF],
        [1.1131, -0.1259, 1.2902], [1.0, 2.0, 3.0], [1.0, -0.0, 3.0], [0.5, -0.0], [100.0, 0.0, -5.0],
        # Around the three limits of scientific notation.
        [1.0, 1000.0], [1.0, 1001.0], [1.5, 1500.0], [1.5, 1501.5], [1e8], [100000001.0, 1e8], [1.5e8], [1e-4], [0.00011], [9.9e-5],
        [0.1, 100.0], [0.1, 100.1], [1e8, 99999999.0], [123456789.0, 123456789.0],
        # Infinities and nans take no part in the width.
        [NAN, 1.0], [INF, 1.0, -INF], [INF, 1.5], [NAN, 1e-6, INF], [-INF, 0.0], [NAN, NAN, INF], [1e10, -INF, 2e10],
        # Ties, exact in binary, round to even.
        [0.5, 1.5, 2.5, 0.125, 0.375], [0.00390625, 0.01171875], [1.00005, 2.00015], [0.03125, 0.09375], [12345.5, 98765.5],
        [1.25e-5, 1.75e-5], [0.99999, 0.5], [9.99996, 1.5], [9.99995e-5], [99999.5, 100000.5, 0.25],
        # The ends of the range.
        [SMALLEST_F32], [SMALLEST_F32, 1.0], [-SMALLEST_F32 * 12345, SMALLEST_F32], [3.4028234e38], [1.1754944e-38, 3.4028234e38],
        [2.0**24, 2.0**24 + 2], [1e38, -1e-38, 0.0], [4194304.5, 1.0], [1e22, 1e23], [1e7, 12345678.0],
    ]
    for values in vectors:
        for dtype in (F32, F64):
            if len(values) == 1:
                emit(torch.tensor(values[0], dtype=dtype))
            emit(torch.tensor(values, dtype=dtype))
    for values in [[SMALLEST_F64], [SMALLEST_F64, 1.0], [1.7976931348623157e308], [1e100, 1e-100], [1e99], [1e-99, 1.0], [2.0**53, 1.0]]:
        emit(torch.tensor(values, dtype=F64))
        emit(torch.tensor(values, dtype=F64), sci_mode=False)
        emit(torch.tensor(values[0], dtype=F64), precision=12)
    top = 2**63 - 1
    for values in [[0], [-1], [1, -10, 100], [top], [-top - 1, top, 0], [10**9, 1]]:
        emit(torch.tensor(values[0]))
        emit(torch.tensor(values))
    for values in [[True], [False], [True, False, True], [True, True]]:
        emit(torch.tensor(values[0]))
        emit(torch.tensor(values))


def ranks():
    mixed = [1.5, -2.25, 3.125, 0.0, 1e-3, 7.75, -0.625]
    shapes = [
        (1,), (7,), (1, 1), (2, 3), (3, 1), (1, 4), (2, 2, 2), (1, 1, 1), (2, 1, 3), (2, 2, 1, 2), (1, 2, 1, 2, 1), (2, 1, 2, 1, 2),
        (1, 1, 1, 1, 1, 1, 1, 2), (2, 30), (3, 2, 17), (1, 2, 1, 1, 40),
    ]
    for shape in shapes:
        emit(cycle(shape, F32, mixed))
        emit(cycle(shape, F64, [1e-7, *mixed]))
        emit(cycle(shape, F32, [1.0, 2.0, -30.0]).requires_grad_())
        emit(cycle(shape, I64, [3, -14, 159, 2653]))
        emit(cycle(shape, BOOL, [True, False, False]))
    for shape in [(0,), (0, 3), (3, 0), (2, 0, 4), (0, 0), (1, 1, 0, 1, 1)]:
        for dtype in (F32, F64, I64, BOOL):
            emit(torch.zeros(shape, dtype=dtype))
        emit(torch.zeros(shape, dtype=F64, requires_grad=True) * 2)
        emit(torch.zeros(shape, requires_grad=True), edgeitems=0)
        emit(torch.zeros(shape, requires_grad=True), linewidth=20)


def line_breaks():
    # A moving right margin passes every boundary of the wrap and of the suffixes.
    for width in range(8, 60, 2):
        emit(cycle((2, 4), F64, [1.5, -2.25, 3.0]).requires_grad_() + 1, linewidth=width)
    for width in range(20, 60):
        emit(cycle((3,), F32, [0.5, 12.25]).requires_grad_() * 2, linewidth=width)
    for width in range(12, 45):
        emit(cycle((6,), F64, [7.0, 12.0]).requires_grad_(), linewidth=width)
    for width in (1, 7, 8, 9, 10, 15):
        emit(cycle((2, 0), I64, [0]), linewidth=width)
        emit(cycle((2, 3), BOOL, [True, False]), linewidth=width)
        emit(torch.tensor(0.25, requires_grad=True), linewidth=width)
    # The default margin, approached by lengthening the tensor.
    for length in range(1, 30):
        emit(cycle((length,), F32, [1.25, -0.5]).requires_grad_())
        emit(FUNCTIONS[length % len(FUNCTIONS)](cycle((length,), F64, [3.0, 10.0, 0.25]).requires_grad_()))
    for length in (9, 10, 11, 12, 13, 26, 27, 90):
        emit(cycle((length,), I64, [12345, -6]))
        emit(cycle((length,), BOOL, [False, True]))
        emit(cycle((length,), F32, [0.0, -0.0]))
        emit(cycle((length,), F32, [NAN, INF, -INF]))


def summaries():
    # A large element out of sight must not widen the visible ones, nor switch the notation.
    hidden = torch.ones(1001)
    hidden[500] = 1e30
    emit(hidden)
    emit(torch.ones(1000))
    ramp = [float(i) for i in range(101)]
    for shape in [(1001,), (2, 501), (501, 2), (7, 11, 13), (6, 167), (167, 6), (2, 3, 5, 7, 11), (1, 1001), (1001, 1), (5000,)]:
        emit(cycle(shape, F32, ramp))
        emit(cycle(shape, F32, [x / 16 - 2 for x in ramp]).requires_grad_() * 2)
        emit(cycle(shape, I64, [int(x) ** 3 for x in ramp]))
        emit(cycle(shape, BOOL, [True, False, False]))
    for shape in [(5,), (4, 4), (3, 3, 3), (2, 2, 2, 2), (1, 5, 1, 5), ()]:
        tensor = cycle(shape, F64, [0.5, 1.5, -20.25, 3.0, NAN])
        for edge in (0, 1, 2, 3):
            for threshold in (0, 15, 1000):
                emit(tensor, edgeitems=edge, threshold=threshold)
        emit(tensor.requires_grad_() * 1, edgeitems=1, threshold=3, linewidth=24)
    emit(torch.arange(40), edgeitems=15, threshold=10)
    emit(torch.arange(40).reshape(2, 20), edgeitems=8, threshold=10, linewidth=30)


def variants():
    samples = [
        torch.tensor([1.5, -2.25, 1e-3]), torch.tensor([1.0, 2.0, 300.0]), torch.tensor([0.0, -0.0]), torch.tensor([1e-9, 1e9, NAN]),
        torch.tensor([5, -66]), torch.tensor([True, False]), torch.tensor([0.5, 1.5, 2.5, -3.5]), torch.tensor([1.0, INF]),
    ]
    for sample in samples:
        for precision in (0, 1, 2, 6, 17):
            for sci_mode in (None, True, False):
                emit(sample, precision=precision, **({} if sci_mode is None else {"sci_mode": sci_mode}))


def at_random(count):
    rng = random.Random(20_15)
    draws = [
        lambda: rng.gauss(0, 1),
        lambda: rng.gauss(0, 1) * 10 ** rng.uniform(-3, 3),
        lambda: rng.gauss(0, 1) * 10 ** rng.uniform(-30, 30),
        lambda: float(rng.randint(-99, 99)),
        lambda: float(rng.randint(-(10**9), 10**9)),
        lambda: rng.randint(-4096, 4096) / 2 ** rng.randint(0, 12),
        lambda: rng.choice([0.0, -0.0, NAN, INF, -INF, 1.0, 0.5, 1e-5]),
        lambda: struct.unpack(">f", rng.randbytes(4))[0],
        lambda: struct.unpack(">d", rng.randbytes(8))[0],
    ]
    choices = {"precision": range(8), "threshold": (0, 4, 20, 1000), "edgeitems": range(5), "linewidth": range(10, 120), "sci_mode": (True, False)}
    for _ in range(count):
        shape = [rng.choice((1, 2, 3, 4, 5, 9)) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4)))]
        while math.prod(shape) > 30:
            shape.pop()
        draw, other = rng.choice(draws), rng.choice(draws)
        dtype = rng.choice((F32, F32, F32, F64, F64, I64, BOOL))
        if dtype == I64:
            length = rng.randint(1, 63)
            values = [rng.randint(-(2**length), 2**length - 1) for _ in range(math.prod(shape))]
        elif dtype == BOOL:
            values = [rng.random() < 0.5 for _ in range(math.prod(shape))]
        else:
            values = [draw() if rng.random() < 0.8 else other() for _ in range(math.prod(shape))]
        tensor = torch.tensor(values, dtype=F64 if dtype == F32 else dtype).to(dtype).reshape(shape)
        if dtype.is_floating_point and rng.random() < 0.5:
            tensor.requires_grad_()
            if rng.random() < 0.7:
                tensor = rng.choice(FUNCTIONS)(tensor)
        options = {key: rng.choice(values) for key, values in choices.items() if rng.random() < 0.25}
        emit(tensor, **options)


def main():
    assert torch.__version__.split("+")[0] == "2.15.0", torch.__version__
    with OUTPUT.open("w") as file, contextlib.redirect_stdout(file):
        write(int(sys.argv[1]) if len(sys.argv) > 1 else 250)


def write(random_cases):
    print("# What PyTorch 2.15.0 prints. Written by tools/reference/display.py, which describes the format.")
    scalars_and_short_vectors()
    ranks()
    line_breaks()
    summaries()
    variants()
    at_random(random_cases)


if __name__ == "__main__":
    main()
