"""Softmax, normalisation, convolution, pooling, dropout."""

import torch.nn.functional as F

from .build import INF, NAN, case, v, x


def batch_norm(tensor, running_mean=None, running_var=None, **kwargs):
    """The normalised tensor, and what the running statistics have become."""
    after = [None if s is None else s.detach().clone() for s in (running_mean, running_var)]
    return tuple(t for t in (F.batch_norm(tensor, *after, **kwargs), *after) if t is not None)


CALLS = {
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "layer_norm": F.layer_norm,
    "batch_norm": batch_norm,
    "conv1d": F.conv1d,
    "conv2d": F.conv2d,
    "max_pool2d": F.max_pool2d,
    "avg_pool2d": F.avg_pool2d,
    "dropout": F.dropout,
}
# Shapes of input and weight, arguments.
CONV1D = [
    ([1, 1, 5], [1, 1, 3], {}),
    ([2, 3, 6], [2, 3, 3], {"stride": 2}),
    ([1, 2, 5], [3, 2, 3], {"padding": 1}),
    ([1, 2, 7], [2, 2, 2], {"dilation": 3}),
    ([2, 4, 5], [4, 2, 3], {"groups": 2, "padding": 2, "stride": 2}),
    ([1, 3, 4], [3, 1, 2], {"groups": 3}),
    ([2, 5], [2, 2, 3], {}),
    ([1, 2, 4], [3, 2, 1], {}),
    ([0, 2, 4], [1, 2, 3], {}),
]
CONV2D = [
    ([1, 1, 4, 4], [1, 1, 3, 3], {}),
    ([2, 2, 4, 5], [3, 2, 2, 3], {"stride": 2}),
    ([1, 2, 4, 4], [2, 2, 3, 3], {"padding": 1}),
    ([1, 1, 5, 6], [2, 1, 2, 2], {"dilation": 2}),
    ([1, 4, 3, 3], [2, 2, 2, 2], {"groups": 2}),
    ([1, 2, 3, 4], [4, 1, 3, 2], {"groups": 2, "padding": [2, 1], "stride": [1, 2]}),
    ([1, 1, 5, 7], [1, 1, 2, 3], {"stride": [2, 1], "dilation": [1, 2], "padding": [0, 2]}),
    ([1, 4, 4], [2, 1, 3, 3], {"groups": 1}),
    ([2, 3, 2, 2], [2, 3, 1, 1], {}),
    ([0, 1, 3, 3], [1, 1, 2, 2], {}),
]
MAX_POOL = [
    ([1, 1, 4, 4], {"kernel_size": 2}),
    ([2, 2, 5, 4], {"kernel_size": 2, "stride": 1}),
    ([1, 1, 5, 5], {"kernel_size": 3, "stride": 2, "padding": 1}),
    ([1, 1, 5, 6], {"kernel_size": [2, 3], "stride": [1, 2], "padding": [0, 1]}),
    ([1, 1, 6, 6], {"kernel_size": 2, "stride": 2, "dilation": 2}),
    ([2, 3, 5], {"kernel_size": 2}),
    ([1, 1, 5, 5], {"kernel_size": 2, "ceil_mode": False}),
    ([0, 1, 4, 4], {"kernel_size": 2}),
]
AVG_POOL = [
    ([1, 1, 4, 4], {"kernel_size": 2}),
    ([2, 2, 5, 4], {"kernel_size": 2, "stride": 1}),
    ([1, 1, 5, 5], {"kernel_size": 3, "stride": 2, "padding": 1}),
    ([1, 1, 5, 5], {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    ([1, 1, 5, 6], {"kernel_size": [2, 3], "stride": [1, 2], "padding": [0, 1], "count_include_pad": False}),
    ([1, 1, 4, 4], {"kernel_size": 2, "divisor_override": 3}),
    ([2, 3, 5], {"kernel_size": 2, "ceil_mode": False}),
    ([0, 1, 4, 4], {"kernel_size": 2}),
]


def softmaxes():
    for op in ("softmax", "log_softmax"):
        for shape, dim in (([5], 0), ([2, 3], 1), ([2, 3], 0), ([2, 3, 4], -2), ([2, 1, 3], 1), ([], 0), ([1], -1), ([0, 3], 1),
                           ([2, 0], 1), ([2, 17], -1)):
            yield case(op, x(*shape), dim=dim)
        yield case(op, x(3, 2, layout="t"), tag="layout", dim=0)
        yield case(op, x(3, 2, layout="t"), tag="layout", dim=1)
        yield case(op, x(2, 5, dtype="f32"), tag="f32", dim=1)
        for row in ([1000.0, 1000.0, 999.0], [-1000.0, 0.0, 700.0], [3.0, 3.0]):
            yield case(op, v(row), tag="special", dim=0)
        for row in ([1.0, -INF, 2.0], [-INF, -INF], [INF, 1.0], [NAN, 1.0], [INF, INF]):
            yield case(op, v(row), tag="nonfinite", second=False, dim=0)


def norms():
    for shape, tail in (([4], [4]), ([2, 3], [3]), ([2, 3, 4], [3, 4]), ([2, 1, 5], [5]), ([0, 3], [3]), ([2, 3, 1], [1])):
        yield case("layer_norm", x(*shape), normalized_shape=tail)
        yield case("layer_norm", x(*shape), x(*tail, name="weight"), x(*tail, name="bias"), normalized_shape=tail)
    yield case("layer_norm", x(2, 3), x(3, name="weight"), normalized_shape=[3], eps=0.1)
    yield case("layer_norm", x(3, 2, layout="t"), x(2, name="weight"), x(2, name="bias"), tag="layout", normalized_shape=[2])
    yield case("layer_norm", x(2, 5, dtype="f32"), x(5, name="weight", dtype="f32"), x(5, name="bias", dtype="f32"), tag="f32",
               normalized_shape=[5])
    yield case("layer_norm", v([[2.0, 2.0, 2.0]]), tag="special", normalized_shape=[3])
    running = lambda n, **more: (x(n, name="running_mean", grad=False, **more),
                                 x(n, name="running_var", low=0.3, high=2, grad=False, **more))
    affine = lambda n, **more: (x(n, name="weight", **more), x(n, name="bias", **more))
    for shape in ([4, 3], [2, 3, 4], [2, 2, 2, 3]):
        n = shape[1]
        yield case("batch_norm", x(*shape), *running(n), training=False)
        yield case("batch_norm", x(*shape), *running(n), *affine(n), training=False, eps=0.01)
        yield case("batch_norm", x(*shape), *running(n), *affine(n), training=True)
        yield case("batch_norm", x(*shape), *running(n), training=True, momentum=0.3)
        yield case("batch_norm", x(*shape), *affine(n), training=True)
    yield case("batch_norm", x(3, 2, layout="t"), *running(2), *affine(2), tag="layout", training=True)
    yield case("batch_norm", x(4, 2, dtype="f32"), *running(2, dtype="f32"), *affine(2, dtype="f32"), tag="f32", training=True)
    yield case("batch_norm", v([[2.0], [2.0]]), tag="special", training=True)


def windows():
    for op, rows in (("conv1d", CONV1D), ("conv2d", CONV2D)):
        for shape, weight, kwargs in rows:
            yield case(op, x(*shape), x(*weight, name="weight"), x(weight[0], name="bias"), **kwargs)
        for shape, weight, kwargs in rows[:6:2]:
            yield case(op, x(*shape), x(*weight, name="weight"), **kwargs)
        shape, weight, kwargs = rows[2]
        yield case(op, x(*shape, layout="t"), x(*weight, name="weight", layout="t"), tag="layout", **kwargs)
        yield case(op, x(*shape, dtype="f32"), x(*weight, name="weight", dtype="f32"), x(weight[0], name="bias", dtype="f32"),
                   tag="f32", **kwargs)
    for op, rows in (("max_pool2d", MAX_POOL), ("avg_pool2d", AVG_POOL)):
        for shape, kwargs in rows:
            yield case(op, x(*shape), **kwargs)
        yield case(op, x(1, 1, 4, 4, layout="t"), tag="layout", kernel_size=2)
        yield case(op, x(1, 1, 4, 4, dtype="f32"), tag="f32", kernel_size=2)
        yield case(op, v([[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, -0.0, 0.0]]]), tag="special", kernel_size=2, stride=1)
        yield case(op, v([[[1.0, NAN, INF], [-INF, 1.0, 0.0], [-INF, -INF, 2.0]]]), tag="nonfinite", second=False, kernel_size=2,
                   stride=1)


def cases():
    yield from softmaxes()
    yield from norms()
    yield from windows()
    # Only what does not depend on a generator: the mask of other probabilities is random.
    for p, training in ((0.0, True), (1.0, True), (0.5, False), (0.0, False), (1.0, False)):
        yield case("dropout", x(2, 3), p=p, training=training)
