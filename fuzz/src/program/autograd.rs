//! Sweeps, gradients of leaves, hooks, segments, and transforms of functions.

use wengert::func::{self, JacobianOptions};
use wengert::tape::{Segment, position};
use wengert::{GradOptions, TensorBase, grad_with};

use super::blocks::{apply, apply_to_number, give_up, or_give_up};
use super::{Float, Values, burn_sweep};
use crate::bytes::Bytes;

pub fn sweep<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values, depth: usize) {
    let x: TensorBase<E> = values.float(bytes);
    let kind = bytes.below(16);
    if kind < 7 && !burn_sweep() {
        return;
    }
    let done = match kind {
        0 | 1 => x.try_sum().and_then(|x| x.try_backward()),
        2 => x.try_backward_with(values.float(bytes)),
        3 => x.try_sum().and_then(|x| x.try_backward_create_graph()),
        4 | 5 => return gradients(x, bytes, values),
        6 => return segment(x, bytes, values),
        7 => x.try_zero_grad(),
        8 => x.try_retain_grad().map(|_| ()),
        9 => x.try_requires_grad_(bytes.flag()).map(|_| ()),
        10 | 11 => match x.try_grad() {
            Ok(Some(grad)) => return values.keep(Ok(grad)),
            other => other.map(|_| ()),
        },
        12 => x.try_update(|value, grad| value.iter_mut().zip(grad).for_each(|(x, &g)| *x += g)).map(|_| ()),
        13 => x.try_with_grad_mut(|grad| grad.fill(E::of(0.25))).map(|_| ()),
        14 => x.try_with_grad(|grad| grad.len()).map(|_| ()),
        _ => return hook(x, bytes, values, depth),
    };
    values.note(done.map(|()| 2));
}

fn gradients<E: Float>(x: TensorBase<E>, bytes: &mut Bytes<'_>, values: &mut Values) {
    let options = GradOptions { create_graph: bytes.flag(), allow_unused: bytes.flag() };
    let inputs = bytes.list(3, |bytes| values.float::<E>(bytes));
    let grads = if bytes.flag() {
        let outputs = bytes.list(3, |bytes| values.float::<E>(bytes));
        let seeds = bytes.list(3, |bytes| bytes.flag().then(|| values.float::<E>(bytes)));
        grad_with(&outputs, &inputs, &seeds, options)
    } else {
        x.try_sum().and_then(|sum| grad_with(sum, &inputs, None, options))
    };
    values.keep_all(grads.map(|grads| grads.into_iter().flatten().collect()));
}

fn segment<E: Float>(x: TensorBase<E>, bytes: &mut Bytes<'_>, values: &mut Values) {
    let (from, seed) = (position(), values.float::<E>(bytes));
    let y = x.try_sin().and_then(|y| y.try_mul(values.float::<E>(bytes)));
    let (middle, z) = (position(), y.clone().and_then(|y| y.try_square()?.try_sum()));
    let result = y.and_then(|y| {
        let (lower, upper) = (Segment::try_between(from, middle)?, Segment::try_between(middle, position())?);
        let one = TensorBase::try_scalar(E::of(1.0))?;
        match bytes.below(6) {
            0 => lower.try_inputs(),
            1 => Ok(upper.try_pull_back(&[(z?, one)])?.into_iter().map(|(_, adjoint)| adjoint).collect()),
            2 => Ok(lower.try_backward(&upper.try_pull_back(&[(z?, one)])?, &[x])?.into_iter().flatten().collect()),
            3 => Ok(lower.try_backward_create_graph(&[(y, seed)], &[x])?.into_iter().flatten().collect()),
            4 => Ok(Segment::try_between(middle, from)?.try_inputs()?),
            _ => Ok(upper.try_backward(&[(z?, one), (y, y)], &[y, x])?.into_iter().flatten().collect()),
        }
    });
    values.keep_all(result);
}

/// Registers a hook that may do anything.
fn hook<E: Float>(x: TensorBase<E>, bytes: &mut Bytes<'_>, values: &mut Values, depth: usize) {
    let (kind, after, removed, code) = (bytes.below(8), bytes.flag(), bytes.byte() > 200, bytes.part().to_vec());
    let run = move |g: TensorBase<E>| match kind {
        0 => give_up(),
        1 => None,
        2 => g.try_mul(2.0).ok(),
        3 => TensorBase::try_zeros([2, 3]).ok(),
        4 => {
            if burn_sweep() {
                _ = g.try_detach().and_then(|g| g.try_requires_grad_(true)?.try_exp()?.try_sum()?.try_backward());
            }
            Some(g)
        }
        5 if depth < 2 => Some(apply(&code, &[g, x], depth + 1)),
        6 => g.try_neg_().ok(),
        _ => x.try_add(g).ok(),
    };
    let hook = if after {
        x.try_register_post_accumulate_grad_hook(move |leaf| _ = run(leaf))
    } else {
        x.try_register_hook(run)
    };
    if let (Ok(hook), true) = (&hook, removed) {
        hook.remove();
    }
    values.note(hook.map(|_| 3));
}

pub fn transform<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values, depth: usize) {
    if !burn_sweep() {
        return;
    }
    let (x, v): (TensorBase<E>, TensorBase<E>) = (values.float(bytes), values.float(bytes));
    let (kind, code) = (bytes.below(12), bytes.part());
    let f = |x: TensorBase<E>| apply(code, &[x], depth);
    let number = |x: TensorBase<E>| apply_to_number(code, &[x, v], depth);
    let pair = |x: [TensorBase<E>; 2]| apply_to_number(code, &x, depth);
    let small = x.try_numel().is_ok_and(|n| n <= 6);
    let options = JacobianOptions { chunk: bytes.flag().then(|| bytes.length()) };
    let result = match kind {
        0 => func::try_grad(number, x),
        1 => func::try_grad(pair, [x, v]).map(|[first, _]| first),
        2 => func::try_value_and_grad(number, x).map(|(_, grad)| grad),
        3 => func::try_vjp(f, x).and_then(|(y, pullback)| {
            let first = pullback.try_call(y)?;
            values.keep(pullback.try_call(v));
            Ok(first)
        }),
        4 => func::try_jvp(f, x, v).map(|(_, tangent)| tangent),
        5 => func::try_linearize(f, x).and_then(|(_, pushforward)| pushforward.try_call(v)),
        6 => func::try_hvp(number, x, v),
        7 if small => func::jacrev_with(f, x, options),
        8 if small => func::jacfwd_with(f, x, options),
        9 if small => func::try_hessian(number, x),
        10 => func::try_grad(|x| or_give_up(or_give_up(func::try_grad(number, x)).try_sum()), v),
        _ => func::try_jvp(|x| or_give_up(func::try_grad(number, x)), x, x).map(|(_, tangent)| tangent),
    };
    values.keep(result);
}
