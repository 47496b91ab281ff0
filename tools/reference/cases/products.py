"""Matrix products."""

import torch
import torch.nn.functional as F

from .build import case, same, x

CALLS = {
    "matmul": torch.matmul,
    "dot": torch.dot,
    "outer": torch.outer,
    "bmm": torch.bmm,
    "linear": F.linear,
    "einsum": lambda operands, equation: torch.einsum(equation, *operands),
}
MATMUL = [
    ([3], [3]), ([2, 3], [3]), ([3], [3, 2]), ([2, 3], [3, 4]), ([1, 1], [1, 1]), ([5, 1], [1, 3]),
    ([2, 2, 3], [3]), ([3], [2, 3, 2]), ([2, 2, 3], [3, 2]), ([2, 3], [2, 3, 2]), ([2, 2, 3], [2, 3, 2]),
    ([2, 1, 2, 3], [2, 3, 2]), ([3, 1, 1, 2], [1, 2, 2, 3]), ([1, 2, 3], [2, 3, 1]), ([9, 17], [17, 5]),
    ([0, 3], [3, 2]), ([2, 0], [0, 3]), ([2, 3], [3, 0]), ([0, 2, 3], [3, 2]), ([0], [0]),
]
EINSUM = [
    ("ij,jk->ik", [2, 3], [3, 2]), ("ij,jk", [2, 3], [3, 2]), ("ij->ji", [2, 3]), ("ij->", [2, 3]), ("ij->j", [2, 3]),
    ("ii->i", [3, 3]), ("ii", [3, 3]), ("ii->", [3, 3]), ("i,j->ij", [2], [3]), ("i,i->", [3], [3]), ("i,i->i", [3], [3]),
    ("ij,j->i", [2, 3], [3]), ("bij,bjk->bik", [2, 2, 3], [2, 3, 2]), ("bhqd,bhkd->bhqk", [1, 2, 2, 3], [1, 2, 3, 3]),
    ("ij,ij->", [2, 3], [2, 3]), ("ij,kj->ikj", [2, 3], [2, 3]), ("...ij,...jk->...ik", [2, 2, 3], [2, 3, 2]),
    ("...i->...", [2, 2, 3]), ("i...->...i", [2, 3, 2]), ("...ij,jk->...ik", [2, 1, 2, 3], [3, 2]),
    ("ijk,kl,lm->ijm", [2, 1, 3], [3, 2], [2, 2]), ("i,ij,j->", [2], [2, 3], [3]), ("ijk->ikj", [2, 3, 2]),
    ("biik->bk", [2, 2, 2, 3]), ("ij,jk->ik", [0, 3], [3, 2]), ("ij,jk->ik", [2, 0], [0, 2]), ("ba,ca->bc", [2, 3], [4, 3]),
    (" i j , j -> i ", [2, 2], [2]), ("aB,Bc->ac", [2, 2], [2, 2]), (",->", [], []), ("bij,jk->bik", [1, 2, 2], [2, 3]),
    ("bij,bij->bi", [3, 2, 2], [1, 2, 2]),
]


def cases():
    for left, right in MATMUL:
        yield case("matmul", x(*left), x(*right, name="other"))
    yield case("matmul", x(2, 3, layout="t"), x(3, 2, name="other"), tag="layout")
    yield case("matmul", x(2, 3), x(3, 2, name="other", layout="t"), tag="layout")
    yield case("matmul", x(2, 2, 3, layout="t"), x(2, 3, 2, name="other", layout="t"), tag="layout")
    yield case("matmul", x(3, 2, layout="t"), x(2, name="other"), tag="layout")
    yield case("matmul", x(3, 3), same(0), tag="same")
    yield case("matmul", x(3), same(0), tag="same")
    yield case("matmul", x(2, 3, dtype="f32"), x(3, 2, name="other", dtype="f32"), tag="f32")
    for n in (3, 1, 0):
        yield case("dot", x(n), x(n, name="tensor"))
    yield case("dot", x(3), same(0, "tensor"), tag="same")
    yield case("dot", x(3, dtype="f32"), x(3, name="tensor", dtype="f32"), tag="f32")
    for n, m in ((2, 3), (1, 1), (0, 2)):
        yield case("outer", x(n), x(m, name="vec2"))
    yield case("outer", x(2), same(0, "vec2"), tag="same")
    yield case("outer", x(2, dtype="f32"), x(3, name="vec2", dtype="f32"), tag="f32")
    for left, right in (([2, 2, 3], [2, 3, 2]), ([1, 1, 3], [1, 3, 1]), ([0, 2, 3], [0, 3, 2]), ([2, 2, 0], [2, 0, 2])):
        yield case("bmm", x(*left), x(*right, name="mat2"))
    yield case("bmm", x(2, 2, 3, layout="t"), x(2, 3, 2, name="mat2", layout="t"), tag="layout")
    yield case("bmm", x(2, 2, 2), same(0, "mat2"), tag="same")
    yield case("bmm", x(1, 2, 3, dtype="f32"), x(1, 3, 2, name="mat2", dtype="f32"), tag="f32")
    for left, right in (([2, 3], [4, 3]), ([3], [2, 3]), ([2, 2, 3], [2, 3]), ([1, 1], [1, 1]), ([0, 3], [2, 3]),
                        ([2, 1, 2, 3], [2, 3])):
        yield case("linear", x(*left), x(*right, name="weight"))
        yield case("linear", x(*left), x(*right, name="weight"), x(right[0], name="bias"))
    yield case("linear", x(2, 3, layout="t"), x(4, 3, name="weight", layout="t"), x(4, name="bias"), tag="layout")
    yield case("linear", x(2, 3, dtype="f32"), x(2, 3, name="weight", dtype="f32"), x(2, name="bias", dtype="f32"), tag="f32")
    for equation, *shapes in EINSUM:
        yield case("einsum", *[x(*shape, name="operands") for shape in shapes], equation=equation)
    yield case("einsum", x(2, 2, name="operands"), same(0, "operands"), tag="same", equation="ij,jk->ik")
    yield case("einsum", x(2, 3, name="operands", layout="t"), x(3, 2, name="operands", layout="t"), tag="layout",
               equation="ij,jk->ki")
    yield case("einsum", x(2, 3, name="operands", dtype="f32"), x(3, 2, name="operands", dtype="f32"), tag="f32",
               equation="ij,jk->ik")
