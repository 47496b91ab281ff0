"""Trajectories of PyTorch's optimisers, learning-rate schedules and gradient clipping -> trajectories.json.gz.

The file is one JSON object:

    problem       {"a": rows, "b": [..], "p": start, "q": start}, see `gradient`
    trajectories  {"optimizer", "dtype": "f64" | "f32", "maximize": bool, "skip": {"q": [step, ..]}?,
                   "groups": [options of "p", options of "q"], "steps": [[p0, p1, p2, q0, q1], ..]}
                  A step named by `skip` gives that parameter no gradient. Options are PyTorch's, all spelled out.
    schedules     {"scheduler", "optimizer", "kwargs", "base": [{"lr": ..}, ..], "metrics": [..]?,
                   "lr": [[one per group], ..], "momentum": [[..], ..]?}
                  `momentum` is SGD's, or beta1 of Adam. Row 0 is read before the first `scheduler.step()`, row n after the n-th.
    clipping      {"function", "dtype", "kwargs", "grads": [[..], ..], "total_norm"?, "clipped": [[..], ..]}

Numbers are shortest round trips in their dtype; "nan", "inf" and "-inf" are strings.
"""

import gzip
import json
import math
import pathlib
import warnings

import numpy as np
import torch
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop, lr_scheduler

OUT = pathlib.Path(__file__).parents[2] / "crates/wengert-optim/tests/data/trajectories.json.gz"
STEPS = 50
DTYPES = {"f64": (torch.float64, np.float64), "f32": (torch.float32, np.float32)}
PROBLEM = {
    "a": [[1.5, -0.5], [0.25, 2.0], [-1.0, 0.75], [0.5, 0.5]],
    "b": [0.7, -1.3, 0.4, 1.1],
    "p": [-0.6, 0.8, 0.3],
    "q": [1.2, -0.4],
}


def gradient(p, q, number):
    """Gradient of `sum_i 5 (p[i+1] - p[i]^2)^2 + (1 - p[i])^2  +  1/2 |a q - b|^2`, rounded after every operation.

    `number` is the scalar type. The order of operations is part of the reference: whoever repeats it exactly gets the same bits.
    """
    gp = [number(0) for _ in p]
    for i in range(len(p) - 1):
        d = p[i + 1] - p[i] * p[i]
        gp[i] = gp[i] - number(20) * d * p[i] - number(2) * (number(1) - p[i])
        gp[i + 1] = gp[i + 1] + number(10) * d
    gq = [number(0) for _ in q]
    for row, target in zip(PROBLEM["a"], PROBLEM["b"]):
        r = number(row[0]) * q[0] + number(row[1]) * q[1] - number(target)
        gq = [g + r * number(c) for g, c in zip(gq, row)]
    return gp, gq


def plain(value):
    """`value` as JSON: shortest decimal that reads back to the same float of its dtype, strings where JSON has no number."""
    if isinstance(value, torch.Tensor):
        return plain(value.detach().numpy())
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value] if value.ndim else plain(value[()])
    if isinstance(value, np.float32):
        return plain(float(str(value)))
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


# Optimiser, options of both groups, options of the second group only, steps at which q has no gradient.
TRAJECTORIES = [
    (SGD, {"lr": 0.01}, {}, []),
    (SGD, {"lr": 0.01, "weight_decay": 0.1}, {"weight_decay": 0.0}, []),
    (SGD, {"lr": 0.01, "momentum": 0.9}, {"lr": 0.002}, []),
    (SGD, {"lr": 0.01, "momentum": 0.8, "dampening": 0.5}, {"dampening": 0.1}, []),
    (SGD, {"lr": 0.005, "momentum": 0.9, "nesterov": True}, {"momentum": 0.5}, []),
    (SGD, {"lr": 0.005, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}, {"nesterov": False}, []),
    (SGD, {"lr": 0.01, "momentum": 0.7, "maximize": True, "weight_decay": 0.01}, {}, []),
    (SGD, {"lr": 0.01, "momentum": 0.9, "dampening": 0.3}, {}, [0, 1, 7]),
    (Adam, {"lr": 0.05}, {}, []),
    (Adam, {"lr": 0.02, "betas": (0.8, 0.99), "eps": 1e-4}, {"betas": (0.5, 0.9)}, []),
    (Adam, {"lr": 0.05, "weight_decay": 0.1}, {"lr": 0.01}, []),
    (Adam, {"lr": 0.1, "amsgrad": True}, {}, []),
    (Adam, {"lr": 0.03, "amsgrad": True, "weight_decay": 0.2, "maximize": True}, {"amsgrad": False}, []),
    (Adam, {"lr": 0.05}, {"eps": 1e-2}, [0, 10, 11, 12]),
    (AdamW, {"lr": 0.05}, {}, []),
    (AdamW, {"lr": 0.02, "weight_decay": 0.3, "betas": (0.7, 0.95)}, {"weight_decay": 0.0}, []),
    (AdamW, {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1}, {"lr": 0.01}, []),
    (AdamW, {"lr": 0.03, "maximize": True, "eps": 1e-3}, {}, [5, 6]),
    (RMSprop, {"lr": 0.01}, {}, []),
    (RMSprop, {"lr": 0.02, "alpha": 0.9, "weight_decay": 0.1}, {"alpha": 0.5}, []),
    (RMSprop, {"lr": 0.01, "centered": True}, {"eps": 1e-3}, []),
    (RMSprop, {"lr": 0.005, "momentum": 0.9}, {"lr": 0.001}, []),
    (RMSprop, {"lr": 0.005, "momentum": 0.8, "centered": True, "alpha": 0.95}, {"centered": False}, [3, 4]),
    (RMSprop, {"lr": 0.01, "maximize": True, "weight_decay": 0.05}, {"momentum": 0.5}, []),
    (Adagrad, {"lr": 0.1}, {}, []),
    (Adagrad, {"lr": 0.2, "lr_decay": 0.05}, {"lr_decay": 0.5}, []),
    (Adagrad, {"lr": 0.3, "initial_accumulator_value": 0.5, "eps": 1e-3}, {}, []),
    (Adagrad, {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.1, "maximize": True}, {"lr": 0.05}, [20, 21]),
]
# What selects an implementation and not a result, and what only AdamW's base class reads.
NOT_OPTIONS = {"params", "foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay"}


