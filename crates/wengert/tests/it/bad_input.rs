//! Refused inputs, each with its text: the plain form panics with it at the caller's line, the `try_` form returns it, nothing
//! is recorded, nothing is lost, and the tape is usable after it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::{BoolTensor, Error, GradOptions, IndexTensor, Tensor, Tensor64, grad, grad_with, memory, no_grad, scope};

/// The tensors that the calls are made on.
struct Fixture {
    /// A leaf of shape [3] that requires a gradient, and has one.
    w: Tensor,
    /// Computed from `w`.
    y: Tensor,
    /// Plain tensors of shape [2, 3], [3], [] and [0, 3].
    a: Tensor,
    v: Tensor,
    s: Tensor,
    none: Tensor,
    pair: Tensor,
    /// NaN.
    nan: Tensor,
    /// 2^63.
    large: Tensor,
    /// Of shapes [2, 1, 3] and [5, 3, 3].
    batch: Tensor,
    batches: Tensor,
    /// Of shapes [2^40, 1] and [1, 2^40], without memory for as many.
    huge_row: Tensor,
    huge_column: Tensor,
    /// The sum of `y`, of rank 0.
    total: Tensor,
    /// A leaf that requires a gradient and has no part in anything.
    other: Tensor,
    /// Rank 0, computed from `w` by way of a value that was overwritten after it was used.
    spoilt: Tensor,
    /// A view of two elements of `w`, and one that shows `s` three times.
    part: Tensor,
    wide: Tensor,
    mask: BoolTensor,
    bits: BoolTensor,
    index: IndexTensor,
    indices: IndexTensor,
}

impl Fixture {
    fn new() -> Self {
        let w = Tensor::new([1.0, -2.0, 3.0]).requires_grad_(true);
        (w * w).sum().backward();
        let (y, s) = (w * 2.0, Tensor::scalar(7.0));
        let squares = y * y;
        let spoilt = (squares * squares).sum();
        squares.zero_();
        Self {
            w,
            y,
            s,
            spoilt,
            total: y.sum(),
            other: Tensor::ones(2).requires_grad_(true),
            part: w.narrow(0, 0, 2),
            wide: s.expand(3),
            pair: Tensor::new([1.0, 2.0]),
            large: Tensor::scalar(2f32.powi(63)),
            nan: Tensor::scalar(f32::NAN),
            batch: Tensor::zeros([2, 1, 3]),
            batches: Tensor::zeros([5, 3, 3]),
            huge_row: Tensor::scalar(1.0).expand([1 << 40, 1]),
            huge_column: Tensor::scalar(1.0).expand([1, 1 << 40]),
            a: Tensor::new([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
            v: Tensor::new([0.5, 1.5, 2.5]),
            none: Tensor::zeros([0, 3]),
            bits: BoolTensor::new([true, false]),
            mask: BoolTensor::new([true, false, true]),
            index: IndexTensor::new([0, 2, 5]),
            indices: IndexTensor::new([0, 1]),
        }
    }
}

struct Row {
    /// The plain call as it stands in this file.
    source: &'static str,
    plain: fn(&Fixture),
    tried: fn(&Fixture) -> Result<(), Error>,
    text: &'static str,
}

/// Stamps rows: `plain call, try_ call => text;` with the fixture as `f`.
macro_rules! rows {
    ($f:ident; $($plain:expr, $tried:expr => $text:expr;)+) => {
        &[$(Row {
            source: stringify!($plain),
            plain: |#[allow(unused)] $f: &Fixture| {
                let _ = $plain;
            },
            tried: |#[allow(unused)] $f: &Fixture| $tried.map(drop),
            text: $text,
        }),+]
    };
}

/// What a panic said, and the number of its line in this file.
pub(super) type Caught = (String, usize);

thread_local! {
    /// `Some` while this thread expects a panic.
    static CAUGHT: RefCell<Option<Vec<Caught>>> = const { RefCell::new(None) };
}

/// Keeps expected panics from being printed, and notes where they point to.
fn install_hook() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let expected = CAUGHT.with_borrow_mut(|caught| {
                let Some(caught) = caught else { return false };
                let location = info.location().expect("panics have a location");
                let line = if location.file() == file!() { location.line() as usize } else { 0 };
                let text = info.payload().downcast_ref::<String>().cloned().unwrap_or_default();
                caught.push((text, line));
                true
            });
            if !expected {
                before(info);
            }
        }));
    });
}

