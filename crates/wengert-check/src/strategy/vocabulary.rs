//! The operations that random programs are made of: one row each, whose text is both what runs and what is printed.
//!
//! ```text
//! "ln" (a in 0.2..4.0) => a.ln();                             the table's name, operands with the interval they must lie in, the call
//! "sum" (a; i < rank(a)) => a.sum_dims(i, false);             a number `i` from 0, below what comes behind
//! "dot" (a: [4], b: [4]) => a.dot(b);                         operands of a fixed shape
//! "cat" (a, b; i < rank(a)) if alike(a, b) => cat(&[a, b], i);        what must hold besides
//! ```

use std::ops::Range;

use wengert::options::{BatchNorm, Conv2d, LayerNorm};
use wengert::{IndexTensor, PadMode, Shape, Tensor64, cat, stack};

type T = Tensor64;

/// One operation.
pub(crate) struct Row {
    /// Its name in the engine's table.
    pub op: &'static str,
    /// The call, with the operands' names.
    pub source: &'static str,
    pub operands: &'static [Operand],
    /// The names of its numbers.
    pub numbers: &'static [&'static str],
    /// Below what each number must be; they begin at 0.
    pub bounds: fn(&[T]) -> Vec<isize>,
    pub fits: fn(&[T], &[isize]) -> bool,
    pub run: fn(&[T], &[isize]) -> T,
}

/// What an operation asks of an operand.
pub(crate) struct Operand {
    pub name: &'static str,
    pub shape: Option<&'static [usize]>,
    pub on: Option<Range<f64>>,
}

/// Stamps [`ROWS`]; the module's documentation shows the forms.
macro_rules! vocabulary {
    (@option) => { None };
    (@option $($value:tt)+) => { Some($($value)+) };
    (@guard) => { true };
    (@guard $guard:expr) => { $guard };
    ($(
        $op:literal ($($a:ident $(: $shape:tt)? $(in $on:expr)?),+ $(; $($i:ident < $bound:expr),+)?) $(if $guard:expr)? => $run:expr;
    )+) => {
        /// All operations.
        pub(crate) static ROWS: &[Row] = &[$(Row {
            op: $op,
            source: stringify!($run),
            operands: &[$(Operand {
                name: stringify!($a),
                shape: vocabulary!(@option $(&$shape)?),
                on: vocabulary!(@option $($on)?),
            }),+],
            numbers: &[$($(stringify!($i)),+)?],
            bounds: |x| {
                let &[$($a),+] = x else { unreachable!("as many operands as the row names") };
                let _ = ($($a),+);
                vec![$($($bound),+)?]
            },
            fits: |x, n| {
                let (&[$($a),+], &[$($($i),+)?]) = (x, n) else { return false };
                let _ = ($($a),+, $($($i),+)?);
                vocabulary!(@guard $($guard)?)
            },
            run: |x, n| {
                let (&[$($a),+], &[$($($i),+)?]) = (x, n) else { unreachable!("`fits` was asked before") };
                $run
            },
        }),+];
    };
}

fn rank(x: T) -> isize {
    x.dim() as isize
}

/// The rank of `x`, if one more dimension keeps it small.
fn more(x: T) -> isize {
    if x.dim() < 4 { rank(x) + 1 } else { 0 }
}

/// Whether the shapes broadcast, to few elements or to the shape of one of them.
fn fit(x: &[T]) -> bool {
    let shapes: Vec<Shape> = x.iter().map(|x| x.shape()).collect();
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut numel = 1;
    for d in 1..=rank {
        let lengths = shapes.iter().filter_map(|shape| shape.len().checked_sub(d).map(|k| shape[k]));
        let mut others = lengths.filter(|&length| length != 1);
        let length = others.next().unwrap_or(1);
        if !others.all(|other| other == length) {
            return false;
        }
        numel *= length;
    }
    numel <= 64 || numel <= 10_000 && x.iter().any(|x| x.numel() == numel)
}

/// Whether `b` broadcasts to the shape of `a`.
fn spreads(a: T, b: T) -> bool {
    fit(&[a, b]) && b.dim() <= a.dim() && {
        let (a, b) = (a.shape(), b.shape());
        b.iter().rev().zip(a.iter().rev()).all(|(b, a)| *b == 1 || b == a)
    }
}

fn alike(a: T, b: T) -> bool {
    a.shape() == b.shape()
}

/// Whether the elements along `dim` are several and differ enough for what divides by their spread.
fn varies(x: T, dim: isize) -> bool {
    x.size(dim) > 1 && x.var_dims(dim, 1, false).min().item() > 0.05
}

