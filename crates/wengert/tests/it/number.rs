//! A tensor of one element as a number: values are those of the float type, derivatives those of finite differences, and what
//! several elements have no answer for is refused.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};

use num_traits::{
    AsPrimitive, Bounded, Euclid, Float, FloatConst, FromPrimitive, Inv, MulAdd, MulAddAssign, Num, NumAssign,
    NumAssignRef, NumCast, NumRef, One, Pow, RefNum, Signed, ToPrimitive, Zero,
};
use wengert::{FloatElement, Tensor, Tensor64, TensorBase, scope};

/// What generic code asks of a real number; every trait that is promised.
trait Number:
    Float
    + FloatConst
    + NumAssign
    + NumAssignRef
    + NumRef
    + Signed
    + FromPrimitive
    + Bounded
    + Default
    + Euclid
    + Inv<Output = Self>
    + MulAdd<Output = Self>
    + MulAddAssign
    + Pow<Self, Output = Self>
    + Pow<i32, Output = Self>
    + Pow<u8, Output = Self>
    + std::iter::Sum
    + std::iter::Product
    + for<'a> std::iter::Sum<&'a Self>
    + for<'a> std::iter::Product<&'a Self>
    + AsPrimitive<i64>
    + AsPrimitive<f64>
    + std::fmt::Debug
    + std::fmt::Display
    + Send
    + Sync
    + 'static
{
}
impl Number for f64 {}
impl Number for f32 {}
impl Number for Tensor64 {}
impl Number for Tensor {}