/// The panic of `f`.
pub(super) fn panic_of(f: impl FnOnce()) -> Caught {
    install_hook();
    CAUGHT.set(Some(Vec::new()));
    let result = catch_unwind(AssertUnwindSafe(f));
    let caught = CAUGHT.take().expect("set above");
    assert!(result.is_err(), "no panic");
    caught.into_iter().next().expect("a panic runs the hook")
}

fn without_spaces(text: &str) -> String {
    text.split_whitespace().collect()
}

fn check(rows: &[Row]) {
    let f = Fixture::new();
    let gradient = || f.w.grad().expect("the fixture's").to_vec();
    let before = (gradient(), memory::stats().entries);
    for Row { source, plain, tried, text } in rows {
        let compare = |form: &str, got: &str| {
            assert_eq!(got, *text, "the {form} form of `{source}`");
            assert_eq!((gradient(), memory::stats().entries), before, "after the {form} form of `{source}`");
            assert_eq!(scope(|| f.a.sum().item()), 21.0, "after the {form} form of `{source}`");
        };
        compare("try_", &tried(&f).expect_err(source).to_string());
        let (message, line) = panic_of(|| plain(&f));
        compare("plain", &message);
        let line_text =
            include_str!("bad_input.rs").lines().nth(line.wrapping_sub(1)).unwrap_or("no line of this file");
        let points_there = without_spaces(line_text).contains(&without_spaces(source));
        assert!(points_there, "the panic of `{source}` points to line {line}: {line_text}");
    }
}

#[test]
fn shapes_that_do_not_fit() {
    check(rows! { f;
        f.a + f.pair, f.a.try_add(f.pair)
            => "add: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.a - f.pair, f.a.try_sub(f.pair)
            => "sub: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.a * f.pair, f.a.try_mul(f.pair)
            => "mul: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.a / f.pair, f.a.try_div(f.pair)
            => "div: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.a % f.pair, f.a.try_fmod(f.pair)
            => "fmod: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.a.pow(f.pair), f.a.try_pow(f.pair)
            => "pow: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.a.maximum(f.pair), f.a.try_maximum(f.pair)
            => "maximum: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.a.lerp(f.pair, 0.5), f.a.try_lerp(f.pair, 0.5)
            => "lerp: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.a.clamp(f.pair, 1.0), f.a.try_clamp(f.pair, 1.0)
            => "clamp: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.mask.where_(f.pair, 0.0), f.mask.try_where_(f.pair, 0.0)
            => "where_: shapes [3] and [2] do not broadcast: 3 is not 2 in dimension 0; lengths must be equal or 1, counted from the last dimension";
        f.mask & f.bits, f.mask.try_logical_and(f.bits)
            => "logical_and: shapes [3] and [2] do not broadcast: 3 is not 2 in dimension 0; lengths must be equal or 1, counted from the last dimension";
        f.mask | f.bits, f.mask.try_logical_or(f.bits)
            => "logical_or: shapes [3] and [2] do not broadcast: 3 is not 2 in dimension 0; lengths must be equal or 1, counted from the last dimension";
        f.mask ^ f.bits, f.mask.try_logical_xor(f.bits)
            => "logical_xor: shapes [3] and [2] do not broadcast: 3 is not 2 in dimension 0; lengths must be equal or 1, counted from the last dimension";
        f.a.lt(f.pair), f.a.try_lt(f.pair)
            => "lt: shapes [2, 3] and [2] do not broadcast: 3 is not 2 in dimension 1; lengths must be equal or 1, counted from the last dimension";
        f.index.equal(f.indices), f.index.try_equal(f.indices)
            => "equal: shapes [3] and [2] do not broadcast: 3 is not 2 in dimension 0; lengths must be equal or 1, counted from the last dimension";
        f.a.matmul(f.a), f.a.try_matmul(f.a)
            => "matmul: shapes [2, 3] and [2, 3] do not fit: 3 is not 2";
        f.v.matmul(f.a), f.v.try_matmul(f.a)
            => "matmul: shapes [3] and [2, 3] do not fit: 3 is not 2";
        f.a.matmul(f.pair), f.a.try_matmul(f.pair)
            => "matmul: shapes [2, 3] and [2] do not fit: 3 is not 2";
        f.a.matmul(f.s), f.a.try_matmul(f.s)
            => "matmul: shapes [2, 3] and [] do not fit: both operands need at least one dimension; multiply by `*`";
        f.batch.matmul(f.batches), f.batch.try_matmul(f.batches)
            => "matmul: shapes [2, 1, 3] and [5, 3, 3] do not fit: the batches [2] and [5] do not broadcast; lengths must be equal or 1, counted from the last";
        f.a.reshape([4, 2]), f.a.try_reshape([4, 2])
            => "reshape: shape [2, 3] has 6 elements and [4, 2] has 8; they must be equal";
        f.a.reshape([1; 9]), f.a.try_reshape([1; 9])
            => "reshape: shape [1, 1, 1, 1, 1, 1, 1, 1, 1] has 9 dimensions; at most 8 fit";
        f.a.expand([4, 3]), f.a.try_expand([4, 3])
            => "expand: shape [2, 3] can't be repeated to [4, 3]: lengths must be equal, or 1 before, counted from the last dimension";
        f.a.expand(3), f.a.try_expand(3)
            => "expand: shape [2, 3] can't be repeated to [3]: lengths must be equal, or 1 before, counted from the last dimension";
        f.a.broadcast_to([2, 3, 1]), f.a.try_broadcast_to([2, 3, 1])
            => "broadcast_to: shape [2, 3] can't be repeated to [2, 3, 1]: lengths must be equal, or 1 before, counted from the last dimension";
        f.a.sum_to([4]), f.a.try_sum_to([4])
            => "sum_to: shape [4] does not broadcast to [2, 3]";
    });
}

