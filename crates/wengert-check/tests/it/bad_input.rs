//! What can't be checked is refused, with the remedy.

use wengert::{Context, Function, Result, Tensor64};
use wengert_check::{Failure, GradCheck, gradcheck, gradcheck_params, gradgradcheck};

type T = Tensor64;

/// A rule that has no derivative.
struct Once;

impl Function<f64> for Once {
    type Inputs = T;
    type Outputs = T;
    type Saved = ();
    const ONCE_DIFFERENTIABLE: bool = true;

    fn forward(&self, x: T) -> Result<(T, ())> {
        Ok((x * 2.0, ()))
    }

    fn backward(&self, _: &Context<'_, f64, Self>, g: T) -> Result<Option<T>> {
        Ok(Some(g * 2.0))
    }
}

#[test]
fn what_cannot_be_checked_is_refused_with_the_remedy() {
    let leaf = |values: &[f64]| T::from_slice(values, values.len()).requires_grad_(true);
    let (x, constant) = (leaf(&[1.0, 0.0]), T::new([1.0, 2.0]));
    let same = |x: T| x * 1.0;
    let refused: Vec<(std::result::Result<_, Failure>, &str)> = vec![
        (gradcheck(|x: Vec<T>| T::scalar(0.0) + x.len() as f64, vec![]), "no tensor was given"),
        (gradcheck_params(|| x * x, &[]), "no tensor was given"),
        (gradcheck(same, constant), "none of the inputs requires a gradient; call `requires_grad_(true)`"),
        (gradcheck_params(|| x * x, &[x * 2.0]), "parameter 0 was computed"),
        (gradcheck(same, leaf(&[1.0, f64::NAN])), "input 0 has the value NaN at [1]"),
        (gradcheck(|x: T| x.ln(), x), "output 0 [1] is -inf"),
        (gradcheck(|x: T| x.sqrt(), x), "output 0 [1] is not finite where input 0 is moved by 1e-6"),
        (gradcheck(|x: T| x.detach(), x), "no output requires a gradient"),
        (gradcheck(|_: T| constant, x), "no output requires a gradient"),
        (gradcheck(|x: T| Vec::from_iter((x.sum().item() > 9.0).then_some(x)), x), "returns no tensor"),
        (gradcheck(|x: T| Once.apply(x), x), "forward mode was refused: Once: there is no tangent rule"),
        (GradCheck::new().forward(false).second(true).check(|x: T| Once.apply(x), x), "Once: `create_graph` needs"),
    ];
    for (found, expected) in refused {
        let text = found.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}\nshould contain\n{expected}");
    }
    GradCheck::new().forward(false).check(|x: T| Once.apply(x), x).unwrap();
    gradgradcheck(|x: T| x * 2.0, x).unwrap();
}

#[test]
fn an_error_leaves_the_tape_and_the_parameters_as_they_were() {
    let w = T::new([1.0, 2.0]).requires_grad_(true);
    let before = wengert::memory::stats().entries;
    let check = || gradcheck_params(|| if w.select(0, 0).item() > 1.0 { panic!("on purpose") } else { w * 2.0 }, &[w]);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err());
    assert_eq!((w.to_vec(), w.requires_grad()), (vec![1.0, 2.0], true));
    assert_eq!(wengert::memory::stats().entries, before);
}
