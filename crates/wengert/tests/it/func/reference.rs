//! Compositions of derivatives against those of `torch.func` (`tools/reference/func.py`).

use std::collections::BTreeMap;

use wengert::func::{grad, hessian, hvp, jacfwd, jacrev, jvp, vjp};
use wengert::{IndexTensor, Tensor64, stack};

use super::{assert_close, field, point, smooth};

fn along() -> Tensor64 {
    Tensor64::new([0.2, 1.0, -0.6])
}

fn weights() -> (Tensor64, Tensor64) {
    (Tensor64::new([[0.3, -0.2, 0.9], [-1.1, 0.4, 0.6]]), Tensor64::new([0.1, -0.3]))
}

fn scores(w: Tensor64, b: Tensor64) -> Tensor64 {
    stack(&[point(), along()], 0).linear(w, b)
}

fn loss((w, b): (Tensor64, Tensor64)) -> Tensor64 {
    scores(w, b).cross_entropy(IndexTensor::new([1, 0]))
}

/// The results under their names, flat as in the file.
fn results() -> Vec<(&'static str, Vec<Tensor64>)> {
    let (x, v) = (point(), along());
    let (y, dy) = jvp(field, x, v);
    let by_seed = |v| vjp(field, x).1.call(v).exp().sum();
    let (of_w, of_b) = jacrev(|(w, b)| scores(w, b).softmax(-1), weights());
    let ((ww, wb), (bw, bb)) = hessian(loss, weights());
    let third = |x| grad(|y| (grad(smooth, y) * v).sum(), x).square().sum();
    vec![
        ("grad", vec![grad(smooth, x)]),
        ("grad of grad", vec![grad(|x| grad(smooth, x).square().sum(), x)]),
        ("grad of grad of grad", vec![grad(third, x)]),
        ("vjp", vec![vjp(field, x).1.call(v)]),
        ("jvp", vec![y, dy]),
        ("jvp of jvp", {
            let (y, dy) = jvp(|x| jvp(field, x, x * x).1, x, v);
            vec![y, dy]
        }),
        ("hvp", vec![hvp(smooth, x, v)]),
        ("grad of jvp", vec![grad(|x| jvp(smooth, x, v).1, x)]),
        ("grad of vjp by its seed", vec![grad(by_seed, v)]),
        ("jacrev", vec![jacrev(field, x)]),
        ("jacfwd", vec![jacfwd(field, x)]),
        ("hessian", vec![hessian(smooth, x)]),
        ("hessian of a field", vec![jacfwd(|x| jacrev(field, x), x)]),
        ("jacrev of hessian", vec![jacrev(|x| hessian(smooth, x), x)]),
        ("jacfwd of jacrev of what captures", vec![jacfwd(|x| jacrev(|y| field(x * y), v), x)]),
        ("jacobians of a layer", vec![of_w, of_b]),
        ("hessian of a loss", vec![ww, wb, bw, bb]),
    ]
}

#[test]
fn compositions_agree_with_torch() {
    let text = include_str!("../../data/func.json");
    let mut expected: BTreeMap<String, Vec<Vec<f64>>> = serde_json::from_str(text).expect("a JSON object");
    for (name, tensors) in results() {
        let expected = expected.remove(name).unwrap_or_else(|| panic!("{name} is in the file"));
        assert_eq!(tensors.len(), expected.len(), "{name}");
        for (tensor, expected) in tensors.iter().zip(&expected) {
            assert_close(name, &tensor.to_vec(), expected, 1e-12);
        }
    }
    assert!(expected.is_empty(), "not computed: {:?}", expected.keys());
}
