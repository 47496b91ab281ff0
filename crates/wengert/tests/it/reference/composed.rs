//! Functions of PyTorch that are a line of several operations here.

use wengert::{FloatElement, TensorBase, cat, einsum, stack};

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &[];

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    if let Some(pair) = two(c) {
        return Some(pair.map(Value::Float).to_vec());
    }
    let one = sums_of_products(c).or_else(|| elementwise(c)).or_else(|| reductions(c)).or_else(|| arranged(c));
    let one = one.or_else(|| activations(c)).or_else(|| layers(c)).or_else(|| losses(c));
    Some(vec![Value::Float(one?)])
}

/// Two results.
fn two<E: FloatElement>(c: &Call<'_, E>) -> Option<[TensorBase<E>; 2]> {
    let (dims, keepdim) = (c.ints("dim").unwrap_or_default(), c.flag("keepdim"));
    let correction = c.int("correction").map_or(1, |n| n as usize);
    Some(match c.op {
        "var_mean" => [c.x().var_dims(&dims[..], correction, keepdim), c.x().mean_dims(&dims[..], keepdim)],
        "std_mean" => [c.x().std_dims(&dims[..], correction, keepdim), c.x().mean_dims(&dims[..], keepdim)],
        "aminmax" => [c.x().amin(&dims[..], keepdim), c.x().amax(&dims[..], keepdim)],
        _ => return None,
    })
}

/// `beta input + alpha product`, and products.
fn sums_of_products<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let n = E::of;
    let of = |name: &str| c.tensor(name).unwrap_or_else(|| panic!("{}: no tensor `{name}`", c.op));
    let product = match c.op {
        "addmm" => of("mat1").matmul(of("mat2")),
        "addmv" => of("mat").matmul(of("vec")),
        "addbmm" => of("batch1").bmm(of("batch2")).sum_dims(0, false),
        "baddbmm" => of("batch1").bmm(of("batch2")),
        "addr" => of("vec1").outer(of("vec2")),
        "addcmul" => return Some(c.x() + of("tensor1") * of("tensor2") * n(c.float("value").unwrap_or(1.0))),
        "addcdiv" => return Some(c.x() + of("tensor1") / of("tensor2") * n(c.float("value").unwrap_or(1.0))),
        "inner" if c.x().dim() == 0 => return Some(c.x() * of("other")),
        "inner" => return Some(einsum("...i,...i->...", &[c.x(), of("other")])),
        "linalg.vecdot" => return Some((c.x() * of("other")).sum_dims(c.int("dim").unwrap_or(-1), false)),
        "linalg.multi_dot" => return c.tensors().into_iter().reduce(TensorBase::matmul),
        "kron" => {
            let (a, b) = (c.x(), of("other"));
            let shape = [a.size(0) * b.size(0), a.size(1) * b.size(1)];
            return Some(einsum("ij,kl->ikjl", &[a, b]).reshape(shape));
        }
        _ => return None,
    };
    Some(c.x() * n(c.float("beta").unwrap_or(1.0)) + product * n(c.float("alpha").unwrap_or(1.0)))
}

fn elementwise<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let n = E::of;
    let x = c.tensor("input")?;
    let other = || c.tensor("other").expect("another operand");
    let pi = std::f64::consts::PI;
    Some(match c.op {
        "deg2rad" => x * n(pi / 180.0),
        "rad2deg" => x * n(180.0 / pi),
        "frac" => x - x.trunc(),
        "div_trunc" => (x / other()).trunc(),
        "div_floor" | "floor_divide" => (x / other()).floor(),
        "ldexp" => x * other().exp2(),
        "logaddexp" => x.maximum(other()) + (-(x - other()).abs()).exp().log1p(),
        "logaddexp2" => x.maximum(other()) + ((-(x - other()).abs()).exp2() + n(1.0)).log2(),
        "logit" => {
            let eps = c.float("eps").unwrap_or(0.0);
            let x = if c.has("eps") { x.clamp(eps, 1.0 - eps) } else { x };
            (x / (-x + n(1.0))).ln()
        }
        "sinc" => x.eq(0.0).where_(1.0, (x * n(pi)).sin() / x.eq(0.0).where_(TensorBase::<E>::ones([]), x * n(pi))),
        "special.entr" => -x.xlogy(x),
        "special.xlog1py" => x.xlogy(other() + n(1.0)),
        "special.ndtr" => (-x * n(std::f64::consts::FRAC_1_SQRT_2)).erfc() * n(0.5),
        _ => return None,
    })
}

