"""Losses."""

import torch.nn.functional as F

from .build import INF, case, index, v, x

CALLS = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "binary_cross_entropy": F.binary_cross_entropy,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "kl_div": F.kl_div,
}
REDUCTIONS = ("none", "mean", "sum")


def distances():
    kinds = [("mse", {}), ("l1", {}), ("smooth_l1", {}), ("smooth_l1", {"beta": 0.4}), ("smooth_l1", {"beta": 0.0}), ("huber", {}),
             ("huber", {"delta": 0.6})]
    for op, kwargs in kinds:
        for reduction in REDUCTIONS:
            yield case(op, x(2, 3), x(2, 3, name="target"), reduction=reduction, **kwargs)
        yield case(op, x(5), x(5, name="target", grad=False), **kwargs)
        yield case(op, x(), x(name="target"), **kwargs)
        yield case(op, x(3, 2, layout="t"), x(3, 2, name="target", layout="t"), tag="layout", **kwargs)
        yield case(op, x(4, dtype="f32"), x(4, name="target", dtype="f32"), tag="f32", **kwargs)
        yield case(op, x(0), x(0, name="target"), tag="empty", second=False, **kwargs)
        # Equal, and apart by exactly each of the thresholds above.
        yield case(op, v([1.0, 2.0, 2.0, 0.4, 0.0, -0.6]), v([1.0, 1.0, 3.0, 0.0, 0.4, 0.0], "target"), tag="special",
                   second=False, reduction="none", **kwargs)


def classes():
    weight = lambda n: v([0.5, 2.0, 1.25, 0.75, 3.0][:n], "weight", grad=False)
    for op in ("cross_entropy", "nll"):
        low = -2.0 if op == "cross_entropy" else -4.0
        logits = lambda *shape, **more: x(*shape, low=low, high=2.0 if op == "cross_entropy" else -0.1, **more)
        rows, planes = index([2, 0, 2, 1], "target"), index([[1, 0, 2], [2, 2, 0]], "target")
        for reduction in REDUCTIONS:
            yield case(op, logits(4, 3), rows, reduction=reduction)
            yield case(op, logits(4, 3), rows, weight(3), reduction=reduction)
            yield case(op, logits(4, 3), index([2, -100, 0, 1], "target"), reduction=reduction)
            yield case(op, logits(4, 3), rows, weight(3), reduction=reduction, ignore_index=2)
            yield case(op, logits(2, 3, 3), planes, weight(3), reduction=reduction, ignore_index=0)
        yield case(op, logits(2, 3, 3), planes)
        yield case(op, logits(2, 3, 1, 2), index([[[1, 0]], [[2, 2]]], "target"))
        yield case(op, logits(5), index(3, "target"))
        yield case(op, logits(2, 3), index([-100, -100], "target"), tag="special", second=False)
        yield case(op, logits(2, 3), index([-100, -100], "target"), tag="special", second=False, reduction="sum")
        yield case(op, logits(3, 2, layout="t"), index([0, 1, 1], "target"), tag="layout")
        yield case(op, logits(2, 3, dtype="f32"), index([0, 2], "target"), tag="f32")
        yield case(op, logits(0, 3), index([], "target", shape=[0]), tag="empty", second=False)


