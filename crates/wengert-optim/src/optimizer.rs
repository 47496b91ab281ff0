//! Parameters in groups, and the step over all of them.

use std::fmt;

use wengert::{FloatElement, Result, TensorBase};

use crate::buffers::Buffers;
use crate::options::{Algorithm, value_error};

/// An optimiser: parameters in groups, each with its options, and what the algorithm `A` remembers of them.
///
/// Used by its aliases [`crate::Sgd`], [`crate::Adam`], [`crate::AdamW`], [`crate::RmsProp`], [`crate::Adagrad`]. Parameters are
/// leaves of an open scope, best the thread's outermost one. Steps are one pass over each parameter, its gradient and its buffers;
/// from a parameter's second step on they allocate nothing, and the tape does not grow.
///
/// ```
/// use wengert::{scope, Tensor};
/// use wengert_optim::Sgd;
///
/// let w = Tensor::zeros([3]).requires_grad_(true);
/// let b = Tensor::scalar(0.0).requires_grad_(true);
/// let x = Tensor::from_slice(&[1.0, -1.0, 2.0], [3]);
/// // The second group has a learning rate of its own.
/// let mut sgd = Sgd::new([w], 0.05).momentum(0.9).group([b], |options| options.lr = 0.01);
/// for _ in 0..200 {
///     scope(|| {
///         let error = (w * x).sum() + b - 5.0;
///         (error * error).backward();
///     });
///     sgd.step();
///     sgd.zero_grad();
/// }
/// assert!(((w * x).sum() + b - 5.0).item().abs() < 1e-3);
/// ```
#[derive(Clone)]
pub struct Optimizer<E, A> {
    defaults: A,
    pub(crate) groups: Vec<Group<E, A>>,
}

/// Parameters that share their options.
#[derive(Clone)]
pub struct Group<E, A> {
    /// The options; changed at any time, they hold from the next step on.
    pub options: A,
    /// The learning rate before a schedule changed it.
    pub(crate) initial_lr: Option<f64>,
    pub(crate) params: Vec<Param<E>>,
}

#[derive(Clone)]
pub(crate) struct Param<E> {
    pub tensor: TensorBase<E>,
    pub buffers: Buffers<E>,
}

impl<E: FloatElement, A: Algorithm> Group<E, A> {
    /// The parameters.
    pub fn params(&self) -> impl Iterator<Item = TensorBase<E>> + Clone {
        self.params.iter().map(|param| param.tensor)
    }
}

impl<E: FloatElement, A: Algorithm> Optimizer<E, A> {
    /// An optimiser with one group.
    ///
    /// # Panics
    /// With the errors of [`Optimizer::try_with`].
    #[track_caller]
    pub fn with(params: impl IntoIterator<Item = TensorBase<E>>, options: A) -> Self {
        unwrap(Self::try_with(params, options))
    }

    /// An optimiser with one group.
    ///
    /// # Errors
    /// No parameters; one that is stale, no leaf, or named twice; options out of their ranges, or that do not go together.
    pub fn try_with(params: impl IntoIterator<Item = TensorBase<E>>, options: A) -> Result<Self> {
        let mut optimizer = Self { defaults: options, groups: Vec::new() };
        optimizer.add_group(params, options)?;
        Ok(optimizer)
    }

    /// Adds a group whose options are those of the optimiser, changed by `change`.
    ///
    /// # Panics
    /// With the errors of [`Optimizer::add_group`].
    #[track_caller]
    #[must_use]
    pub fn group(mut self, params: impl IntoIterator<Item = TensorBase<E>>, change: impl FnOnce(&mut A)) -> Self {
        let mut options = self.defaults;
        change(&mut options);
        unwrap(self.add_group(params, options));
        self
    }