/// Functions with their names.
type Table<F> = Vec<(&'static str, F)>;

/// Functions of one number.
fn functions<T: Number>() -> Table<fn(T) -> T> {
    macro_rules! list {
        ($($function:ident)+; $($name:literal $call:expr;)+) => {
            vec![$((stringify!($function), <T as Float>::$function as fn(T) -> T)),+, $(($name, $call)),+]
        };
    }
    list! {
        floor ceil round trunc fract abs signum recip sqrt cbrt exp exp2 exp_m1 ln ln_1p log2 log10 sin cos tan asin acos atan sinh
        cosh tanh asinh acosh atanh to_degrees to_radians;
        "neg" |x| -x;
        "inv" |x| x.inv();
        "sin_cos" |x| x.sin_cos().0 * x.sin_cos().1;
        "powi(3)" |x| Float::powi(x, 3);
        "powi(-2)" |x| Float::powi(x, -2);
        "powi(0)" |x| Float::powi(x, 0);
        "Pow<u8>" |x| Pow::pow(x, 2u8);
        "Pow<i32>" |x| Pow::pow(x, -1);
        "Signed::signum" |x| Signed::signum(&x);
        "Signed::abs" |x| Signed::abs(&x);
        "min_value().max" |x| Float::max(x, <T as Bounded>::min_value());
        "NaN.min" |x| T::nan().min(x);
        "max(NaN)" |x| Float::max(x, T::nan());
        "constants" |x| x * T::PI() + T::LN_2() * x + T::epsilon() + x / T::TAU() - T::LOG2_10();
        "sum" |x| [x, x * x, T::one()].iter().sum::<T>() + [x].into_iter().sum::<T>();
        "product" |x| [x, x, x].iter().product::<T>() + [x, x].into_iter().product::<T>();
        "assign" |x| {
            let mut y = x;
            y += x;
            y *= x;
            y -= T::one();
            y /= T::from_f64(4.0).unwrap();
            y += &x;
            y %= T::from_i32(7).unwrap();
            y
        };
    }
}

/// Functions of two numbers.
#[allow(clippy::op_ref, reason = "operators of references are what is tested")]
fn functions2<T: Number>() -> Table<fn(T, T) -> T>
where
    for<'a> &'a T: RefNum<T>,
{
    vec![
        ("powf", Float::powf),
        ("Pow<Self>", Pow::pow),
        ("max", Float::max),
        ("min", Float::min),
        ("abs_sub", Float::abs_sub),
        ("Signed::abs_sub", |x, y| Signed::abs_sub(&x, &y)),
        ("hypot", Float::hypot),
        ("atan2", Float::atan2),
        ("copysign", Float::copysign),
        ("log", Float::log),
        ("rem", |x, y| x % y),
        ("div_euclid", |x, y| Euclid::div_euclid(&x, &y)),
        ("rem_euclid", |x, y| Euclid::rem_euclid(&x, &y)),
        ("mul_add", |x, y| Float::mul_add(x, y, x)),
        ("MulAdd", |x, y| {
            let mut z = MulAdd::mul_add(x, y, y);
            z.mul_add_assign(x, y);
            z
        }),
        ("clamp", |x, y| Float::clamp(x, y.abs().neg(), y.abs())),
        ("references", |x, y| &(&(&x + &y) * &x) - &(&x / &y) + &y),
    ]
}

const EDGES: [f64; 18] = [
    0.0,
    -0.0,
    0.25,
    -0.25,
    0.5,
    -0.5,
    0.499_999_999_999_999_94,
    1.0,
    -1.0,
    1.5,
    -2.5,
    3.5,
    1e-300,
    -7.75,
    1e19,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// Whether two numbers are the same to `ulps` units in the last place (or to rounding in `scale`), with the same kind and sign.
fn assert_same<F: Float + std::fmt::Debug>(what: &str, at: &[f64], got: F, expected: F) {
    let close = (got - expected).abs() <= F::epsilon() * F::from(8.0).unwrap() * expected.abs();
    let same = got.is_nan() && expected.is_nan()
        || got == expected && (got.is_sign_negative() == expected.is_sign_negative() || !got.is_zero())
        || close && !expected.is_infinite();
    assert!(same, "{what} at {at:?}: {got:?} should be {expected:?}");
}

fn check_values<E: FloatElement + Number + wengert::Escape>()
where
    TensorBase<E>: Number,
    for<'a> &'a TensorBase<E>: RefNum<TensorBase<E>>,
    for<'a> &'a E: RefNum<E>,
{
    // Where the value is that of a sum with cancellation, or a matter of the platform.
    let skip = |name: &str, x: f64| name == "constants" && !x.is_finite();
    let of = |x: f64| <E as NumCast>::from(x).unwrap();
    for ((name, f), (_, g)) in functions::<TensorBase<E>>().into_iter().zip(functions::<E>()) {
        for x in EDGES {
            if !skip(name, x) {
                assert_same(name, &[x], scope(|| f(TensorBase::scalar(of(x))).item()), g(of(x)));
            }
        }
    }
    for ((name, f), (_, g)) in functions2::<TensorBase<E>>().into_iter().zip(functions2::<E>()) {
        for (x, y) in EDGES.iter().flat_map(|&x| EDGES.map(|y| (x, y))) {
            let got = catch_unwind(|| scope(|| f(TensorBase::scalar(of(x)), TensorBase::scalar(of(y))).item()));
            let Ok(expected) = catch_unwind(|| g(of(x), of(y))) else { continue };
            assert_same(name, &[x, y], got.unwrap(), expected);
        }
    }
}

#[test]
fn values_are_those_of_floats() {
    check_values::<f64>();
    check_values::<f32>();
}

/// Gradients of every function against central differences, away from kinks.
#[test]
fn gradients_are_those_of_finite_differences() {
    let slope = |f: &dyn Fn(f64) -> f64, x: f64| (f(x + 1e-6) - f(x - 1e-6)) / 2e-6;
    let near = |name: &str, got: f64, expected: f64| {
        let near = got.is_nan() && expected.is_nan() || (got - expected).abs() <= 1e-7 * (1.0 + expected.abs());
        assert!(near, "{name}: {got} should be {expected}");
    };
    for ((name, f), (_, g)) in functions::<Tensor64>().into_iter().zip(functions::<f64>()) {
        for x in [0.3, 0.7, -0.6, 1.7] {
            let expected = slope(&g, x);
            near(
                &format!("{name} at {x}"),
                gradient(|x| f(x[0]), &[x])[0],
                if g(x).is_nan() { f64::NAN } else { expected },
            );
        }
    }
    for ((name, f), (_, g)) in functions2::<Tensor64>().into_iter().zip(functions2::<f64>()) {
        for [x, y] in [[0.3, 0.7], [1.7, 0.6], [2.3, 1.1]] {
            let got = gradient(|x| f(x[0], x[1]), &[x, y]);
            near(&format!("{name} at {x}, {y} by the first"), got[0], slope(&|x| g(x, y), x));
            near(&format!("{name} at {x}, {y} by the second"), got[1], slope(&|y| g(x, y), y));
        }
    }
}

/// The gradient of `f` at `x`; NaN throughout where `f` is NaN.
fn gradient(f: impl Fn(&[Tensor64]) -> Tensor64, x: &[f64]) -> Vec<f64> {
    scope(|| {
        let leaves: Vec<_> = x.iter().map(|&x| Tensor64::scalar(x).requires_grad_(true)).collect();
        let y = f(&leaves);
        y.backward();
        let share = |leaf: &Tensor64| leaf.grad().map_or(0.0, |g| g.item());
        leaves.iter().map(|leaf| if y.item().is_nan() { f64::NAN } else { share(leaf) }).collect()
    })
}

#[test]
fn gradients_at_ties_and_kinks() {
    let at = |f: fn(Tensor64, Tensor64) -> Tensor64, x: f64, y: f64| gradient(|x| f(x[0], x[1]), &[x, y]);
    assert_eq!(at(Float::max, 2.0, 2.0), [0.5, 0.5]);
    assert_eq!(at(Float::min, 2.0, 2.0), [0.5, 0.5]);
    assert_eq!(at(|x, y| Float::max(x + f64::NAN, y), 1.0, 2.0), [0.0, 1.0]);
    assert_eq!(at(Float::abs_sub, 2.0, 2.0), [0.0, 0.0]);
    assert_eq!(at(Float::copysign, 2.0, -0.0), [-1.0, 0.0]);
    assert_eq!(at(Float::copysign, 0.0, 1.0), [0.0, 0.0]);
    assert_eq!(at(|x, y| Float::abs(x) + Float::cbrt(y), 0.0, 0.0), [0.0, f64::INFINITY]);
    assert_eq!(at(|x, y| Float::round(x) + Float::signum(y) + x, 2.5, -0.0), [1.0, 0.0]);
}

/// The gradient flows through a number that leaves for generic code; the constants that code makes require none.
#[test]
fn constants_are_leaves_without_gradient() {
    let constants = [
        Tensor64::zero(),
        Tensor64::one(),
        Tensor64::PI(),
        Tensor64::default(),
        2.0.into(),
        Tensor64::from_u64(3).unwrap(),
        <Tensor64 as NumCast>::from(4i8).unwrap(),
        Tensor64::from_str_radix("2.5", 10).unwrap(),
        5usize.as_(),
    ];
    assert_eq!(constants.map(|x| x.item()), [0.0, 1.0, std::f64::consts::PI, 0.0, 2.0, 3.0, 4.0, 2.5, 5.0]);
    assert!(constants.iter().all(|x| x.dim() == 0 && !x.requires_grad()));
    assert!(Tensor64::from_str_radix("one", 10).is_err());
    assert_eq!(Vec::<Tensor>::new().iter().sum::<Tensor>(), Tensor::zero());
    assert_eq!(Vec::<Tensor>::new().into_iter().product::<Tensor>(), Tensor::one());
    assert_eq!(wengert::IndexTensor::default().item(), 0);
}

/// The comparisons' answers.
#[allow(clippy::neg_cmp_op_on_partial_ord, reason = "what NaN answers is tested")]
#[test]
fn comparisons_are_by_value() {
    let (one, two, nan) = (Tensor64::scalar(1.0), Tensor64::scalar(2.0), Tensor64::scalar(f64::NAN));
    assert!(
        one < two && two >= one && one != two && one == one.copy() && Tensor64::scalar(-0.0) == Tensor64::scalar(0.0)
    );
    assert!(nan != nan && !(nan < one) && !(nan >= one) && nan.partial_cmp(&one).is_none());
    assert!(one == 1.0 && one < 1.5 && one > -1.0 && nan != nan.item());

    // One element is a number, whatever the shape.
    let row = Tensor64::new([[1.0]]);
    assert!(row == one && row < two && row == 1.0);

    let vector = Tensor64::new([1.0, 2.0]);
    assert!(
        vector == Tensor64::new([1.0, 2.0]) && vector != Tensor64::new([1.0, 3.0]) && vector != one && vector != 1.0
    );
    assert!(vector != Tensor64::new([[1.0, 2.0]]) && Tensor64::new([1.0, f64::NAN]) != Tensor64::new([1.0, f64::NAN]));
    let square = Tensor64::new([[1.0, 2.0], [2.0, 1.0]]);
    assert!(square == square.t() && Tensor64::zeros([0, 3]) == Tensor64::ones([0, 3]));
    assert!(vector.lt(1.5) == wengert::BoolTensor::new([true, false]));
    assert_eq!(wengert::IndexTensor::new([1, 2]), wengert::IndexTensor::new([1, 2]));

    assert_eq!((vector.to_f64(), one.to_f64(), nan.to_i32(), (two * 1.25).to_u8()), (None, Some(1.0), None, Some(2)));
    let as_integer: i64 = (-two * 1.25).as_();
    assert_eq!(as_integer, -2);
}

/// Each refused, with a text that names what was asked, the shapes and the remedy; the tape is usable afterwards.
#[test]
fn misuse_is_refused() {
    let (vector, one) = (Tensor64::new([1.0, 2.0]), Tensor64::one());
    let stale = {
        let _scope = wengert::Scope::enter();
        Tensor64::scalar(3.0)
    };
    let ambiguous = "comparison: the truth value of tensors of shapes [2] and [] is ambiguous";
    let gone = "its scope has ended";
    let calls: Table<Box<dyn Fn()>> = vec![
        (ambiguous, Box::new(|| _ = black_box(vector < one))),
        (ambiguous, Box::new(|| _ = black_box(vector >= 1.0))),
        ("`x.lt(y)`", Box::new(|| _ = black_box(one.partial_cmp(&vector)))),
        ("of shapes [0] and [] is ambiguous", Box::new(|| _ = black_box(Tensor64::zeros([0]) < one))),
        ("is_nan: a tensor of shape [2] is not one number", Box::new(|| _ = black_box(Float::is_nan(vector)))),
        ("is_zero: a tensor of shape [2] is not one number", Box::new(|| _ = black_box(vector.is_zero()))),
        ("integer_decode: a tensor of shape [2]", Box::new(|| _ = black_box(vector.integer_decode()))),
        ("as_: a tensor of shape [2]", Box::new(|| _ = black_box(AsPrimitive::<f64>::as_(vector)))),
        ("rem_euclid: a tensor of shape [2]", Box::new(|| _ = black_box(vector.rem_euclid(&vector)))),
        (gone, Box::new(|| _ = black_box(stale == one))),
        (gone, Box::new(|| _ = black_box(one == stale))),
        (gone, Box::new(|| _ = black_box(stale < one))),
        (gone, Box::new(|| _ = black_box(stale == 3.0))),
        (gone, Box::new(|| _ = black_box(stale.to_f64()))),
        (gone, Box::new(|| _ = black_box(Float::is_nan(stale)))),
        (gone, Box::new(|| _ = black_box(Float::max(one, stale)))),
        (gone, Box::new(|| _ = black_box([one, stale].iter().sum::<Tensor64>()))),
    ];
    for (text, call) in &calls {
        let panic = catch_unwind(AssertUnwindSafe(call)).expect_err(text);
        let message = panic.downcast_ref::<String>().map(String::as_str).unwrap_or_default();
        assert!(message.contains(text), "{message:?} should contain {text:?}");
    }
    assert_eq!(one + one, 2.0);

    // A number of another thread is as stale as one of a scope that has ended.
    let elsewhere = std::thread::spawn(move || catch_unwind(|| one == one).is_err()).join();
    assert!(elsewhere.unwrap());
}

/// Several elements at once, where the generic function asks for no single value.
#[test]
fn generic_functions_broadcast() {
    fn softplus<T: Float>(x: T) -> T {
        x.max(T::zero()) + (-x.abs()).exp().ln_1p()
    }
    let x = Tensor64::new([-1.0, 0.5, 30.0]).requires_grad_(true);
    let y = softplus(x);
    y.sum().backward();
    assert_eq!(y.to_vec(), [-1.0, 0.5, 30.0].map(|x| softplus(Tensor64::scalar(x)).item()));
    let slopes = x.to_vec().iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect::<Vec<_>>();
    assert!(x.grad().unwrap().to_vec().iter().zip(slopes).all(|(got, expected)| (got - expected).abs() < 1e-15));
}
