"""The lines that `compare` writes to a peer and reads from it.

    prepare KIND FILE      makes the workload from the arrays of a file
    check FILE             writes the value, the gradients and the parameters after some steps
    time WARMUP COUNT      runs untimed and then timed iterations, and gives the seconds of the latter

Each is answered by one line: `ok`, with the seconds if there are any, or `error` and a reason. The first line of a peer is `ready` and
its version. A file of arrays is described in src/arrays.rs.
"""

import struct
import sys
import time

import numpy as np

# Results after this many steps are compared; the number is also in src/workloads/mod.rs.
CHECKED_STEPS = 2


# What is written with operators alone is the same in every library.


def scalar_chain(x, w, b):
    y = x
    for _ in range(1000):
        y = y * w + b
    return y


def mean_square(x):
    y = x + 2
    return (y * y * 2).mean()


def read(path):
    """The arrays of a file."""
    data = open(path, "rb").read()
    (count,), at, arrays = struct.unpack_from("<I", data), 4, []
    for _ in range(count):
        kind, rank = data[at], data[at + 1]
        shape = struct.unpack_from(f"<{rank}I", data, at + 2)
        at += 2 + 4 * rank
        dtype = np.dtype("<i8" if kind else "<f4")
        length = int(np.prod(shape, dtype=np.int64))
        arrays.append(np.frombuffer(data, dtype, length, at).reshape(shape).copy())
        at += length * dtype.itemsize
    return arrays


def write(path, arrays):
    """A file of arrays of numbers."""
    with open(path, "wb") as file:
        file.write(struct.pack("<I", len(arrays)))
        for array in arrays:
            file.write(struct.pack(f"<BB{array.ndim}I", 0, array.ndim, *array.shape))
            file.write(np.ascontiguousarray(array, "<f4").tobytes())


class Program:
    """A prepared workload: `iterate(n)` runs and finishes n iterations, `check()` gives arrays."""

    def __init__(self, iterate, check):
        self.iterate, self.check = iterate, check


def fastest(variants, seconds=0.3):
    """The variant (a function of the number of iterations) with the least median time in a short trial, in turns."""
    if len(variants) == 1:
        return variants[0]
    times = [[] for _ in variants]
    for iterate in variants:
        iterate(2)
    end = time.perf_counter() + seconds * len(variants)
    while time.perf_counter() < end or len(times[-1]) < 3:
        for iterate, times_of in zip(variants, times):
            count = 20 if times_of and min(times_of) < 1e-3 else 1
            start = time.perf_counter()
            iterate(count)
            times_of.append((time.perf_counter() - start) / count)
    # A median: what is fast once by luck can be slow in most turns.
    medians = [sorted(times_of)[len(times_of) // 2] for times_of in times]
    return variants[medians.index(min(medians))]


def serve(version, prepare):
    """Answers lines until there are no more. `prepare(kind, arrays)` makes a `Program`."""
    # What libraries print must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    program = None

    def answer(text):
        answers.write(text + "\n")
        answers.flush()

    answer(f"ready {version}")
    for line in sys.stdin:
        command, *arguments = line.split()
        try:
            if command == "prepare":
                # What the last workload held is freed first.
                program = None
                kind, path = arguments
                program = prepare(kind, read(path))
                answer("ok")
            elif command == "check":
                write(arguments[0], program.check())
                answer("ok")
            elif command == "time":
                warmup, count = map(int, arguments)
                if warmup:
                    program.iterate(warmup)
                start = time.perf_counter()
                program.iterate(count)
                answer(f"ok {time.perf_counter() - start!r}")
            else:
                answer(f"error unknown command {command}")
        except Exception as error:  # Whatever it is, the rest of the comparison goes on.
            answer("error " + " ".join(f"{type(error).__name__}: {error}".split()))