def trajectory(kind, common, second, skip, dtype):
    """Run `STEPS` steps; `maximize` climbs minus the objective, so that it stays bounded."""
    torch_type, number = DTYPES[dtype]
    p, q = (torch.tensor(PROBLEM[name], dtype=torch_type, requires_grad=True) for name in "pq")
    optimizer = kind([{"params": [p]}, {"params": [q], **second}], **common, foreach=False)
    sign = number(-1 if common.get("maximize") else 1)
    steps = []
    for step in range(STEPS):
        gp, gq = gradient(list(p.detach().numpy()), list(q.detach().numpy()), number)
        p.grad = torch.tensor([sign * g for g in gp], dtype=torch_type)
        q.grad = None if step in skip else torch.tensor([sign * g for g in gq], dtype=torch_type)
        optimizer.step()
        steps.append(plain(torch.cat([p, q])))
    groups = [{k: plain(v) for k, v in g.items() if k not in NOT_OPTIONS} for g in optimizer.param_groups]
    found = {"optimizer": kind.__name__, "dtype": dtype, "maximize": common.get("maximize", False)}
    return found | ({"skip": {"q": skip}} if skip else {}) | {"groups": groups, "steps": steps}


METRICS = [5.0, 4.0, 4.2, 3.9997, 4.1, 4.3, 3.9, 4.0, 3.9, 3.95, 3.8999, 4.0, "nan", 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7, 2.9,
           3.0]
# Scheduler, its arguments, number of steps. OneCycleLR is stepped once less than `total_steps`.
SCHEDULES = [
    ("StepLR", {"step_size": 4}, 15),
    ("StepLR", {"step_size": 3, "gamma": 0.5}, 15),
    ("MultiStepLR", {"milestones": [2, 5, 9], "gamma": 0.3}, 12),
    ("MultiStepLR", {"milestones": [3, 3, 7]}, 10),
    ("ExponentialLR", {"gamma": 0.9}, 15),
    ("CosineAnnealingLR", {"T_max": 10}, 25),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.001}, 7),
    ("LinearLR", {"start_factor": 0.25, "total_iters": 6}, 10),
    ("LinearLR", {}, 8),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 4}, 8),
    ("OneCycleLR", {"max_lr": [1.0, 0.3], "total_steps": 20}, 19),
    ("OneCycleLR", {"max_lr": [0.5, 0.5], "total_steps": 20, "anneal_strategy": "linear", "pct_start": 0.4}, 19),
    ("OneCycleLR", {"max_lr": [1.0, 0.3], "total_steps": 23, "three_phase": True}, 22),
    ("OneCycleLR", {"max_lr": [1.0, 0.3], "total_steps": 17, "three_phase": True, "anneal_strategy": "linear", "div_factor": 10.0,
                    "final_div_factor": 100.0, "base_momentum": 0.6, "max_momentum": 0.99}, 16),
    ("OneCycleLR", {"max_lr": [1.0, 0.3], "epochs": 3, "steps_per_epoch": 5, "cycle_momentum": False}, 14),
    ("ReduceLROnPlateau", {"patience": 2}, 23),
    ("ReduceLROnPlateau", {"patience": 1, "factor": 0.5, "cooldown": 2}, 23),
    ("ReduceLROnPlateau", {"patience": 0, "mode": "max", "threshold": 0.05, "min_lr": [0.01, 0.005]}, 23),
    ("ReduceLROnPlateau", {"patience": 1, "threshold": 0.01, "threshold_mode": "abs", "eps": 0.001}, 23),
    ("ReduceLROnPlateau", {"patience": 1, "mode": "max", "threshold": 0.1, "threshold_mode": "abs", "min_lr": 1e-4}, 23),
    ("SequentialLR", {"schedulers": [["LinearLR", {"start_factor": 0.1, "total_iters": 5}], ["CosineAnnealingLR", {"T_max": 10}]],
                      "milestones": [5]}, 15),
    ("SequentialLR", {"schedulers": [["LinearLR", {"start_factor": 0.2, "total_iters": 3}], ["ExponentialLR", {"gamma": 0.8}]],
                      "milestones": [3]}, 12),
    ("SequentialLR", {"schedulers": [["LinearLR", {"start_factor": 0.5, "total_iters": 4}], ["StepLR", {"step_size": 3}]],
                      "milestones": [4]}, 14),
]


