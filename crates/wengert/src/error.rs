//! What goes wrong, said once: every fallible operation returns an [`Error`], and its plain form panics with the same text.

use std::fmt;

use smallvec::SmallVec;

/// The kind of an [`Error`], for code that reacts to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Shapes that do not fit each other or the operation.
    Shape,
    /// A dimension that the tensor does not have, or that was named twice.
    Dim,
    /// An index or label outside of its range.
    Index,
    /// An argument outside of its domain.
    Value,
    /// A handle whose scope has ended, or that belongs to another thread.
    Stale,
    /// A derivative asked for where there is none.
    Grad,
    /// A value that backward needs was overwritten, or must not be.
    InPlace,
    /// The tape would outgrow its budget or its index.
    Memory,
    /// The tape is lent to a closure that must not use it, as by `with_data`.
    Busy,
    /// A NaN or infinity that [`crate::detect_anomaly`] found.
    Anomaly,
}

/// Why an operation was refused; nothing was recorded and nothing was lost.
///
/// The text names the operation, the shapes and the remedy.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    message: String,
}

/// What fallible operations return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` with its text; for operations defined outside of this crate too.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into() }))
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl std::error::Error for Error {}

/// Builds an [`Error`]: `error!(Shape, "matmul: shapes {a:?} and {b:?} do not fit")`.
macro_rules! error {
    ($kind:ident, $($text:tt)*) => {
        $crate::Error::new($crate::ErrorKind::$kind, format!($($text)*))
    };
}
pub(crate) use error;

/// Makes room for `more` values behind those of `list`: what grows with the tape or with the elements of a tensor says so if there is no
/// memory, where a `Vec` would end the process.
///
/// # Errors
/// The system has no more memory.
#[inline]
pub(crate) fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    list.try_reserve(more).map_err(|_| no_memory(more.saturating_mul(size_of::<T>())))
}

/// As [`reserve`], for a list that is kept inline as long as it is short.
///
/// # Errors
/// As [`reserve`].
#[inline]
pub(crate) fn reserve_small<A: smallvec::Array>(list: &mut SmallVec<A>, more: usize) -> Result<()> {
    list.try_reserve(more).map_err(|_| no_memory(more.saturating_mul(size_of::<A::Item>())))
}

/// `len` times `value`.
///
/// # Errors
/// As [`reserve`].
pub(crate) fn filled<T: Clone>(value: T, len: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    reserve(&mut list, len)?;
    list.resize(len, value);
    Ok(list)
}

/// The error for `bytes` that the system does not have.
#[cold]
pub(crate) fn no_memory(bytes: usize) -> Error {
    error!(Memory, "the tape: {bytes} bytes more could not be allocated; wrap the step in `scope`")
}

/// The plain form of a fallible operation: panics with the error's text at the caller's line.
#[track_caller]
#[inline]
pub(crate) fn unwrap<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic_slow(&error),
    }
}

#[cold]
#[track_caller]
fn panic_slow(error: &Error) -> ! {
    panic!("{error}")
}

/// Stamps pairs of methods: the plain form, which panics at the user's line, and its `try_` twin. What a body recorded
/// before it failed is forgotten again.
///
/// ```text
/// twins! {
///     impl[E: FloatElement] TensorBase<E> {
///         /// Doc of both.
///         pub fn tanh | try_tanh(self) -> TensorBase<E> { record(..) }   // the body gives a Result
///         pub fn item | try_item(self) -> E where Some = { self.number() } { .. }   // a short cut, tried first
///     }
/// }
/// ```
macro_rules! twins {
    (impl[$($generics:tt)*] $ty:ty { $(
        $(#[$doc:meta])*
        pub fn $name:ident | $try_name:ident $(<$($g:ident : $bound:path),+>)? ($self:ident $(, $arg:ident : $argty:ty)* $(,)?) -> $ret:ty
            $(where Some = $short:block)? $body:block
    )* }) => {
        impl<$($generics)*> $ty { $(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("With the text of the error that [`Self::", stringify!($try_name), "`] returns.")]
            #[track_caller]
            #[inline]
            pub fn $name $(<$($g: $bound),+>)? ($self $(, $arg: $argty)*) -> $ret {
                // Here too, so that the short way makes no `Result`.
                $(if let Some(done) = $short {
                    return done;
                })?
                $crate::error::unwrap($self.$try_name($($arg),*))
            }

            #[doc = concat!("[`Self::", stringify!($name), "`], with the error returned.")]
            ///
            /// # Errors
            /// Operands that do not fit, named with the operation and the remedy; a stale handle.
            #[track_caller]
            pub fn $try_name $(<$($g: $bound),+>)? ($self $(, $arg: $argty)*) -> $crate::Result<$ret> {
                $(if let Some(done) = $short {
                    return Ok(done);
                })?
                let _line = $crate::trace::note();
                $crate::tape::all_or_nothing(move || $body)
            }
        )* }
    };
}
pub(crate) use twins;
