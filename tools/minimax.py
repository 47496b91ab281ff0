"""Coefficients of the polynomials in crates/wengert-kernels/src/math.

    python3 tools/minimax.py            # all of them, as Rust constants
    python3 tools/minimax.py exp_f32    # one of them

Each polynomial P(u), lowest power first, minimises max |w(u) (P(u) - g(u))| over an interval (Remez's exchange
algorithm: Powell, "Approximation Theory and Methods", chapter 9). The lowest coefficients, where rounding matters, are
rounded to the target format one by one and the rest is fitted again around them. Needs mpmath.
"""

import struct
import sys

from mpmath import mp, mpf

mp.dps = 60

# Coefficients that are rounded before the rest is fitted.
PINNED = 3


def rounded(c, bits):
    """The number of the target format nearest to c."""
    code = {32: "f", 64: "d"}[bits]
    return mpf(struct.unpack(code, struct.pack(code, float(c)))[0])


def literal(c, bits):
    """The shortest decimal that the target format reads back as c."""
    for digits in range(1, 18):
        text = f"{float(c):.{digits}e}"
        if rounded(mpf(text), bits) == c:
            return text
    raise ValueError(c)


def exchange(g, w, low, high, n, fixed):
    """The n - len(fixed) free coefficients after `fixed`, and the weighted error."""
    free = n - len(fixed)
    fixed_part = lambda u: sum(c * u**i for i, c in enumerate(fixed))
    # Weights may vanish at 0, where formulas for g divide by it.
    chebyshev = lambda x: low + (high - low) * (1 - mp.cos(mp.pi * x)) / 2 + mpf("1e-12") * (high - low)
    nodes = [chebyshev((i + mpf(1) / 2) / (free + 1)) for i in range(free + 1)]
    steps = 24 * (n + 1)
    grid = [chebyshev(mpf(i) / steps) for i in range(steps)]
    target, weight = {u: g(u) for u in grid}, {u: abs(w(u)) for u in grid}
    for _ in range(20):
        a = mp.matrix(free + 1)
        b = mp.matrix(free + 1, 1)
        for i, u in enumerate(nodes):
            for j in range(free):
                a[i, j] = u ** (j + len(fixed))
            a[i, free] = (-1) ** i / abs(w(u))
            b[i] = g(u) - fixed_part(u)
        solution = mp.lu_solve(a, b)
        coefficients = list(fixed) + [solution[j] for j in range(free)]
        error = lambda u: weight[u] * (mp.polyval(coefficients[::-1], u) - target[u])
        errors = [error(u) for u in grid]
        # The largest error of each stretch of one sign is a new node.
        best = []
        for u, e in zip(grid, errors):
            if best and (best[-1][1] > 0) == (e > 0):
                if abs(e) > abs(best[-1][1]):
                    best[-1] = (u, e)
            else:
                best.append((u, e))
        while len(best) > free + 1:
            best.pop(0 if abs(best[0][1]) < abs(best[-1][1]) else -1)
        worst = max(abs(e) for e in errors)
        if len(best) < free + 1 or worst < abs(solution[free]) * mpf("1.02"):
            break
        nodes = [u for u, _ in best]
    return coefficients, worst


def fit(g, w, low, high, n, bits):
    fixed = []
    for i in range(PINNED):
        coefficients, _ = exchange(g, w, mpf(low), mpf(high), n, fixed)
        fixed.append(rounded(coefficients[i], bits))
    coefficients, _ = exchange(g, w, mpf(low), mpf(high), n, fixed)
    fixed = [rounded(c, bits) for c in coefficients]
    grid = [mpf(low) + (mpf(high) - low) * (i + mpf("0.3")) / 1000 for i in range(1000)]
    worst = max(abs(w(u) * (mp.polyval(fixed[::-1], u) - g(u))) for u in grid)
    return fixed, worst


def odd(f, slope=1):
    """f(x) = x (slope + z P(z)), z = x^2, by relative error."""
    def g(z):
        x = mp.sqrt(z)
        return (f(x) / x - slope) / z
    return g, lambda z: z * mp.sqrt(z) / f(mp.sqrt(z))


