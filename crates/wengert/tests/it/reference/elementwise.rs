//! Elementwise operations and comparisons.

use wengert::{BoolTensor, Operand, TensorBase};

use super::{Call, Number, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &[];

/// Calls methods that take nothing.
macro_rules! plain {
    ($c:ident: $($name:ident)+) => {
        match $c.op {
            $(stringify!($name) => Some($c.x().$name()),)+
            _ => None,
        }
    };
}

/// Calls methods that give masks.
macro_rules! masks {
    ($c:ident: $($name:ident)+) => {
        match $c.op {
            $(stringify!($name) => Some($c.x().$name($c.operand("other"))),)+
            "is_nan" => Some($c.x().is_nan()),
            "is_finite" => Some($c.x().is_finite()),
            _ => None,
        }
    };
}

pub fn call<E: Number>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    if let Some(mask) = logical(c).or_else(|| masks!(c: eq ne lt le gt ge)) {
        return Some(vec![Value::Mask(mask)]);
    }
    let float = with_keywords(c).or_else(|| binary(c)).or_else(|| {
        plain!(c: neg reciprocal sqrt rsqrt exp exp2 expm1 ln log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh
            acosh atanh sigmoid log_sigmoid relu selu silu mish erf erfc abs sign floor ceil round trunc square)
    });
    Some(vec![Value::Float(float?)])
}

/// Operations of one or three operands with keyword arguments.
fn with_keywords<E: Number>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    Some(match c.op {
        "softplus" if c.has("beta") => c.x().softplus_with(c.float("beta")?, c.float("threshold")?),
        "softplus" => c.x().softplus(),
        "leaky_relu" => c.x().leaky_relu(c.float("negative_slope").unwrap_or(0.01)),
        "elu" => c.x().elu(c.float("alpha").unwrap_or(1.0)),
        "gelu" if c.text("approximate") == Some("tanh") => c.x().gelu_tanh(),
        "gelu" => c.x().gelu(),
        "hardtanh" => c.x().hardtanh(c.float("min_val").unwrap_or(-1.0), c.float("max_val").unwrap_or(1.0)),
        // PyTorch has one name for both numbers, whichever are given.
        "clamp" if c.has("min") || c.has("max") => {
            c.x().clamp(c.float("min").unwrap_or(f64::NEG_INFINITY), c.float("max").unwrap_or(f64::INFINITY))
        }
        "clamp" | "clamp_min" | "clamp_max" => return clamped(c),
        "powi" => c.x().powi(c.int("exponent")? as i32),
        "lerp" => c.x().lerp(c.tensor("end")?, c.operand("weight")),
        "where_" => c.mask("condition")?.where_(c.tensor("input")?, c.operand("other")),
        _ => return None,
    })
}

/// Bounds that are tensors or numbers, or absent.
fn clamped<E: Number>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let bound = |name: &str| (c.has(name) || c.tensor(name).is_some()).then(|| c.operand(name));
    Some(match (bound("min"), bound("max")) {
        (Some(min), Some(max)) => c.x().clamp(min, max),
        (Some(min), None) => c.x().clamp_min(min),
        (None, Some(max)) => c.x().clamp_max(max),
        (None, None) => return None,
    })
}

/// Operations of masks.
fn logical<E: Number>(c: &Call<'_, E>) -> Option<BoolTensor> {
    let mask = |name: &str| c.mask(name).unwrap_or_else(|| panic!("{}: no mask `{name}`", c.op));
    Some(match c.op {
        "logical_and" => mask("input").logical_and(mask("other")),
        "logical_or" => mask("input").logical_or(mask("other")),
        "logical_xor" => mask("input").logical_xor(mask("other")),
        "logical_not" => mask("input").logical_not(),
        _ => return None,
    })
}

/// Operations of two operands, one of which may be a number.
fn binary<E: Number>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let other = if c.op == "pow" { "exponent" } else { "other" };
    if c.has("input") {
        return E::number_with_tensor(c.op, c.float("input")?, c.tensor(other)?);
    }
    let call: fn(TensorBase<E>, Operand<E>) -> TensorBase<E> = match c.op {
        "add" => TensorBase::add,
        "sub" => TensorBase::sub,
        "mul" => TensorBase::mul,
        "div" => TensorBase::div,
        "pow" => TensorBase::pow,
        "atan2" => TensorBase::atan2,
        "fmod" => TensorBase::fmod,
        "remainder" => TensorBase::remainder,
        "minimum" => TensorBase::minimum,
        "maximum" => TensorBase::maximum,
        "fmin" => TensorBase::fmin,
        "fmax" => TensorBase::fmax,
        "copysign" => TensorBase::copysign,
        "hypot" => TensorBase::hypot,
        "xlogy" => TensorBase::xlogy,
        _ => return None,
    };
    Some(call(c.x(), c.operand(other)))
}