def build(name, optimizer, kwargs):
    """The scheduler `name`, with the schedulers inside a SequentialLR built first."""
    if name == "SequentialLR":
        inner = [build(n, optimizer, k) for n, k in kwargs["schedulers"]]
        return lr_scheduler.SequentialLR(optimizer, inner, kwargs["milestones"])
    return getattr(lr_scheduler, name)(optimizer, **kwargs)


def schedule(name, kwargs, steps, kind):
    """Learning rates (and momenta, where the schedule cycles them) of two groups, before and after every step."""
    base = [{"lr": 0.1}, {"lr": 0.04}]
    params = [{"params": [torch.zeros(1, requires_grad=True)], **options} for options in base]
    optimizer = SGD(params, momentum=0.9) if kind is SGD else kind(params)
    scheduler = build(name, optimizer, kwargs)
    cycles = name == "OneCycleLR" and kwargs.get("cycle_momentum", True)
    row = {"scheduler": name, "optimizer": kind.__name__, "kwargs": plain(kwargs), "base": base}
    lrs, momenta = [], []
    for step in range(steps + 1):
        if step:
            optimizer.step()
            scheduler.step(*[float(METRICS[step - 1])] if name == "ReduceLROnPlateau" else [])
        lrs.append([plain(float(g["lr"])) for g in optimizer.param_groups])
        momenta.append([plain(g["momentum"] if kind is SGD else g["betas"][0]) for g in optimizer.param_groups])
    row |= {"metrics": METRICS[:steps]} if name == "ReduceLROnPlateau" else {}
    return row | {"lr": lrs} | ({"momentum": momenta} if cycles else {})


GRADS = [[3.0, -4.0, 0.5], [0.0], [1.25, -2.5]]
CLIPPING = [
    *[("clip_grad_norm_", {"max_norm": m, "norm_type": p}, GRADS) for p in (1.0, 2.0, 3.0, math.inf) for m in (1.0, 5.0, 100.0)],
    ("clip_grad_norm_", {"max_norm": 0.0, "norm_type": 2.0}, GRADS),
    ("clip_grad_norm_", {"max_norm": 1.0, "norm_type": 2.0}, [[0.0, 0.0], [0.0]]),
    ("clip_grad_norm_", {"max_norm": 1.0, "norm_type": 2.0}, [[1.0, math.inf], [2.0]]),
    ("clip_grad_norm_", {"max_norm": 1.0, "norm_type": math.inf}, [[1.0, -math.inf], [2.0]]),
    ("clip_grad_norm_", {"max_norm": 1.0, "norm_type": 2.0}, [[1.0, math.nan], [2.0]]),
    ("clip_grad_norm_", {"max_norm": 1.0, "norm_type": 2.0}, []),
    ("clip_grad_value_", {"clip_value": 1.0}, GRADS),
    ("clip_grad_value_", {"clip_value": 2.75}, GRADS),
    ("clip_grad_value_", {"clip_value": 1.5}, [[math.inf, -math.inf, math.nan, 0.25]]),
]


def clip(function, kwargs, grads, dtype):
    """Clip copies of `grads`; only clipping by norm returns something."""
    tensors = [torch.zeros(len(g), dtype=DTYPES[dtype][0], requires_grad=True) for g in grads]
    for tensor, grad in zip(tensors, grads):
        tensor.grad = torch.tensor(grad, dtype=DTYPES[dtype][0])
    norm = getattr(torch.nn.utils, function)(tensors, **kwargs, foreach=False)
    row = {"function": function, "dtype": dtype, "kwargs": plain(kwargs), "grads": plain(grads)}
    row |= {} if norm is None else {"total_norm": plain(norm)}
    return row | {"clipped": [plain(t.grad) for t in tensors]}


def main():
    """Compute everything and write the file, with no time stamp in it."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    # SequentialLR itself passes `epoch` to the schedulers inside it, which PyTorch deprecates.
    warnings.filterwarnings("ignore", message="The epoch parameter")
    data = {
        "torch": torch.__version__.split("+")[0],
        "problem": PROBLEM,
        "trajectories": [trajectory(*t, dtype) for t in TRAJECTORIES for dtype in DTYPES],
        "schedules": [schedule(*s, SGD) for s in SCHEDULES] + [schedule(*s, Adam) for s in SCHEDULES if s[0] == "OneCycleLR"],
        "clipping": [clip(*c, dtype) for c in CLIPPING for dtype in DTYPES],
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print({k: len(v) for k, v in data.items() if isinstance(v, list)}, f"{OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