#[test]
fn dimensions_of_reductions() {
    check(rows! { f;
        f.a.sum_dims(2, false), f.a.try_sum_dims(2, false)
            => "sum: dimension 2 is out of range for a tensor of 2 dimensions; expected -2 to 1";
        f.a.sum_dims(-3, false), f.a.try_sum_dims(-3, false)
            => "sum: dimension -3 is out of range for a tensor of 2 dimensions; expected -2 to 1";
        f.a.sum_dims([0, -2], false), f.a.try_sum_dims([0, -2], false)
            => "sum: dimension -2 is named twice in [0, -2]";
        f.none.max(), f.none.try_max()
            => "max: dimension [0] of shape [0, 3] must not be empty: max of nothing has no value";
        f.none.amin([-1, 0], true), f.none.try_amin([-1, 0], true)
            => "amin: dimension [0] of shape [0, 3] must not be empty: amin of nothing has no value";
        f.none.min_dim(0, false), f.none.try_min_dim(0, false)
            => "min: dimension [0] of shape [0, 3] must not be empty: min of nothing has no value";
        f.none.argmax(), f.none.try_argmax()
            => "argmax: dimension [0] of shape [0, 3] must not be empty: argmax of nothing has no value";
        f.none.norm_dims(f64::INFINITY, 0, false), f.none.try_norm_dims(f64::INFINITY, 0, false)
            => "norm: dimension [0] of shape [0, 3] must not be empty: norm of nothing has no value";
        f.a.var_dims([1, 1], 1, false), f.a.try_var_dims([1, 1], 1, false)
            => "var: dimension 1 is named twice in [1, 1]";
        f.a.cumprod(2), f.a.try_cumprod(2)
            => "cumprod: dimension 2 is out of range for a tensor of 2 dimensions; expected -2 to 1";
        f.a.max_dim(-3, true), f.a.try_max_dim(-3, true)
            => "max: dimension -3 is out of range for a tensor of 2 dimensions; expected -2 to 1";
        f.mask.any_dims(5, true), f.mask.try_any_dims(5, true)
            => "any: dimension 5 is out of range for a tensor of 1 dimensions; expected -1 to 0";
    });
}