def smoothed():
    weight = v([0.5, 2.0, 1.25], "weight", grad=False)
    rows = index([2, 0, 2, 1], "target")
    probabilities = lambda **more: v([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]], "target", **more)
    for reduction in REDUCTIONS:
        for smoothing in (0.1, 1.0):
            yield case("cross_entropy", x(4, 3), rows, reduction=reduction, label_smoothing=smoothing)
        yield case("cross_entropy", x(4, 3), rows, weight, reduction=reduction, label_smoothing=0.2)
        yield case("cross_entropy", x(4, 3), rows, weight, reduction=reduction, label_smoothing=0.2, ignore_index=2)
        yield case("cross_entropy", x(4, 3), probabilities(grad=False), reduction=reduction)
        yield case("cross_entropy", x(4, 3), probabilities(), weight, reduction=reduction)
        yield case("cross_entropy", x(4, 3), probabilities(), weight, reduction=reduction, label_smoothing=0.2)
        yield case("cross_entropy", x(2, 3, 2), x(2, 3, 2, name="target", low=0.05, high=0.6), reduction=reduction,
                   label_smoothing=0.1)
    yield case("cross_entropy", x(2, 3, 2), index([[1, 0], [2, 2]], "target"), label_smoothing=0.1)
    yield case("cross_entropy", x(3), x(3, name="target", low=0.05, high=0.6, grad=False))
    yield case("cross_entropy", x(3), index(1, "target"), label_smoothing=0.3)
    for row in ([[1000.0, 0.0, -1000.0]], [[-800.0, 700.0, 0.0]]):
        yield case("cross_entropy", v(row), index([1], "target"), tag="special")
    yield case("cross_entropy", v([[1.0, -INF, 2.0]]), index([0], "target"), tag="nonfinite", second=False)
    yield case("cross_entropy", v([[1.0, -INF, 2.0]]), index([1], "target"), tag="nonfinite", second=False)


def binary():
    op, logits = "binary_cross_entropy", "binary_cross_entropy_with_logits"
    chance = lambda *shape, **more: x(*shape, low=0.05, high=0.95, **more)
    target = lambda *shape, **more: x(*shape, name="target", low=0, high=1, **more)
    for reduction in REDUCTIONS:
        yield case(op, chance(2, 3), target(2, 3, grad=False), reduction=reduction)
        yield case(op, chance(2, 3), target(2, 3, grad=False), x(3, name="weight", low=0.2, high=2, grad=False),
                   reduction=reduction)
        yield case(logits, x(2, 3), target(2, 3, grad=False), reduction=reduction)
        yield case(logits, x(2, 3), target(2, 3, grad=False), x(3, name="weight", low=0.2, high=2, grad=False), reduction=reduction)
        yield case(logits, x(2, 3), target(2, 3, grad=False), x(3, name="pos_weight", low=0.2, high=2, grad=False),
                   reduction=reduction)
        both = x(2, 3, name="weight", low=0.2, high=2, grad=False), x(3, name="pos_weight", low=0.2, high=2, grad=False)
        yield case(logits, x(2, 3), target(2, 3, grad=False), *both, reduction=reduction)
    for name, number in ((op, chance), (logits, x)):
        yield case(name, number(), target(grad=False))
        yield case(name, number(4), target(4))
        yield case(name, number(3, 2, layout="t"), target(3, 2, layout="t", grad=False), tag="layout")
        yield case(name, number(4, dtype="f32"), target(4, dtype="f32", grad=False), tag="f32")
    edges = v([0.0, 0.0, 1.0, 1.0, 0.5], grad=True), v([0.0, 1.0, 0.0, 1.0, 1.0], "target", grad=False)
    yield case(op, *edges, tag="special", second=False, reduction="none")
    edges = v([0.0, 40.0, -40.0, 800.0, -800.0]), v([0.5, 0.0, 1.0, 1.0, 0.0], "target", grad=False)
    yield case(logits, *edges, tag="special", reduction="none")


def divergence():
    for log_target in (False, True):
        low, high = (-3, -0.1) if log_target else (0.05, 0.9)
        target = lambda *shape, **more: x(*shape, name="target", low=low, high=high, **more)
        for reduction in (*REDUCTIONS, "batchmean"):
            yield case("kl_div", x(2, 3, low=-3, high=-0.1), target(2, 3), reduction=reduction, log_target=log_target)
        yield case("kl_div", x(4, low=-3, high=-0.1), target(4, grad=False), reduction="sum", log_target=log_target)
        yield case("kl_div", x(3, 2, low=-3, high=-0.1, layout="t"), target(3, 2, layout="t"), tag="layout", reduction="sum",
                   log_target=log_target)
        yield case("kl_div", x(4, low=-3, high=-0.1, dtype="f32"), target(4, dtype="f32"), tag="f32", reduction="sum",
                   log_target=log_target)
    yield case("kl_div", v([-1.0, -2.0]), v([0.0, 1.0], "target", grad=False), tag="special", reduction="none", log_target=False)


def cases():
    yield from distances()
    yield from classes()
    yield from smoothed()
    yield from binary()
    yield from divergence()
