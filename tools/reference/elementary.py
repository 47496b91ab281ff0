"""Values of the elementary functions for the tests of wengert-kernels.

    python3 tools/reference/elementary.py 40 > crates/wengert-kernels/src/math/reference.txt
    python3 tools/reference/elementary.py 5000 > many.txt    # then test with ULP_TABLE=$PWD/many.txt

The argument is the number of samples per line of the table below. One result per line: name, arguments and the nearest
f64, as hexadecimal bits, and how far beyond it the exact value lies, in 1/1000 of its last place. Needs mpmath.
"""

import random
import struct
import sys

from mpmath import mp, mpf

mp.prec = 400
INF = float("inf")
TINY, HUGE = 5e-324, 1.7976931348623157e308


def hexadecimal(x):
    return f"{struct.unpack('<Q', struct.pack('<d', x))[0]:x}"


def ulp(x):
    exponent = max(struct.unpack("<Q", struct.pack("<d", x))[0] >> 52 & 0x7FF, 1)
    return mpf(2) ** (exponent - 1075)


def nearest(y):
    """float(mpf) rounds twice where the result is subnormal."""
    if abs(y) < mpf(2) ** -1022:
        return float(mp.nint(y * mpf(2) ** 1074)) * TINY
    return float(y)


def exponential(low, high):
    """Magnitudes of every order alike, of both signs."""
    return lambda r: r.choice([-1, 1]) * float(mpf(2) ** r.uniform(float(mp.log(low, 2)), float(mp.log(high, 2))))


def positive(low, high):
    return lambda r: abs(exponential(low, high)(r))


def near(center, width):
    """Clustered about a point."""
    return lambda r: center + r.choice([-1, 1]) * width * 2 ** r.uniform(-50, 0)


def uniform(low, high):
    return lambda r: r.uniform(low, high)


def near_quarter_turns(r):
    """As near to a multiple of pi/2 as f64 gets by chance."""
    return float(mp.nint(mpf(2) ** r.uniform(0, 1000)) * mp.pi / 2)


def worst_turns(r):
    """The f64 nearest to a multiple of pi/2 of all; a continued fraction finds it."""
    return r.choice([6381956970095103.0 * 2.0**797, 1.5707963267948966, 1e22])


UNARY = [
    ("exp", mp.exp, [uniform(-745.1, 709.78), exponential(1e-20, 1)]),
    ("exp2", lambda x: mpf(2) ** x, [uniform(-1074.9, 1023.99), exponential(1e-20, 1)]),
    ("expm1", mp.expm1, [uniform(-40, 709.78), exponential(1e-300, 2)]),
    ("ln", mp.log, [positive(TINY, HUGE), near(1, 0.5), uniform(0.5, 2)]),
    ("log2", lambda x: mp.log(x) / mp.log(2), [positive(TINY, HUGE), near(1, 0.5), uniform(0.5, 2)]),
    ("log10", mp.log10, [positive(TINY, HUGE), near(1, 0.5), uniform(0.5, 2)]),
    ("log1p", mp.log1p, [positive(1e-300, HUGE), uniform(-1, 1), exponential(1e-20, 1)]),
    ("sin", mp.sin, [exponential(1e-10, 1e3), exponential(1, HUGE), near_quarter_turns, uniform(-4, 4), worst_turns]),
    ("cos", mp.cos, [exponential(1e-10, 1e3), exponential(1, HUGE), near_quarter_turns, uniform(-4, 4), worst_turns]),
    ("tan", mp.tan, [exponential(1e-10, 1e3), exponential(1, HUGE), near_quarter_turns, uniform(-4, 4), worst_turns]),
    ("asin", mp.asin, [uniform(-1, 1), exponential(1e-300, 1), lambda r: 1 - 2 ** r.uniform(-52, -1)]),
    ("acos", mp.acos, [uniform(-1, 1), exponential(1e-20, 1), lambda r: 1 - 2 ** r.uniform(-52, -1)]),
    ("atan", mp.atan, [exponential(1e-300, HUGE), uniform(-4, 4)]),
    ("sinh", mp.sinh, [uniform(-710.4, 710.4), exponential(1e-300, 4)]),
    ("cosh", mp.cosh, [uniform(-710.4, 710.4), exponential(1e-20, 4)]),
    ("tanh", mp.tanh, [exponential(1e-300, 30), uniform(-2, 2)]),
    ("asinh", mp.asinh, [exponential(1e-300, HUGE), uniform(-4, 4)]),
    ("acosh", mp.acosh, [positive(1, HUGE), uniform(1, 4), lambda r: 1 + 2 ** r.uniform(-52, 0)]),
    ("atanh", mp.atanh, [uniform(-1, 1), exponential(1e-300, 1), lambda r: 1 - 2 ** r.uniform(-52, -1)]),
    ("sigmoid", lambda x: 1 / (1 + mp.exp(-x)), [uniform(-745, 40), exponential(1e-20, 8)]),
    ("erf", mp.erf, [exponential(1e-300, 6), uniform(-3, 3)]),
    ("erfc", mp.erfc, [uniform(-6, 27.2), uniform(-1, 4)]),
]
BINARY = [
    ("pow", lambda x, y: x**y, [positive(TINY, HUGE), uniform(0.5, 2)], [exponential(1e-3, 1e3), uniform(-300, 300)]),
    ("atan2", mp.atan2, [exponential(1e-300, 1e300), uniform(-2, 2)], [exponential(1e-300, 1e300), uniform(-2, 2)]),
    ("hypot", mp.hypot, [exponential(TINY, 1e308), uniform(-2, 2)], [exponential(1e-308, 1e308), uniform(-2, 2)]),
    ("fmod", lambda x, y: mp.sign(x) * mp.fmod(abs(x), abs(y)), [exponential(1e-5, 1e5)], [exponential(1e-5, 1e5)]),
]


def emit(name, arguments, exact):
    y = nearest(exact)
    if abs(y) == INF or y == 0:
        return
    offset = int(mp.nint((abs(exact) - abs(mpf(y))) / ulp(y) * 1000))
    print(name, *map(hexadecimal, arguments), hexadecimal(y), offset)


def main(samples):
    for name, function, ranges in UNARY:
        r = random.Random(name)
        for sample in ranges * samples:
            x = sample(r)
            emit(name, [x], function(mpf(x)))
    for name, function, xs, ys in BINARY:
        r = random.Random(name)
        for sample_x, sample_y in [(x, y) for x in xs for y in ys] * samples:
            x, y = sample_x(r), sample_y(r)
            mp.prec = 2400 if name == "fmod" else 400
            emit(name, [x, y], function(mpf(x), mpf(y)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