#[test]
fn dimensions_of_views() {
    check(rows! { f;
        f.a.permute([0]), f.a.try_permute([0])
            => "permute: [0] does not name each of the 2 dimensions of shape [2, 3] once";
        f.a.permute([1, 1]), f.a.try_permute([1, 1])
            => "permute: [1, 1] does not name each of the 2 dimensions of shape [2, 3] once";
        f.a.transpose(0, 2), f.a.try_transpose(0, 2)
            => "transpose: dimension 2 is out of range for a tensor of 2 dimensions; expected -2 to 1";
        f.batch.t(), f.batch.try_t()
            => "t: a tensor of 3 dimensions is no matrix; use `transpose`";
        f.a.select(2, 0), f.a.try_select(2, 0)
            => "select: dimension 2 is out of range for a tensor of 2 dimensions; expected -2 to 1";
        f.s.select(0, 0), f.s.try_select(0, 0)
            => "select: a tensor of rank 0 has no dimension to take a part of";
        f.s.narrow(0, 0, 1), f.s.try_narrow(0, 0, 1)
            => "narrow: a tensor of rank 0 has no dimension to take a part of";
        f.s.slice(0, 0, 1, 1), f.s.try_slice(0, 0, 1, 1)
            => "slice: a tensor of rank 0 has no dimension to take a part of";
        f.a.size(2), f.a.try_size(2)
            => "size: dimension 2 is out of range for a tensor of 2 dimensions; expected -2 to 1";
        f.s.size(0), f.s.try_size(0)
            => "size: a tensor of rank 0 has no dimensions";
    });
}

#[test]
fn sizes() {
    check(rows! { f;
        f.a.item(), f.a.try_item()
            => "item: a tensor of shape [2, 3] can't be converted to one number; use `to_vec`";
        f.none.item(), f.none.try_item()
            => "item: a tensor of shape [0, 3] can't be converted to one number; use `to_vec`";
        f.a.copy_to_slice(&mut [0.0; 5]), f.a.try_copy_to_slice(&mut [0.0; 5])
            => "copy_to_slice: a tensor of shape [2, 3] has 6 elements, the slice 5";
        f.huge_row + f.huge_column, f.huge_row.try_add(f.huge_column)
            => "add: shape [1099511627776, 1099511627776] has more elements than memory can hold";
        f.huge_row.matmul(f.huge_column), f.huge_row.try_matmul(f.huge_column)
            => "matmul: shape [1099511627776, 1099511627776] has more elements than memory can hold";
        Tensor::zeros([1 << 40, 1 << 40]), Tensor::try_zeros([1 << 40, 1 << 40])
            => "zeros: shape [1099511627776, 1099511627776] has more elements than memory can hold";
        Tensor64::zeros([1 << 59]), Tensor64::try_zeros([1 << 59])
            => "the tape: a block of 576460752303423488 elements is larger than memory";
        Tensor64::zeros([1 << 50]), Tensor64::try_zeros([1 << 50])
            => "the tape: 9007199254741120 bytes more could not be allocated; wrap the step in `scope`";
        Tensor::full([1; 9], 0.0), Tensor::try_full([1; 9], 0.0)
            => "full: shape [1, 1, 1, 1, 1, 1, 1, 1, 1] has 9 dimensions; at most 8 fit";
        Tensor::from_slice(&[1.0; 5], [2, 3]), Tensor::try_from_slice(&[1.0; 5], [2, 3])
            => "from_slice: 5 elements do not fill shape [2, 3], which has 6";
        Tensor::new([[[[[[[[[0.0]]]]]]]]]), Tensor::try_new([[[[[[[[[0.0]]]]]]]]])
            => "new: shape [1, 1, 1, 1, 1, 1, 1, 1, 1] has 9 dimensions; at most 8 fit";
    });
}