def erf():
    """erf(x) = x + x P(z), z = x^2, by relative error."""
    def g(z):
        x = mp.sqrt(z)
        return mp.erf(x) / x - 1
    return g, lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z))


def exp():
    return lambda r: (mp.expm1(r) - r) / r**2, lambda r: r**2 / mp.expm1(r)


def log1p():
    return lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, lambda f: f**3 / mp.log1p(f)


def cos():
    return lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, lambda z: z**2


def log_series():
    """2 artanh(s) = s (2 + z P(z)), z = s^2."""
    return odd(lambda s: 2 * mp.atanh(s), 2)


def artanh_rest():
    """2 artanh(s) = 2 s + s^3 (2/3 + z P(z)), z = s^2, by relative error."""
    def g(z):
        s = mp.sqrt(z)
        return ((2 * mp.atanh(s) - 2 * s) / s**3 - mpf(2) / 3) / z
    return g, lambda z: z**2


def erf_tail_f32():
    """ln erfc(x) as a polynomial of x - 1, by absolute error of erfc."""
    return lambda u: mp.log(mp.erfc(u + 1)), lambda u: mp.erfc(u + 1)


def erfcx(k):
    """x e^(x^2) erfc(x) = 1/2 + P(t), t = (x - k) / (x + k), by relative error."""
    def g(t):
        x = k * (1 + t) / (1 - t)
        return x * mp.exp(x * x) * mp.erfc(x) - mpf(1) / 2
    return g, lambda t: 1 / (g(t) + mpf(1) / 2)


HALF_LN2 = mp.log(2) / 2 * mpf("1.0001")
QUARTER_PI_SQUARED = (mp.pi / 4) ** 2 * mpf("1.0001")
THIRD = mpf(1) / 3
# name: (g and w, low, high, number of coefficients, bits of the format)
TABLE = {
    "exp_f32": (exp, -HALF_LN2, HALF_LN2, 5, 32),
    "exp_f64": (exp, -HALF_LN2, HALF_LN2, 11, 64),
    "ln_f32": (log1p, -THIRD, THIRD, 8, 32),
    "ln_f64": (log_series, 0, (3 - 2 * mp.sqrt(2)) ** 2, 7, 64),
    "sinh_f64": (lambda: odd(mp.sinh), 0, 1, 8, 64),
    "tanh_f32": (lambda: odd(mp.tanh), 0, mpf("0.551") ** 2, 5, 32),
    "erf_f32": (erf, 0, 1, 7, 32),
    "erf_f64": (erf, 0, 1, 13, 64),
    "erf_tail_f32": (erf_tail_f32, 0, 3, 7, 32),
    "erfcx_f64": (lambda: erfcx(2), mpf(-5) / 11, mpf(26) / 30, 24, 64),
    "sin_f64": (lambda: odd(mp.sin), 0, QUARTER_PI_SQUARED, 6, 64),
    "cos_f64": (cos, 0, QUARTER_PI_SQUARED, 6, 64),
    "sin_f32": (lambda: odd(mp.sin), 0, QUARTER_PI_SQUARED, 4, 64),
    "cos_f32": (cos, 0, QUARTER_PI_SQUARED, 4, 64),
    "asin_f64": (lambda: odd(mp.asin), 0, mpf(1) / 4, 13, 64),
    "artanh_f64": (artanh_rest, 0, (3 - 2 * mp.sqrt(2)) ** 2, 8, 64),
    "atan_f64": (lambda: odd(mp.atan), 0, (mp.sqrt(2) - 1) ** 2, 12, 64),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLE:
        make, low, high, n, bits = TABLE[name]
        coefficients, worst = fit(*make(), low, high, n, bits)
        print(f"// {name}: error 2^{float(mp.log(worst, 2)):.1f}")
        numbers = ", ".join(literal(c, bits) for c in coefficients)
        print(f"const {name.upper()}: [f{bits}; {n}] = [{numbers}];")
