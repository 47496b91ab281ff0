"""The workloads in JAX, compiled: values and gradients by jit(value_and_grad), steps with donated parameters. Where there are several
usual ways, the one that is fastest here. Iterations are dispatched without waiting, as in a training loop; the last one is waited for.

    python jax_peer.py THREADS
"""

import os
import sys

# XLA makes as many threads as there are cores for the process.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import protocol

RATE = 1e-3
BETA1, BETA2, EPS, DECAY = 0.9, 0.999, 1e-6, 0.01


def differentiate(arrays, f):
    inputs = tuple(jnp.asarray(a) for a in arrays)
    places = tuple(range(len(inputs)))
    both = jax.value_and_grad(f, places)
    plain = jax.jit(both)
    # The last gradient's memory is used again.
    reusing = jax.jit(lambda inputs, last: both(*inputs), donate_argnums=1, keep_unused=True)

    def iterate_plain(count):
        for _ in range(count):
            result = plain(*inputs)
        jax.block_until_ready(result)

    last = tuple(jnp.zeros_like(x) for x in inputs)

    def iterate_reusing(count):
        nonlocal last
        for _ in range(count):
            _, last = reusing(inputs, last)
        jax.block_until_ready(last)

    def check():
        value, gradients = plain(*inputs)
        return [np.asarray(value), *map(np.asarray, gradients)]

    return protocol.Program(protocol.fastest([iterate_plain, iterate_reusing]), check)


def sgd(parameters, gradients, state):
    return [p - RATE * g for p, g in zip(parameters, gradients)], state


def adamw(parameters, gradients, state):
    time, firsts, seconds = state
    time = time + 1
    firsts = [BETA1 * m + (1 - BETA1) * g for m, g in zip(firsts, gradients)]
    seconds = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(seconds, gradients)]
    rate, root = RATE / (1 - BETA1**time), jnp.sqrt(1 - BETA2**time)

    def move(p, m, v):
        return p * (1 - RATE * DECAY) - rate * m / (jnp.sqrt(v) / root + EPS)

    return list(map(move, parameters, firsts, seconds)), (time, firsts, seconds)


def train(starts, variants, data, update=sgd, state=lambda parameters: (), restore=lambda a: a):
    """`variants` are ways to write one loss(parameters, data); `restore` brings arrays back to the form of the inputs."""

    def stepper(loss):
        def step(parameters, state, data):
            value, gradients = jax.value_and_grad(loss)(parameters, data)
            return *update(parameters, gradients, state), value

        return jax.jit(step, donate_argnums=(0, 1))

    def begin():
        parameters = [jnp.array(a) for a in starts]
        return parameters, state(parameters)

    def variant(step):
        now = begin()

        def iterate(count):
            nonlocal now
            for _ in range(count):
                *now, value = step(*now, data)
            jax.block_until_ready((now, value))

        return iterate

    steppers = [stepper(loss) for loss in variants]

    def check():
        value, gradients = jax.jit(jax.value_and_grad(variants[0]))(begin()[0], data)
        now = begin()
        for _ in range(protocol.CHECKED_STEPS):
            *now, _ = steppers[0](*now, data)
        return [np.asarray(value), *restore(list(map(np.asarray, gradients))), *restore(list(map(np.asarray, now[0])))]

    return protocol.Program(protocol.fastest([variant(step) for step in steppers]), check)


def transposed(arrays):
    """Weights the other way round, which is the usual one in JAX."""
    return [a.T if a.ndim == 2 else a for a in arrays]


def cross_entropy(y, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(y), labels[:, None], 1))


def mean_squared_error(y, target):
    return jnp.mean(jnp.square(y - target))


def scalar_chain(arrays):
    return differentiate(arrays, protocol.scalar_chain)


def tanh_exp(arrays):
    return differentiate(arrays, lambda x: (jnp.tanh(x * x + 2) * jnp.exp(x)).sum())


def mean_square(arrays):
    return differentiate(arrays, protocol.mean_square)


def data_of(arrays):
    """Data and target; labels as 32-bit integers, JAX's own."""
    return tuple(jnp.asarray(a.astype(np.int32) if a.dtype == np.int64 else a) for a in arrays)