#[test]
fn indices_and_values() {
    check(rows! { f;
        f.a.select(0, 2), f.a.try_select(0, 2)
            => "select: index 2 is out of range for dimension 0 of shape [2, 3]";
        f.a.select(1, -4), f.a.try_select(1, -4)
            => "select: index -4 is out of range for dimension 1 of shape [2, 3]";
        f.a.narrow(1, 2, 2), f.a.try_narrow(1, 2, 2)
            => "narrow: 2 elements from 2 on are out of range for dimension 1 of shape [2, 3]";
        f.a.narrow(1, 1, usize::MAX), f.a.try_narrow(1, 1, usize::MAX)
            => "narrow: 18446744073709551615 elements from 1 on are out of range for dimension 1 of shape [2, 3]";
        f.a.slice(0, 0, 2, 0), f.a.try_slice(0, 0, 2, 0)
            => "slice: the step must be at least 1";
        f.mask.where_::<f32, _, _>(1.0, 0.0), f.mask.try_where_::<f32, _, _>(1.0, 0.0)
            => "where_: one of the two choices must be a tensor, which tells the element type";
        Tensor::arange(0.0, 1.0, 0.0), Tensor::try_arange(0.0, 1.0, 0.0)
            => "arange: 1 can't be reached from 0 in steps of 0";
        Tensor::arange(0.0, 1.0, -1.0), Tensor::try_arange(0.0, 1.0, -1.0)
            => "arange: 1 can't be reached from 0 in steps of -1";
        Tensor::arange(0.0, f64::NAN, 1.0), Tensor::try_arange(0.0, f64::NAN, 1.0)
            => "arange: NaN can't be reached from 0 in steps of 1";
        Tensor::arange(0.0, f64::INFINITY, 1.0), Tensor::try_arange(0.0, f64::INFINITY, 1.0)
            => "arange: inf can't be reached from 0 in steps of 1";
        Tensor::arange(0.0, 1e300, 1.0), Tensor::try_arange(0.0, 1e300, 1.0)
            => "arange: shape [18446744073709551615] has more elements than memory can hold";
        IndexTensor::arange(0, 5, 0), IndexTensor::try_arange(0, 5, 0)
            => "arange: 5 can't be reached from 0 in steps of 0";
        IndexTensor::arange(0, 5, -1), IndexTensor::try_arange(0, 5, -1)
            => "arange: 5 can't be reached from 0 in steps of -1";
        IndexTensor::randint(3, 3, [2]), IndexTensor::try_randint(3, 3, [2])
            => "randint: no integer lies from 3 up to but not including 3";
        Tensor::bernoulli(f.v), Tensor::try_bernoulli(f.v)
            => "bernoulli: 1.5 is no probability; expected 0 to 1";
        Tensor::bernoulli(f.nan), Tensor::try_bernoulli(f.nan)
            => "bernoulli: NaN is no probability; expected 0 to 1";
        f.nan.to_index(), f.nan.try_to_index()
            => "to_index: NaN is no index";
        f.large.to_index(), f.large.try_to_index()
            => "to_index: 9.223372e18 is no index";
    });
}

