//! Elementwise operations, in place too, comparisons, reductions, movement and products.

use wengert::{Operand, Result, TensorBase, try_cat, try_einsum, try_stack};

use super::{Float, Values};
use crate::bytes::{Bytes, pad_mode};

type Unary<E> = fn(TensorBase<E>) -> Result<TensorBase<E>>;
type Binary<E> = fn(TensorBase<E>, Operand<E>) -> Result<TensorBase<E>>;

/// `methods!(Tensor: a b c)`: the `try_` methods of these names, as functions.
macro_rules! methods {
    ($($name:ident)+) => { [$(TensorBase::<E>::$name),+] };
}

fn unary<E: Float>() -> [Unary<E>; 52] {
    methods! {
        try_neg try_abs try_sign try_floor try_ceil try_round try_trunc try_square try_sqrt try_cbrt try_rsqrt try_reciprocal try_exp
        try_exp2 try_expm1 try_ln try_log try_log2 try_log10 try_log1p try_sin try_cos try_tan try_asin try_acos try_atan try_sinh try_cosh
        try_tanh try_asinh try_acosh try_atanh try_sigmoid try_log_sigmoid try_relu try_selu try_silu try_mish try_gelu try_gelu_tanh
        try_erf try_erfc try_softplus try_neg_ try_abs_ try_exp_ try_sqrt_ try_relu_ try_sigmoid_ try_tanh_ try_zero_ try_copy
    }
}

fn binary<E: Float>() -> [Binary<E>; 22] {
    methods! {
        try_add try_sub try_mul try_div try_pow try_atan2 try_hypot try_xlogy try_minimum try_maximum try_fmin try_fmax try_copysign
        try_fmod try_remainder try_add_ try_sub_ try_mul_ try_div_ try_pow_ try_clamp_min try_clamp_max
    }
}

/// A tensor or a number.
fn operand<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) -> Operand<E> {
    if bytes.byte() < 64 { Operand::Number(bytes.number()) } else { Operand::Tensor(values.float(bytes)) }
}

pub fn elementwise<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) {
    let x: TensorBase<E> = values.float(bytes);
    let y = match bytes.below(10) {
        0..=3 => bytes.pick(&unary())(x),
        4..=6 => bytes.pick(&binary())(x, operand(bytes, values)),
        7 => match bytes.below(10) {
            0 => x.try_lerp(values.float(bytes), operand::<E>(bytes, values)),
            1 => x.try_clamp(operand::<E>(bytes, values), operand::<E>(bytes, values)),
            2 => x.try_hardtanh(bytes.number(), bytes.number()),
            3 => x.try_softplus_with(bytes.number(), bytes.number()),
            4 => x.try_leaky_relu(bytes.number()),
            5 => x.try_elu(bytes.number()),
            6 => x.try_powi(bytes.dim() as i32),
            7 => x.try_copy_(values.float(bytes)),
            8 => x.try_fill_(E::of(bytes.number())),
            _ => x.try_clamp_(bytes.number(), bytes.number()),
        },
        8 => values.mask(bytes).try_where_(operand::<E>(bytes, values), operand::<E>(bytes, values)),
        _ => return compare(x, bytes, values),
    };
    values.keep(y);
}

fn compare<E: Float>(x: TensorBase<E>, bytes: &mut Bytes<'_>, values: &mut Values) {
    let y: Operand<E> = operand(bytes, values);
    let mask = match bytes.below(14) {
        0 => x.try_eq(y),
        1 => x.try_ne(y),
        2 => x.try_lt(y),
        3 => x.try_le(y),
        4 => x.try_gt(y),
        5 => x.try_ge(y),
        6 => x.try_is_nan(),
        7 => x.try_is_finite(),
        8 => values.index(bytes).try_equal(values.index(bytes)),
        9 => values.mask(bytes).try_logical_and(values.mask(bytes)),
        10 => values.mask(bytes).try_logical_or(values.mask(bytes)),
        11 => values.mask(bytes).try_logical_xor(values.mask(bytes)),
        12 => values.mask(bytes).try_logical_not(),
        _ => values.mask(bytes).try_any_dims(&bytes.dims()[..], bytes.flag()),
    };
    values.keep_mask(mask);
}

pub fn reduce<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) {
    let x: TensorBase<E> = values.float(bytes);
    let y = match bytes.below(28) {
        0 => x.try_sum(),
        1 => x.try_sum_dims(&bytes.dims()[..], bytes.flag()),
        2 => x.try_sum_to(&bytes.small_shape()),
        3 => x.try_mean(),
        4 => x.try_mean_dims(&bytes.dims()[..], bytes.flag()),
        5 => x.try_prod(),
        6 => x.try_prod_dims(&bytes.dims()[..], bytes.flag()),
        7 => x.try_var(),
        8 => x.try_var_dims(&bytes.dims()[..], bytes.length(), bytes.flag()),
        9 => x.try_std(),
        10 => x.try_std_dims(&bytes.dims()[..], bytes.length(), bytes.flag()),
        11 => x.try_max(),
        12 => x.try_min(),
        13 => x.try_amax(&bytes.dims()[..], bytes.flag()),
        14 => x.try_amin(&bytes.dims()[..], bytes.flag()),
        15 => x.try_cumsum(bytes.dim()),
        16 => x.try_cumprod(bytes.dim()),
        17 => x.try_norm(),
        18 => x.try_norm_dims(bytes.number(), &bytes.dims()[..], bytes.flag()),
        19 => x.try_logsumexp(&bytes.dims()[..], bytes.flag()),
        20 => x.try_softmax(bytes.dim()),
        21 => x.try_log_softmax(bytes.dim()),
        22 => return values.keep_index(x.try_count_nonzero_dims(&bytes.dims()[..], bytes.flag())),
        23 => return values.keep_index(x.try_argmax_dim(bytes.dim(), bytes.flag())),
        24 => return values.keep_index(x.try_argmin()),
        25 => return values.keep_index(values.mask(bytes).try_sum_dims(&bytes.dims()[..], bytes.flag())),
        26 => return values.keep_mask(x.try_all_dims(&bytes.dims()[..], bytes.flag())),
        _ => return extremes(x, bytes, values),
    };
    values.keep(y);
}