def mlp(arrays):
    data = data_of(arrays[:2])
    distance = cross_entropy if arrays[1].dtype == np.int64 else mean_squared_error

    def loss(parameters, data):
        y = data[0] @ parameters[0] + parameters[1]
        for i in range(2, len(parameters), 2):
            y = jax.nn.relu(y) @ parameters[i] + parameters[i + 1]
        return distance(y, data[1])

    return train(transposed(arrays[2:]), [loss], data, restore=transposed)


def lenet(arrays):
    """Channels last, which XLA's CPU convolutions want."""
    x, labels = data_of(arrays[:2])
    order = arrays[6].reshape(10, 16, 4, 4)
    starts = [
        arrays[2].transpose(2, 3, 1, 0),
        arrays[3],
        arrays[4].transpose(2, 3, 1, 0),
        arrays[5],
        order.transpose(2, 3, 1, 0).reshape(256, 10),
        arrays[7],
    ]

    def restore(a):
        w3 = a[4].reshape(4, 4, 16, 10).transpose(3, 2, 0, 1).reshape(10, 256)
        return [a[0].transpose(3, 2, 0, 1), a[1], a[2].transpose(3, 2, 0, 1), a[3], w3, a[5]]

    def by_window(y):
        return lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def by_axes(y):
        n, h, w, c = y.shape
        return y.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))

    def loss_with(pool):
        def loss(parameters, data):
            y = data[0]
            for i in (0, 2):
                y = lax.conv_general_dilated(y, parameters[i], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
                y = pool(jax.nn.relu(y + parameters[i + 1]))
            return cross_entropy(y.reshape(y.shape[0], -1) @ parameters[4] + parameters[5], data[1])

        return loss

    data = x.transpose(0, 2, 3, 1), labels
    return train(starts, [loss_with(by_window), loss_with(by_axes)], data, restore=restore)


def lstm(arrays):
    data = data_of(arrays[:2])

    def loss_with(unroll):
        def loss(parameters, data):
            w, u, b = parameters
            driven = data[0] @ w + b

            def step(state, driven):
                hidden, cell = state
                i, f, g, o = jnp.split(driven + hidden @ u, 4, 1)
                cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
                return (jax.nn.sigmoid(o) * jnp.tanh(cell), cell), None

            zeros = jnp.zeros_like(data[1])
            (hidden, _), _ = lax.scan(step, (zeros, zeros), driven, unroll=unroll)
            return mean_squared_error(hidden, data[1])

        return loss

    return train(transposed(arrays[2:]), [loss_with(unroll) for unroll in (1, 5, 50)], data, restore=transposed)


def transformer(arrays):
    data = data_of(arrays[:2])
    heads = 4

    def normalize(x, weight, bias):
        mean = x.mean(-1, keepdims=True)
        variance = jnp.square(x - mean).mean(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + 1e-5) * weight + bias

    def loss(parameters, data):
        qkv, qkv_bias, out, out_bias, g1, b1, up, up_bias, down, down_bias, g2, b2 = parameters
        x, target = data
        batch, tokens, channels = x.shape
        parts = (x @ qkv + qkv_bias).reshape(batch, tokens, 3, heads, channels // heads)
        q, k, v = parts[:, :, 0], parts[:, :, 1], parts[:, :, 2]
        scores = jnp.einsum("bqhc,bkhc->bhqk", q * (channels // heads) ** -0.5, k)
        mixed = jnp.einsum("bhqk,bkhc->bqhc", jax.nn.softmax(scores), v).reshape(x.shape)
        y = normalize(x + mixed @ out + out_bias, g1, b1)
        z = jax.nn.relu(y @ up + up_bias) @ down + down_bias
        return mean_squared_error(normalize(y + z, g2, b2), target)

    def state(parameters):
        return jnp.float32(0), [jnp.zeros_like(p) for p in parameters], [jnp.zeros_like(p) for p in parameters]

    return train(transposed(arrays[2:]), [loss], data, adamw, state, transposed)


WORKLOADS = dict(
    scalar_chain=scalar_chain, tanh_exp=tanh_exp, mean_square=mean_square, mlp=mlp, lenet=lenet, lstm=lstm, transformer=transformer
)

if __name__ == "__main__":
    protocol.serve(f"jax {jax.__version__}", lambda kind, arrays: WORKLOADS[kind](arrays))