/// What `grad_fn` of views begins with.
const VIEWS: [&str; 13] = [
    "Alias",
    "Diagonal",
    "Expand",
    "Movedim",
    "Permute",
    "Select",
    "Slice",
    "Squeeze",
    "TBackward",
    "Transpose",
    "UnsafeView",
    "Unsqueeze",
    "View",
];

/// Whether `x` was computed to memory of its own, so that it may be written to.
fn is_own(x: T) -> bool {
    x.grad_fn().is_some_and(|name| !VIEWS.iter().any(|view| name.starts_with(view))) && x.is_contiguous()
}

vocabulary! {
    "add" (a, b) if fit(&[a, b]) => a + b;
    "sub" (a, b) if fit(&[a, b]) => a - b;
    "mul" (a, b) if fit(&[a, b]) => a * b;
    "mul" (a) => a * 0.75;
    "div" (a, b in 0.4..3.0) if fit(&[a, b]) => a / b;
    "pow" (a in 0.3..3.0, b in -2.0..2.0) if fit(&[a, b]) => a.pow(b);
    "pow" (a) => a.powi(3);
    "atan2" (a, b in 0.3..3.0) if fit(&[a, b]) => a.atan2(b);
    "hypot" (a in 0.3..3.0, b) if fit(&[a, b]) => a.hypot(b);
    "xlogy" (a, b in 0.3..3.0) if fit(&[a, b]) => a.xlogy(b);
    "minimum" (a, b) if fit(&[a, b]) => a.minimum(b);
    "maximum" (a, b) if fit(&[a, b]) => a.maximum(b);
    "fmin" (a, b) if fit(&[a, b]) => a.fmin(b);
    "fmax" (a, b) if fit(&[a, b]) => a.fmax(b);
    "copysign" (a in 0.2..3.0, b in 0.2..3.0) if fit(&[a, b]) => a.copysign(b);
    "fmod" (a, b in 0.4..3.0) if fit(&[a, b]) => a.fmod(b);
    "remainder" (a, b in 0.4..3.0) if fit(&[a, b]) => a.remainder(b);
    "lerp" (a, b, c) if fit(&[a, b, c]) => a.lerp(b, c);
    "where_" (a, b, c) if fit(&[a, b, c]) => a.gt(0.5).where_(b, c);
    "clamp" (a) => a.clamp(-1.0, 1.0);
    "clamp" (a, b) if fit(&[a, b]) => a.clamp(b, b + 1.0);
    "clamp_min" (a) => a.clamp_min(0.25);
    "clamp_min" (a, b) if fit(&[a, b]) => a.clamp_min(b);
    "clamp_max" (a) => a.clamp_max(0.25);
    "clamp_max" (a, b) if fit(&[a, b]) => a.clamp_max(b);
    "hardtanh" (a) => a.hardtanh(-1.0, 1.0);
    "softplus" (a) => a.softplus();
    "leaky_relu" (a) => a.leaky_relu(0.1);
    "elu" (a) => a.elu(1.0);
    "neg" (a) => -a;
    "abs" (a) => a.abs();
    "sign" (a) => a.sign();
    "floor" (a) => a.floor();
    "ceil" (a) => a.ceil();
    "round" (a) => a.round();
    "trunc" (a) => a.trunc();
    "square" (a) => a.square();
    "sqrt" (a in 0.2..4.0) => a.sqrt();
    "cbrt" (a in 0.2..4.0) => a.cbrt();
    "rsqrt" (a in 0.3..4.0) => a.rsqrt();
    "reciprocal" (a in 0.4..3.0) => a.reciprocal();
    "exp" (a in -3.0..3.0) => a.exp();
    "exp2" (a in -3.0..3.0) => a.exp2();
    "expm1" (a in -3.0..3.0) => a.expm1();
    "ln" (a in 0.2..4.0) => a.ln();
    "log2" (a in 0.2..4.0) => a.log2();
    "log10" (a in 0.2..4.0) => a.log10();
    "log1p" (a in -0.5..3.0) => a.log1p();
    "sin" (a) => a.sin();
    "cos" (a) => a.cos();
    "tan" (a in -1.2..1.2) => a.tan();
    "asin" (a in -0.9..0.9) => a.asin();
    "acos" (a in -0.9..0.9) => a.acos();
    "atan" (a) => a.atan();
    "sinh" (a in -3.0..3.0) => a.sinh();
    "cosh" (a in -3.0..3.0) => a.cosh();
    "tanh" (a) => a.tanh();
    "asinh" (a) => a.asinh();
    "acosh" (a in 1.2..4.0) => a.acosh();
    "atanh" (a in -0.9..0.9) => a.atanh();
    "sigmoid" (a) => a.sigmoid();
    "log_sigmoid" (a) => a.log_sigmoid();
    "relu" (a) => a.relu();
    "selu" (a) => a.selu();
    "silu" (a) => a.silu();
    "mish" (a) => a.mish();
    "gelu" (a) => a.gelu();
    "gelu_tanh" (a) => a.gelu_tanh();
    "erf" (a) => a.erf();
    "erfc" (a) => a.erfc();

    "gather" (a: [3, 2]) => a.index_select(0, IndexTensor::new([2, 0, 2]));
    "gather" (a; i < rank(a)) => a.sort(i, false).0;
    "gather" (a; i < rank(a)) => a.max_dim(i, false).0;
    "scatter" (a: [2, 3], b: [2, 3]) => a.scatter(1, IndexTensor::new([[0, 0, 2], [1, 1, 1]]), b);
    "scatter_add" (a: [2, 3], b: [2, 3]) => a.scatter_add(1, IndexTensor::new([[0, 0, 2], [1, 1, 1]]), b);
    "masked_fill" (a) => a.masked_fill(a.gt(0.5), 0.5);
    "copy_" (a, b) if is_own(a) && spreads(a, b) => a.add_(b);
    "copy_" (a, b) if is_own(a) && spreads(a, b) => a.mul_(b);
    "copy_" (a) if is_own(a) => a.sigmoid_();
    "copy_" (a, b) if spreads(a, b) => { let y = a.copy(); y.copy_(b.expand(a.shape())); y };
    "copy_" (a; i < rank(a)) => { let y = a.copy(); y.select(i, 0).mul_(2.0); y };
    "copy_" (a, b; i < rank(a)) if alike(a, b) => { let y = a.copy(); y.select(i, 0).copy_(b.select(i, -1)); y };
    "copy_" (a) => { let y = a.copy(); let flat = y.flatten(0, -1); y.tanh_(); flat };
    "cat" (a, b; i < rank(a)) if alike(a, b) => cat(&[a, b, a], i);
    "cat" (a, b; i < more(a)) if alike(a, b) => stack(&[a, b], i);
    "diag" (a: [3]) => a.diag(1);
    "diagonal" (a: [2, 3]) => a.diagonal(0, 0, 1);
    "pad" (a: [2, 3]) => a.pad([1, 1], PadMode::Reflect);
    "pad" (a; i < rank(a)) => a.roll(1, i);
    "pad" (a; i < rank(a)) => a.flip(i);
    "pad" (a: [2]) => a.repeat([2, 2]);
    "tril" (a: [2, 3]) => a.tril(0);
    "tril" (a: [3, 3]) => a.triu(1);
    "contiguous" (a) => a.copy();
    "reshape" (a) => a.flatten(0, -1);
    "reshape" (a; i < more(a)) => a.unsqueeze(i);
    "reshape" (a) => a.squeeze();
    "permute" (a; i < rank(a), j < rank(a)) => a.transpose(i, j);
    "permute" (a; i < rank(a)) => a.movedim(0, i);
    "expand" (a, b) if spreads(a, b) => b.expand(a.shape());
    "slice" (a; i < rank(a)) => a.select(i, -1);
    "slice" (a; i < rank(a)) => a.slice(i, 0, 9, 2);
    "slice" (a; i < rank(a)) if a.size(i) > 1 => a.slice(i, 1, 9, 1);
    "cumprod" (a; i < rank(a)) => a.cumprod(i);
    "cumsum" (a; i < rank(a)) => a.cumsum(i);
    "amax" (a) => a.max();
    "amax" (a; i < rank(a)) => a.amax(i, false);
    "amax" (a; i < rank(a)) => a.amin(i, true);
    "logsumexp" (a; i < rank(a)) => a.logsumexp(i, false);
    "mean" (a) => a.mean();
    "mean" (a; i < rank(a)) => a.mean_dims(i, true);
    "norm" (a in 0.2..3.0; i < rank(a)) => a.norm_dims(3.0, i, false);
    "norm" (a in 0.2..3.0) => a.norm();
    "prod" (a) => a.prod();
    "prod" (a; i < rank(a)) => a.prod_dims(i, true);
    "std" (a; i < rank(a)) if varies(a, i) => a.std_dims(i, 1, false);
    "sum" (a) => a.sum();
    "sum" (a; i < rank(a)) => a.sum_dims(i, false);
    "var" (a; i < rank(a)) if a.size(i) > 1 => a.var_dims(i, 1, true);
    "dot" (a: [4], b: [4]) => a.dot(b);
    "linear" (a: [2, 3], b: [2, 3], c: [2]) => a.linear(b, c);
    "matmul" (a: [2, 3], b: [3, 2]) => a.matmul(b);
    "matmul" (a: [2, 1, 2], b: [2, 3]) => a.matmul(b);
    "matmul" (a) if a.dim() == 2 && a.size(0) <= 200 => a.matmul(a.t());
    "avg_pool2d" (a: [1, 1, 4, 4]) => a.avg_pool2d(2);
    "conv2d" (a: [1, 2, 3, 3], b: [2, 2, 2, 2]) => a.conv2d(b, Conv2d::default());
    "cross_entropy" (a: [2, 3]) => a.cross_entropy(IndexTensor::new([0, 2]));
    "log_softmax" (a; i < rank(a)) => a.log_softmax(i);
    "max_pool2d" (a: [1, 1, 4, 4]) => a.max_pool2d(2);
    "nll_loss" (a: [2, 3]) => a.log_softmax(1).nll_loss(IndexTensor::new([2, 1]));
    "batch_norm" (a: [3, 2]) if varies(a, 0) => a.batch_norm(BatchNorm { training: true, ..BatchNorm::default() });
    "layer_norm" (a: [2, 3]) if varies(a, 1) => a.layer_norm([3], LayerNorm::default());
    "loss" (a, b) if alike(a, b) => a.mse_loss(b);
    "loss" (a, b) if alike(a, b) => a.smooth_l1_loss(b);
    "softmax" (a; i < rank(a)) => a.softmax(i);
}