    /// Adds a group.
    ///
    /// # Errors
    /// As [`Optimizer::try_with`]. The optimiser is as it was then.
    pub fn add_group(&mut self, params: impl IntoIterator<Item = TensorBase<E>>, options: A) -> Result<()> {
        options.check_ranges()?;
        options.check_together()?;
        let mut group = Group { options, initial_lr: None, params: Vec::new() };
        for tensor in params {
            let place = self.params().count() + group.params.len();
            if !tensor.try_is_leaf()? {
                return Err(value_error(format!(
                    "{}: parameter {place} of shape {:?} is no leaf: it was computed by `{}`; use `detach()`",
                    A::NAME,
                    tensor.try_shape()?,
                    tensor.try_grad_fn()?.unwrap_or_default(),
                )));
            }
            if let Some(before) = self.params().chain(group.params()).position(|other| other.is(tensor)) {
                return Err(value_error(format!("{}: parameter {place} is parameter {before} again", A::NAME)));
            }
            group.params.push(Param { tensor, buffers: Buffers::new(A::BUFFERS.len()) });
        }
        if group.params.is_empty() {
            return Err(value_error(format!("{}: a group needs at least one parameter", A::NAME)));
        }
        self.groups.push(group);
        Ok(())
    }

    /// Changes the options of every group, and those that later groups begin with.
    #[track_caller]
    pub(crate) fn set_all(mut self, change: impl Fn(&mut A)) -> Self {
        change(&mut self.defaults);
        unwrap(self.defaults.check_ranges());
        self.groups.iter_mut().for_each(|group| change(&mut group.options));
        self
    }

    /// The groups, in the order in which they were added.
    pub fn groups(&self) -> &[Group<E, A>] {
        &self.groups
    }

    /// The groups, to change their options.
    pub fn groups_mut(&mut self) -> &mut [Group<E, A>] {
        &mut self.groups
    }

    /// The parameters of all groups, for clipping for instance.
    pub fn params(&self) -> impl Iterator<Item = TensorBase<E>> + Clone {
        self.groups.iter().flat_map(Group::params)
    }

    /// Changes every parameter that has a gradient.
    ///
    /// # Panics
    /// With the errors of [`Optimizer::try_step`].
    #[track_caller]
    pub fn step(&mut self) {
        unwrap(self.try_step());
    }

    /// Changes every parameter that has a gradient.
    ///
    /// # Errors
    /// A parameter that is stale or no leaf any more; options out of their ranges, or that do not go together. Nothing is
    /// changed then.
    pub fn try_step(&mut self) -> Result<()> {
        for group in &self.groups {
            group.options.check_ranges()?;
            group.options.check_together()?;
        }
        self.check_params()?;
        for group in &mut self.groups {
            let options = group.options;
            for Param { tensor, buffers } in &mut group.params {
                tensor.try_update(|values, grad| {
                    buffers.steps += 1;
                    options.update(buffers, values, grad);
                })?;
            }
        }
        Ok(())
    }

    /// Forgets the gradients of all parameters.
    ///
    /// # Panics
    /// With the errors of [`Optimizer::try_zero_grad`].
    #[track_caller]
    pub fn zero_grad(&self) {
        unwrap(self.try_zero_grad());
    }

    /// Forgets the gradients of all parameters.
    ///
    /// # Errors
    /// A parameter that is stale. Nothing is changed then.
    pub fn try_zero_grad(&self) -> Result<()> {
        self.check_params()?;
        self.params().try_for_each(TensorBase::try_zero_grad)
    }

    /// # Errors
    /// A parameter is stale, or has become something else than a leaf.
    pub(crate) fn check_params(&self) -> Result<()> {
        for (place, tensor) in self.params().enumerate() {
            let is_leaf = tensor.try_is_leaf().map_err(|error| {
                wengert::Error::new(error.kind(), format!("{}: parameter {place} is gone: {error}", A::NAME))
            })?;
            if !is_leaf {
                let text = format!("{}: parameter {place} is no leaf any more; change it inside of `no_grad`", A::NAME);
                return Err(value_error(text));
            }
        }
        Ok(())
    }
}

impl<E: FloatElement, A: Algorithm> fmt::Debug for Optimizer<E, A> {
    /// The options of each group; no parameter values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(A::NAME).field("groups", &self.groups).finish()
    }
}

impl<E: FloatElement, A: Algorithm> fmt::Debug for Group<E, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("options", &self.options).field("params", &self.params.len()).finish()
    }
}

/// The plain form of a fallible method: panics with the error's text at the caller's line.
#[track_caller]
pub(crate) fn unwrap<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