fn reductions<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let (dims, keepdim) = (c.ints("dim").unwrap_or_default(), c.flag("keepdim"));
    Some(match c.op {
        "nansum" => c.x().is_nan().where_(0.0, c.x()).sum_dims(&dims[..], keepdim),
        "nanmean" => {
            let counted = c.x().is_nan().where_(0.0, TensorBase::ones_like(c.x()));
            c.x().is_nan().where_(0.0, c.x()).sum_dims(&dims[..], keepdim) / counted.sum_dims(&dims[..], keepdim)
        }
        "trace" => c.x().diagonal(0, 0, 1).sum(),
        "dist" => (c.x() - c.tensor("other")?).norm_dims(c.float("p").unwrap_or(2.0), (), false),
        _ => return None,
    })
}

fn arranged<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    Some(match c.op {
        "T" | "H" | "mT" | "mH" => c.x().transpose(-2, -1),
        "fliplr" => c.x().flip(1),
        "flipud" => c.x().flip(0),
        "tile" => {
            let repeats = c.sizes("dims")?;
            let lead = c.x().dim().saturating_sub(repeats.len());
            c.x().repeat(&[vec![1; lead], repeats].concat())
        }
        "hstack" => cat(&c.tensors(), if c.x().dim() == 1 { 0 } else { 1 }),
        "vstack" if c.x().dim() == 1 => stack(&c.tensors(), 0),
        "vstack" => cat(&c.tensors(), 0),
        "take" => {
            let index = c.index("index");
            c.x().flatten(0, -1).index_select(0, index.flatten(0, -1)).reshape(index.shape())
        }
        "pixel_shuffle" => {
            let (x, r) = (c.x(), c.int("upscale_factor")? as usize);
            let [n, channels, h, w] = [x.size(0), x.size(1) / (r * r), x.size(2), x.size(3)];
            x.reshape([n, channels, r, r, h, w]).permute([0, 1, 4, 2, 5, 3]).reshape([n, channels, h * r, w * r])
        }
        "pixel_unshuffle" => {
            let (x, r) = (c.x(), c.int("downscale_factor")? as usize);
            let [n, channels, h, w] = [x.size(0), x.size(1), x.size(2) / r, x.size(3) / r];
            x.reshape([n, channels, h, r, w, r]).permute([0, 1, 3, 5, 2, 4]).reshape([n, channels * r * r, h, w])
        }
        _ => return None,
    })
}

fn activations<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let n = E::of;
    let x = c.tensor("input")?;
    let lambda = c.float("lambd").unwrap_or(0.5);
    Some(match c.op {
        "softmin" => (-x).softmax(c.int("dim")?),
        "glu" => {
            let halves = x.chunk(2, c.int("dim").unwrap_or(-1));
            halves[0] * halves[1].sigmoid()
        }
        "prelu" => {
            let weight = c.tensor("weight")?;
            // A weight per channel, which is dimension 1.
            let beside = if x.dim() > 1 && weight.dim() == 1 { x.dim() - 2 } else { 0 };
            let weight = (0..beside).fold(weight, |weight, _| weight.unsqueeze(-1));
            x.gt(0.0).where_(x, x * if x.dim() == 0 { weight.reshape([]) } else { weight })
        }
        "celu" => {
            let alpha = c.float("alpha").unwrap_or(1.0);
            x.gt(0.0).where_(x, (x.clamp_max(0.0) / n(alpha)).expm1() * n(alpha))
        }
        "hardswish" => x * (x + n(3.0)).clamp(0.0, 6.0) / n(6.0),
        "hardsigmoid" => (x + n(3.0)).clamp(0.0, 6.0) / n(6.0),
        "softsign" => x / (x.abs() + n(1.0)),
        "tanhshrink" => x - x.tanh(),
        "threshold" => x.gt(c.float("threshold")?).where_(x, c.float("value")?),
        "softshrink" => x.sign() * (x.abs() - n(lambda)).relu(),
        "hardshrink" => x.abs().gt(lambda).where_(x, 0.0),
        _ => return None,
    })
}

