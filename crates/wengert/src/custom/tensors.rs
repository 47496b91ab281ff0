//! Groups of tensors, as user-defined functions take and give them.

use smallvec::SmallVec;

use crate::element::FloatElement;
use crate::tensor::TensorBase;

/// A list of what belongs to the tensors of a group.
pub(crate) type List<T> = SmallVec<[T; 4]>;

/// Float tensors of one type: one tensor, an array, a tuple of up to six, or a `Vec`. Sealed.
pub trait Tensors: Sized + sealed::Sealed + 'static {
    /// The type of their elements.
    type Element: FloatElement;

    /// The same group with an `Option` in place of each tensor: gradients, and tangents.
    type Optional;

    /// The tensors in order.
    #[doc(hidden)]
    fn list(&self) -> SmallVec<[TensorBase<Self::Element>; 4]>;

    /// The group of these tensors, whose number fits.
    #[doc(hidden)]
    fn of(list: &[TensorBase<Self::Element>]) -> Self;

    #[doc(hidden)]
    fn optional_list(optional: Self::Optional) -> SmallVec<[Option<TensorBase<Self::Element>>; 4]>;

    #[doc(hidden)]
    fn optional_of(list: &[Option<TensorBase<Self::Element>>]) -> Self::Optional;
}

mod sealed {
    pub trait Sealed {}
    impl<E> Sealed for crate::TensorBase<E> {}
    impl<E, const N: usize> Sealed for [crate::TensorBase<E>; N] {}
    impl<E> Sealed for Vec<crate::TensorBase<E>> {}
}

impl<E: FloatElement> Tensors for TensorBase<E> {
    type Element = E;
    type Optional = Option<Self>;

    fn list(&self) -> List<Self> {
        List::from_slice(&[*self])
    }
    fn of(list: &[Self]) -> Self {
        list[0]
    }
    fn optional_list(optional: Option<Self>) -> List<Option<Self>> {
        List::from_slice(&[optional])
    }
    fn optional_of(list: &[Option<Self>]) -> Option<Self> {
        list[0]
    }
}

impl<E: FloatElement, const N: usize> Tensors for [TensorBase<E>; N] {
    type Element = E;
    type Optional = [Option<TensorBase<E>>; N];

    fn list(&self) -> List<TensorBase<E>> {
        List::from_slice(self)
    }
    fn of(list: &[TensorBase<E>]) -> Self {
        std::array::from_fn(|k| list[k])
    }
    fn optional_list(optional: Self::Optional) -> List<Option<TensorBase<E>>> {
        List::from_slice(&optional)
    }
    fn optional_of(list: &[Option<TensorBase<E>>]) -> Self::Optional {
        std::array::from_fn(|k| list[k])
    }
}

impl<E: FloatElement> Tensors for Vec<TensorBase<E>> {
    type Element = E;
    type Optional = Vec<Option<TensorBase<E>>>;

    fn list(&self) -> List<TensorBase<E>> {
        List::from_slice(self)
    }
    fn of(list: &[TensorBase<E>]) -> Self {
        list.to_vec()
    }
    fn optional_list(optional: Self::Optional) -> List<Option<TensorBase<E>>> {
        optional.into_iter().collect()
    }
    fn optional_of(list: &[Option<TensorBase<E>>]) -> Self::Optional {
        list.to_vec()
    }
}

/// Stamps tuples: `tuples! { E E; }` is for `(TensorBase<E>, TensorBase<E>)`.
macro_rules! tuples {
    ($($($e:ident $place:tt)+;)+) => { $(
        impl<E> sealed::Sealed for ($(TensorBase<$e>,)+) {}
        impl<E: FloatElement> Tensors for ($(TensorBase<$e>,)+) {
            type Element = E;
            type Optional = ($(Option<TensorBase<$e>>,)+);

            fn list(&self) -> List<TensorBase<E>> {
                List::from_slice(&[$(self.$place),+])
            }
            fn of(list: &[TensorBase<E>]) -> Self {
                ($(list[$place],)+)
            }
            fn optional_list(optional: Self::Optional) -> List<Option<TensorBase<E>>> {
                List::from_slice(&[$(optional.$place),+])
            }
            fn optional_of(list: &[Option<TensorBase<E>>]) -> Self::Optional {
                ($(list[$place],)+)
            }
        }
    )+ };
}
tuples! {
    E 0;
    E 0 E 1;
    E 0 E 1 E 2;
    E 0 E 1 E 2 E 3;
    E 0 E 1 E 2 E 3 E 4;
    E 0 E 1 E 2 E 3 E 4 E 5;
}