#[test]
fn derivatives() {
    check(rows! { f;
        f.y.backward(), f.y.try_backward()
            => "backward: grad can be implicitly created only for scalar outputs, and this one has shape [3]; reduce it, or give a seed of its shape with `backward_with`";
        f.a.backward(), f.a.try_backward()
            => "backward: the tensor of shape [2, 3] does not require a gradient and has no grad_fn; call `requires_grad_(true)` on a leaf before computing it, outside of `no_grad`";
        f.s.backward(), f.s.try_backward()
            => "backward: the tensor of shape [] does not require a gradient and has no grad_fn; call `requires_grad_(true)` on a leaf before computing it, outside of `no_grad`";
        f.y.backward_create_graph(), f.y.try_backward_create_graph()
            => "backward: grad can be implicitly created only for scalar outputs, and this one has shape [3]; reduce it, or give a seed of its shape with `backward_with`";
        f.y.backward_with(f.pair), f.y.try_backward_with(f.pair)
            => "backward: the seed has shape [2], but the tensor [3]; they must be equal";
        f.a.backward_with(f.a), f.a.try_backward_with(f.a)
            => "backward: the tensor of shape [2, 3] does not require a gradient and has no grad_fn; call `requires_grad_(true)` on a leaf before computing it, outside of `no_grad`";
        f.y.requires_grad_(false), f.y.try_requires_grad_(false)
            => "requires_grad_: you can only change requires_grad flags of leaf tensors, and this one was computed by `mul`; use `detach()`";
        f.a.retain_grad(), f.a.try_retain_grad()
            => "retain_grad: can't retain the gradient of a tensor that does not require one; call `requires_grad_(true)` on the leaves before computing it";
        grad(f.y, &[f.w]), grad_with(f.y, &[f.w], None, GradOptions::default())
            => "grad: grad can be implicitly created only for scalar outputs, and this one has shape [3]; reduce it, or give a seed of its shape with `grad_with`";
        grad(f.total, &[f.a]), grad_with(f.total, &[f.a], None, GradOptions::default())
            => "grad: input 0 of shape [2, 3] does not require a gradient; call `requires_grad_(true)` on it first";
        grad(f.total, &[f.w, f.other]), grad_with(f.total, &[f.w, f.other], None, GradOptions::default())
            => "grad: the output does not depend on input 1 of shape [2]; set `allow_unused` to get `None` for it";
        grad(f.a, &[f.w]), grad_with(f.a, &[f.w], None, GradOptions::default())
            => "grad: the tensor of shape [2, 3] does not require a gradient and has no grad_fn; call `requires_grad_(true)` on a leaf before computing it, outside of `no_grad`";
        f.spoilt.backward(), f.spoilt.try_backward()
            => "backward: `mul` needs the value of a tensor of shape [3] that was overwritten in place after it was used; write to a copy, or use the out-of-place form";
        grad(f.spoilt, &[f.w]), grad_with(f.spoilt, &[f.w], None, GradOptions::default())
            => "backward: `mul` needs the value of a tensor of shape [3] that was overwritten in place after it was used; write to a copy, or use the out-of-place form";
        f.spoilt.backward_create_graph(), f.spoilt.try_backward_create_graph()
            => "backward: `mul` needs the value of a tensor of shape [3] that was overwritten in place after it was used; write to a copy, or use the out-of-place form";
    });
}

#[test]
fn in_place() {
    check(rows! { f;
        f.w.add_(1.0), f.w.try_add_(1.0)
            => "add_: the tensor of shape [3] is a leaf that requires a gradient; change it in place inside of `no_grad`";
        f.w.zero_(), f.w.try_zero_()
            => "zero_: the tensor of shape [3] is a leaf that requires a gradient; change it in place inside of `no_grad`";
        f.w.fill_(1.0), f.w.try_fill_(1.0)
            => "fill_: the tensor of shape [3] is a leaf that requires a gradient; change it in place inside of `no_grad`";
        f.w.copy_(f.v), f.w.try_copy_(f.v)
            => "copy_: the tensor of shape [3] is a leaf that requires a gradient; change it in place inside of `no_grad`";
        f.w.exp_(), f.w.try_exp_()
            => "exp_: the tensor of shape [3] is a leaf that requires a gradient; change it in place inside of `no_grad`";
        f.part.mul_(2.0), f.part.try_mul_(2.0)
            => "mul_: the tensor of shape [2] is a view of a leaf that requires a gradient; change it in place inside of `no_grad`";
        f.wide.add_(1.0), f.wide.try_add_(1.0)
            => "add_: several elements of the written-to tensor of shape [3] refer to one place in memory; call `contiguous()` before writing";
        f.v.add_(f.a), f.v.try_add_(f.a)
            => "add_: the result of shape [2, 3] does not fit into the tensor of shape [3] that it is written to; use the out-of-place form";
        f.v.copy_(f.pair), f.v.try_copy_(f.pair)
            => "copy_: shapes [3] and [2] do not broadcast: 3 is not 2 in dimension 0; lengths must be equal or 1, counted from the last dimension";
        scope(|| f.v.add_(f.w)), scope(|| f.v.try_add_(f.w))
            => "add_: a tensor of an outer scope is being given a history that ends with this scope; write `detach()`ed values, do it inside of `no_grad`, or in the scope that made the tensor";
        no_grad(|| f.w.sub_(f.pair)), no_grad(|| f.w.try_sub_(f.pair))
            => "sub: shapes [3] and [2] do not broadcast: 3 is not 2 in dimension 0; lengths must be equal or 1, counted from the last dimension";
    });
}
