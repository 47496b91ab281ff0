//! Right derivatives pass, kinks are told, and reports read well.

use wengert::{NestedArray, Tensor64};
use wengert_check::{GradCheck, assert_gradients, gradcheck, gradcheck_params, gradgradcheck, gradgradcheck_params};

type T = Tensor64;

fn leaf(nested: impl NestedArray<f64>) -> T {
    T::new(nested).requires_grad_(true)
}

#[test]
fn right_derivatives_pass_in_every_mode() {
    let (a, b) = (leaf([[0.5, 1.5], [2.5, -0.5]]), leaf([1.0, -2.0]));
    for fast in [false, true] {
        let check = GradCheck::new().fast(fast).second(true);
        check.check(|x: T| x.sin().cumprod(0), a).unwrap();
        check.check(|[a, b]: [T; 2]| (a.matmul(b).tanh(), a.sum()), [a, b]).unwrap();
        check.check(|x: Vec<T>| vec![x[0] * x[1], x[0].exp()], vec![a, b]).unwrap();
        check.check(|(a, b): (T, T)| [a.t() + b, a], (a, b.detach())).unwrap();
        check.check(|x| x * x, leaf(0.3)).unwrap();
        check.check_params(|| a.matmul(b).sigmoid(), &[b, a]).unwrap();
    }
    gradgradcheck(|x| x.powi(3).sum(), a).unwrap();
    gradcheck_params(|| a * b, &[b]).unwrap();
    // Nothing to compare is no error.
    gradgradcheck(|x: T| x.slice(0, 0, 0, 1) * 2.0, a).unwrap();
    gradgradcheck(|x: T| (x * 2.0).sum(), T::zeros([0, 3]).requires_grad_(true)).unwrap();
    gradgradcheck_params(|| (a * b).exp(), &[a]).unwrap();
    assert_gradients!(|x: T| x.softmax(-1), a, second = true, eps = 1e-5, seed = 3);
    assert_gradients!(params: || a.norm(), &[a]);
}

#[test]
fn every_element_and_method_is_compared() {
    let (a, b) = (leaf([[0.5, 1.5], [2.5, -0.5]]), leaf([1.0, -2.0]));
    let elements = 4 * 2 + 2 * 2;
    let check = GradCheck::new().undefined(false).strided(false);
    let f = |(a, b): (T, T)| a.matmul(b).tanh();
    // By backward, by forward mode, and these two; and a random seed.
    assert_eq!(check.check(f, (a, b)).unwrap().compared, 3 * elements + 6);
    assert_eq!(check.forward(false).check(f, (a, b)).unwrap().compared, elements + 6);
    assert_eq!(check.fast(true).check(f, (a, b)).unwrap().compared, 3 * 2);
    assert_eq!(check.check(f, (a, b.detach())).unwrap().compared, 3 * 4 * 2 + 4);
}

#[test]
fn large_values_and_steep_functions_are_no_errors() {
    gradcheck(|x: T| x.powi(3).sum(), leaf([1e4, -2e5, 1e-3])).unwrap();
    gradcheck(|x: T| (x * 100.0).sin() * 10.0, leaf([0.1, 2.0])).unwrap();
    gradcheck(|x: T| x + 1e9, leaf([0.1, 2.0])).unwrap();
    gradcheck(|x: T| x.exp(), leaf([20.0, -30.0])).unwrap();
}

#[test]
fn kinks_and_jumps_are_told_and_do_not_fail() {
    type F = fn(T) -> T;
    let at_kinks: [(&str, F, f64); 7] = [
        ("relu", |x| x.relu(), 0.0),
        ("abs", |x| x.abs(), 0.0),
        ("beside the kink", |x| x.relu(), 3e-7),
        ("further", |x| x.relu(), -4e-7),
        ("a jump", |x| x.floor(), 1.0),
        ("a jump to both sides", |x| x.sign(), 0.0),
        ("a clamp", |x| x.clamp(-1.0, 1.0), 1.0),
    ];
    for (name, f, at) in at_kinks {
        for fast in [false, true] {
            let x = leaf([0.4, at, -0.3]);
            let report = GradCheck::new().fast(fast).check(f, x).unwrap_or_else(|failure| panic!("{name}: {failure}"));
            let places: Vec<_> = report.kinks.iter().map(|kink| kink.input.element.clone().unwrap()).collect();
            assert_eq!(places, [[1]], "{name}: {report}");
            assert!(report.to_string().contains("on a kink or a jump"), "{report}");
        }
    }
    // A direction that crosses several kinks has a slope of its own.
    let ties = leaf([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]);
    let report = GradCheck::new().fast(true).check(|x: T| x.max_dim(1, false).0, ties).unwrap();
    assert_eq!(report.kinks.len(), 6, "{report}");
    let ties = leaf([2.0, 2.0, 1.0]);
    assert_eq!(gradcheck(|x: T| x.max(), ties).unwrap().kinks.len(), 2);
    let wrong = |x: T| x.relu() + x.relu().detach() * 2.0 + x * 5.0 - x.detach() * 5.0;
    assert!(gradcheck(wrong, leaf([0.0])).is_err(), "a kink is no excuse for what lies outside of both slopes");
    assert_eq!(gradcheck(|x: T| x.powi(2), leaf([0.0, 300.0])).unwrap().kinks, []);
}

#[test]
fn arithmetic_of_32_bits_is_told() {
    let failure = gradcheck(|x: T| x.cast::<f32>().exp().cast::<f64>(), leaf([0.3, -1.2])).unwrap_err();
    assert!(format!("{failure:?}").contains("the function computes in 32 bits"), "{failure}");
    let coarse = GradCheck::new().eps(1e-2).atol(1e-3).rtol(1e-3);
    coarse.check(|x: T| x.cast::<f32>().exp().cast::<f64>(), leaf([0.3, -1.2])).unwrap();
}

#[test]
fn a_report_names_places_and_draws_the_worst() {
    let f = |x: T| {
        let half = x.slice(1, 0, 2, 1);
        x.square().sum() + (half * half.detach() - half.square()).sum()
    };
    let failure = GradCheck::new().undefined(false).strided(false).check(f, leaf([[1.0, 2.0, 3.0], [-4.0, 5.0, 6.0]]));
    let text = failure.unwrap_err().to_string();
    let expected = "\
gradcheck: 8 of 20 derivatives differ
  4 by backward differ from central differences, the worst first:
    d output 0 / d input 0 [1, 1]                             5 should be 10             ####################
    d output 0 / d input 0 [1, 0]                            -4 should be -8             ################
    d output 0 / d input 0 [0, 1]                             2 should be 4              ########
    d output 0 / d input 0 [0, 0]                             1 should be 2              ####
  4 by forward mode, which gives what backward gives
  all of them by the same factor, 0.5
  input 0 of shape [2, 3], x where a derivative by the element is wrong:
    x x .
    x x .";
    assert_eq!(text, expected);
}
