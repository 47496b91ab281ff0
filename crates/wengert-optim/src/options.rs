//! The numbers of an algorithm, by field and by name.

use wengert::{Error, ErrorKind, FloatElement, Result};

use crate::buffers::Buffers;

/// The numbers of an algorithm: a small struct with one field each.
pub trait Options: Copy + std::fmt::Debug + 'static {
    /// The algorithm's name in errors and files.
    const NAME: &'static str;
    /// The names of the numbers, in the order of [`Options::numbers`].
    const FIELDS: &'static [&'static str];

    /// Every number, switches as 0 and 1.
    fn numbers(&self) -> impl Iterator<Item = f64>;

    /// Changes the number called `name`; `false` if there is none.
    fn set_number(&mut self, name: &str, value: f64) -> bool;

    /// Whether every number lies in its range.
    ///
    /// # Errors
    /// One does not; the text names it.
    fn check_ranges(&self) -> Result<()>;

    /// The learning rate, which schedules change.
    fn lr_mut(&mut self) -> &mut f64;

    /// The momentum (of Adam: `beta1`), which one-cycle schedules change; `None` if the algorithm has none.
    fn momentum_mut(&mut self) -> Option<&mut f64> {
        None
    }
}

/// A rule that changes one parameter by its gradient. [`crate::Optimizer`] does the rest.
///
/// ```
/// use wengert::{FloatElement, Tensor};
/// use wengert_optim::{Algorithm, Buffers, Options, Optimizer};
///
/// /// Steps of one size, against the sign of the gradient.
/// #[derive(Clone, Copy, Debug)]
/// struct SignDescent {
///     lr: f64,
/// }
///
/// impl Options for SignDescent {
///     const NAME: &'static str = "SignDescent";
///     const FIELDS: &'static [&'static str] = &["lr"];
///     fn numbers(&self) -> impl Iterator<Item = f64> {
///         [self.lr].into_iter()
///     }
///     fn set_number(&mut self, name: &str, value: f64) -> bool {
///         self.lr = value;
///         name == "lr"
///     }
///     fn check_ranges(&self) -> wengert::Result<()> {
///         Ok(())
///     }
///     fn lr_mut(&mut self) -> &mut f64 {
///         &mut self.lr
///     }
/// }
///
/// impl Algorithm for SignDescent {
///     const BUFFERS: &'static [&'static str] = &[];
///     fn update<E: FloatElement>(&self, _: &mut Buffers<E>, values: &mut [E], grad: &[E]) {
///         for (value, &grad) in values.iter_mut().zip(grad) {
///             *value -= E::of(self.lr) * grad.sign();
///         }
///     }
/// }
///
/// let w = Tensor::from_slice(&[3.0, -4.0], [2]).requires_grad_(true);
/// (w * w).sum().backward();
/// Optimizer::with([w], SignDescent { lr: 0.5 }).step();
/// assert_eq!(w.to_vec(), [2.5, -3.5]);
/// ```
pub trait Algorithm: Options {
    /// The names of the buffers that it may keep for a parameter.
    const BUFFERS: &'static [&'static str];

    /// Whether the numbers go together; asked before every step.
    ///
    /// # Errors
    /// They do not; the text says why.
    fn check_together(&self) -> Result<()> {
        Ok(())
    }

    /// Changes `values` by `grad`, which has the same length. [`Buffers::steps`] counts this call.
    fn update<E: FloatElement>(&self, buffers: &mut Buffers<E>, values: &mut [E], grad: &[E]);
}

/// What a field of options holds, as a number.
pub(crate) trait Number: Copy {
    fn number(self) -> f64;
    fn of_number(number: f64) -> Self;
}

impl Number for f64 {
    fn number(self) -> f64 {
        self
    }
    fn of_number(number: f64) -> Self {
        number
    }
}

impl Number for bool {
    fn number(self) -> f64 {
        f64::from(self)
    }
    fn of_number(number: f64) -> Self {
        number != 0.0
    }
}

/// From 0 up, without infinity and NaN.
pub(crate) const NOT_NEGATIVE: std::ops::Range<f64> = 0.0..f64::INFINITY;
/// A decay rate: from 0 to less than 1.
pub(crate) const FRACTION: std::ops::Range<f64> = 0.0..1.0;
/// Either value of a switch.
pub(crate) const SWITCH: std::ops::RangeInclusive<f64> = 0.0..=1.0;

pub(crate) fn value_error(text: String) -> Error {
    Error::new(ErrorKind::Value, text)
}

/// Stamps the options of an algorithm: the struct, its defaults, its [`Options`], and a builder method for each field on the
/// optimiser. The first field is `lr`; `momentum beta1;` names the field that one-cycle schedules move.
///
/// ```text
/// options! {
///     /// Options of [`Sgd`].
///     SgdOptions for "SGD", momentum momentum;
///     /// Learning rate.
///     lr: f64 = 1e-3, in NOT_NEGATIVE;
///     /// Step along the smoothed gradient.
///     nesterov: bool = false, in SWITCH;
/// }
/// ```
macro_rules! options {
    (
        $(#[$doc:meta])* $options:ident for $name:literal $(, momentum $momentum:ident)?;
        $(#[$lr_doc:meta])* lr: f64 = $lr:expr;
        $($(#[$field_doc:meta])* $field:ident: $t:ty = $default:expr, in $range:expr;)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $options {
            $(#[$lr_doc])*
            pub lr: f64,
            $($(#[$field_doc])* pub $field: $t,)+
        }

        impl Default for $options {
            fn default() -> Self {
                Self { lr: $lr, $($field: $default,)+ }
            }
        }

        impl $crate::options::Options for $options {
            const NAME: &'static str = $name;
            const FIELDS: &'static [&'static str] = &["lr", $(stringify!($field)),+];

            fn numbers(&self) -> impl Iterator<Item = f64> {
                [self.lr, $($crate::options::Number::number(self.$field)),+].into_iter()
            }

            fn set_number(&mut self, name: &str, value: f64) -> bool {
                match name {
                    "lr" => self.lr = value,
                    $(stringify!($field) => self.$field = $crate::options::Number::of_number(value),)+
                    _ => return false,
                }
                true
            }

            fn check_ranges(&self) -> wengert::Result<()> {
                $crate::options::check_range($name, "lr", self.lr, &$crate::options::NOT_NEGATIVE)?;
                $({
                    let number = $crate::options::Number::number(self.$field);
                    $crate::options::check_range($name, stringify!($field), number, &$range)?;
                })+
                Ok(())
            }

            fn lr_mut(&mut self) -> &mut f64 {
                &mut self.lr
            }

            $(fn momentum_mut(&mut self) -> Option<&mut f64> {
                Some(&mut self.$momentum)
            })?
        }

        impl<E: wengert::FloatElement> $crate::Optimizer<E, $options> {
            $(
                $(#[$field_doc])*
                ///
                /// Sets it for all groups that there are, and for those that [`Self::group`] adds.
                ///
                /// # Panics
                /// If the value is out of its range.
                #[track_caller]
                #[must_use]
                pub fn $field(self, $field: $t) -> Self {
                    self.set_all(|options| options.$field = $field)
                }
            )+
        }
    };
}
pub(crate) use options;

/// # Errors
/// `value` does not lie in `range`.
pub(crate) fn check_range<R>(algorithm: &str, name: &str, value: f64, range: &R) -> Result<()>
where
    R: std::ops::RangeBounds<f64> + std::fmt::Debug,
{
    if range.contains(&value) {
        return Ok(());
    }
    Err(value_error(format!("{algorithm}: {name} is {value}, which does not lie in {range:?}")))
}