fn layers<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let n = E::of;
    let eps = c.float("eps");
    Some(match c.op {
        "normalize" => {
            let (p, dim) = (c.float("p").unwrap_or(2.0), c.int("dim").unwrap_or(1));
            c.x() / c.x().norm_dims(p, dim, true).clamp_min(eps.unwrap_or(1e-12))
        }
        "cosine_similarity" => {
            let (dim, eps) = (c.int("dim").unwrap_or(1), eps.unwrap_or(1e-8));
            let unit = |x: TensorBase<E>| x / x.norm_dims(2.0, dim, true).clamp_min(eps);
            let (a, b) = (c.tensor("x1")?, c.tensor("x2")?);
            let shape = (a * b).shape();
            (unit(a.broadcast_to(shape.clone())) * unit(b.broadcast_to(shape))).sum_dims(dim, false)
        }
        "pairwise_distance" => {
            let apart = c.tensor("x1")? - c.tensor("x2")? + n(eps.unwrap_or(1e-6));
            apart.norm_dims(c.float("p").unwrap_or(2.0), -1, c.flag("keepdim"))
        }
        "rms_norm" => {
            let over: Vec<isize> = (1..=c.sizes("normalized_shape")?.len() as isize).map(|d| -d).collect();
            let machine = if size_of::<E>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
            let normal = c.x() * (c.x().square().mean_dims(&over[..], true) + n(eps.unwrap_or(machine))).rsqrt();
            c.tensor("weight").map_or(normal, |weight| normal * weight)
        }
        "scaled_dot_product_attention" => {
            let (q, k, v) = (c.tensor("query")?, c.tensor("key")?, c.tensor("value")?);
            let scale = c.float("scale").unwrap_or(1.0 / (q.size(-1) as f64).sqrt());
            let mut scores = q.matmul(k.transpose(-2, -1)) * n(scale);
            if c.flag("is_causal") {
                let shape = [q.size(-2), k.size(-2)];
                scores = scores.masked_fill(TensorBase::<E>::ones(shape).tril(0).eq(0.0), E::of(f64::NEG_INFINITY));
            }
            if let Some(bias) = c.tensor("attn_mask") {
                scores += bias;
            }
            scores.softmax(-1).matmul(v)
        }
        _ => return None,
    })
}

fn losses<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let n = E::of;
    let of = |name: &str| c.tensor(name).unwrap_or_else(|| panic!("{}: no tensor `{name}`", c.op));
    let margin = c.float("margin");
    let each = match c.op {
        "soft_margin_loss" => (-of("target") * c.x()).exp().log1p(),
        "margin_ranking_loss" => {
            (-of("target") * (of("input1") - of("input2")) + n(margin.unwrap_or(0.0))).clamp_min(0.0)
        }
        "hinge_embedding_loss" => {
            let (x, y) = (c.x(), of("target"));
            y.ne(1.0).where_((-x + n(margin.unwrap_or(1.0))).clamp_min(0.0), 0.0) + y.ne(-1.0).where_(x, 0.0)
        }
        "poisson_nll_loss" => {
            let (x, y) = (c.x(), of("target"));
            if c.has("log_input") && !c.flag("log_input") {
                x - y * (x + n(c.float("eps").unwrap_or(1e-8))).ln()
            } else {
                x.exp() - y * x
            }
        }
        "triplet_margin_loss" => {
            let (p, eps) = (c.float("p").unwrap_or(2.0), c.float("eps").unwrap_or(1e-6));
            let apart = |a: &str, b: &str| (of(a) - of(b) + n(eps)).norm_dims(p, -1, false);
            let mut negative = apart("anchor", "negative");
            if c.flag("swap") {
                negative = negative.minimum(apart("positive", "negative"));
            }
            (apart("anchor", "positive") - negative + n(margin.unwrap_or(1.0))).clamp_min(0.0)
        }
        _ => return None,
    };
    Some(match c.text("reduction") {
        Some("none") => each,
        Some("sum") => each.sum(),
        _ => each.mean(),
    })
}