fn extremes<E: Float>(x: TensorBase<E>, bytes: &mut Bytes<'_>, values: &mut Values) {
    let (dim, flag) = (bytes.dim(), bytes.flag());
    let pair = match bytes.below(4) {
        0 => x.try_max_dim(dim, flag),
        1 => x.try_min_dim(dim, flag),
        2 => x.try_sort(dim, flag),
        _ => x.try_topk(bytes.length(), dim, flag),
    };
    match pair {
        Ok((y, index)) => {
            values.keep(Ok(y));
            values.keep_index(Ok(index));
        }
        Err(error) => values.note(Err(error)),
    }
}

pub fn movement<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) {
    let x: TensorBase<E> = values.float(bytes);
    let y = match bytes.below(32) {
        0 => x.try_permute(bytes.dims()),
        1 => x.try_movedim(&bytes.dims()[..], &bytes.dims()[..]),
        2 => x.try_transpose(bytes.dim(), bytes.dim()),
        3 => x.try_t(),
        4 => x.try_diagonal(bytes.dim(), bytes.dim(), bytes.dim()),
        5 => x.try_diag(bytes.dim()),
        6 => x.try_slice(bytes.dim(), bytes.dim(), bytes.dim(), bytes.length()),
        7 => x.try_narrow(bytes.dim(), bytes.length(), bytes.length()),
        8 => x.try_select(bytes.dim(), bytes.dim()),
        9 => return values.keep_all(x.try_split(bytes.length(), bytes.dim())),
        10 => return values.keep_all(x.try_split(&bytes.shape()[..], bytes.dim())),
        11 => return values.keep_all(x.try_chunk(bytes.length(), bytes.dim())),
        12 => return values.keep_all(x.try_unbind(bytes.dim())),
        13 => x.try_reshape(&bytes.shape()),
        14 => x.try_flatten(bytes.dim(), bytes.dim()),
        15 => x.try_unflatten(bytes.dim(), &bytes.shape()),
        16 => x.try_squeeze(),
        17 => x.try_squeeze_dims(&bytes.dims()[..]),
        18 => x.try_unsqueeze(bytes.dim()),
        19 => x.try_expand(&bytes.shape()),
        20 => x.try_broadcast_to(&bytes.shape()),
        21 => x.try_contiguous(),
        22 => x.try_tril(bytes.dim()),
        23 => x.try_triu(bytes.dim()),
        24 => x.try_pad(&bytes.dims()[..], pad_mode(bytes)),
        25 => x.try_repeat(&bytes.shape()),
        26 => x.try_flip(&bytes.dims()[..]),
        27 => x.try_roll(&bytes.dims()[..], &bytes.dims()[..]),
        28 => try_cat(&bytes.list(3, |bytes| values.float::<E>(bytes)), bytes.dim()),
        29 => try_stack(&bytes.list(3, |bytes| values.float::<E>(bytes)), bytes.dim()),
        30 => x.try_detach(),
        _ => return cast(x, bytes, values),
    };
    values.keep(y);
}

fn cast<E: Float>(x: TensorBase<E>, bytes: &mut Bytes<'_>, values: &mut Values) {
    match bytes.below(5) {
        0 => values.keep(x.try_cast::<f32>()),
        1 => values.keep(x.try_cast::<f64>()),
        2 => values.keep_index(x.try_to_index()),
        3 => values.keep::<E>(values.mask(bytes).try_to_float()),
        _ => values.keep::<E>(values.index(bytes).try_to_float()),
    }
}

const EQUATIONS: [&str; 8] =
    ["ij,jk->ik", "ij,ij->", "ii->i", "i,j->ij", "...i,...i->...", "ij->ji", "bij,bjk->bik", "ij,j"];

pub fn products<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) {
    let (x, y): (TensorBase<E>, TensorBase<E>) = (values.float(bytes), values.float(bytes));
    let z = match bytes.below(8) {
        0 => x.try_matmul(y),
        1 => x.try_bmm(y),
        2 => x.try_dot(y),
        3 => x.try_outer(y),
        4 => x.try_linear(y, bytes.flag().then(|| values.float(bytes))),
        5 => try_einsum(bytes.pick(&EQUATIONS), &[x, y]),
        6 => try_einsum(bytes.pick(&EQUATIONS), &[x]),
        _ => x.try_mul(y),
    };
    values.keep(z);
}