impl Row {
    /// Whether it writes to its first operand.
    pub fn writes(&self) -> bool {
        ["a.add_(", "a.mul_(", "a.sigmoid_("].iter().any(|call| self.source.starts_with(call))
    }

    /// The call with these names of operands and numbers.
    pub fn text(&self, operands: &[String], numbers: &[isize]) -> String {
        let name = |word: &str| {
            let operand = self.operands.iter().position(|operand| operand.name == word).map(|k| operands[k].clone());
            operand.or_else(|| self.numbers.iter().position(|number| *number == word).map(|k| numbers[k].to_string()))
        };
        let mut text = String::new();
        let mut rest = self.source;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = match is_word(first) {
                true => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                false => first.len_utf8(),
            };
            let (word, behind) = rest.split_at(length);
            text += &name(word).unwrap_or_else(|| word.into());
            rest = behind;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Operations of the engine's table that no program calls, and why.
    const LEFT_OUT: &[(&str, &str)] = &[
        ("signum", "a number's, as `sign` but for 0"),
        ("round_half_away", "a number's, as `round` but for halves"),
        ("cast", "to the same type it gives its operand, and differences see the rounding to another one"),
        ("as_strided", "a rule of movement operations"),
        ("from_strided", "the derivative of `as_strided`"),
        ("recurrence", "the derivative of `cumprod`"),
        ("shift", "the derivative of `cumprod`"),
        ("pad_backward", "a derivative"),
        ("avg_pool2d_backward", "a derivative"),
        ("conv2d_input", "a derivative"),
        ("conv2d_weight", "a derivative"),
        ("cross_entropy_backward", "a derivative"),
        ("log_softmax_backward", "a derivative"),
        ("max_pool2d_backward", "a derivative"),
        ("nll_loss_backward", "a derivative"),
        ("softmax_backward", "a derivative"),
    ];

    #[test]
    fn every_operation_of_the_table_is_in_programs_or_left_out_by_name() {
        let table: BTreeSet<&str> = wengert::table::samples().iter().map(|sample| sample.op).collect();
        let rows = ROWS.iter().map(|row| row.op).chain(LEFT_OUT.iter().map(|(op, _)| *op));
        let named: BTreeSet<&str> = rows.collect();
        let missing: Vec<_> = table.symmetric_difference(&named).collect();
        assert!(missing.is_empty(), "in one of table and vocabulary: {missing:?}");
        assert!(LEFT_OUT.iter().all(|(op, _)| ROWS.iter().all(|row| row.op != *op)));
    }

    #[test]
    fn a_rows_text_has_the_names_of_its_operands() {
        let row = ROWS.iter().find(|row| row.source.contains("b.select")).unwrap();
        let text = row.text(&["v1".into(), "x0".into()], &[2]);
        assert_eq!(text, "{ let y = v1.copy(); y.select(2, 0).copy_(x0.select(2, -1)); y }");
    }
}
