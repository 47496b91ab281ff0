//! The operations: what each computes, and how it is differentiated.
//!
//! An elementwise operation is one row of [`elementwise`]'s table. Any other is a *structured* operation: a type that implements
//! [`Operation`], [`Compute`] (or [`View`]) and [`Derivative`], and is named once in [`structured!`]. Derivatives are written in
//! tensor operations, so that the same rule serves the plain sweep (where it runs without recording) and `create_graph`.

pub(crate) mod elementwise;
pub(crate) mod indexing;
pub(crate) mod linalg;
pub(crate) mod movement;
pub(crate) mod nn;
pub(crate) mod reduce;
pub(crate) mod rule;

use self::elementwise::Elementwise;
pub(crate) use self::reduce::{compute_fold, settle_fold};
pub(crate) use self::rule::{
    Case, Compute, Derivative, Fold, Input, Operation, View, compute_leaf, record, record_fold, record_view,
};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::FloatElement;
use crate::error::Result;
use crate::tape::Tape;
use crate::tensor::TensorBase;

/// What an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A tensor that was made, not computed.
    Leaf,
    Elementwise(Elementwise),
    Structured(Structured),
    /// A function of the user's, whose state is a node of the tape.
    Custom,
}

impl Op {
    /// The operation's name, as its method is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Elementwise(op) => op.row().name,
            Self::Structured(op) => op.name(),
            Self::Custom => "a user-defined function",
        }
    }

    /// The name that print shows as `grad_fn` of the entry `index`, which records this.
    pub fn grad_fn(self, tape: &Tape, index: u32) -> &'static str {
        match self {
            Self::Leaf => "AccumulateGrad",
            Self::Elementwise(op) => op.row().grad_fn(tape.entry(index).flags),
            Self::Structured(op) => op.grad_fn(tape, index),
            Self::Custom => crate::custom::grad_fn(tape.node(tape.entry(index)).name),
        }
    }

    /// Whether an entry without a list of operands uses `Entry::b`.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Elementwise(op) if op.row().arity > 1)
    }

    /// Whether the entry is its base tensor after an in-place write.
    pub fn is_version(self) -> bool {
        self == Self::Structured(Structured::Assign)
    }
}

/// Names every structured operation once: variant of [`Structured`] and type that has its rules.
macro_rules! structured {
    ($($variant:ident = $rule:ty,)+) => {
        /// A structured operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Structured { $($variant),+ }

        impl Structured {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => <$rule as Operation>::NAME),+ }
            }

            /// The usual name in print.
            pub fn usual_grad_fn(self) -> &'static str {
                match self { $(Self::$variant => <$rule as Operation>::GRAD_FN),+ }
            }

            fn grad_fn(self, tape: &Tape, index: u32) -> &'static str {
                match self { $(Self::$variant => match tape.meta(index).attrs {
                    Some(attrs) => <$rule as Operation>::grad_fn(tape.arena.get_erased(attrs)),
                    None => <$rule as Operation>::GRAD_FN,
                }),+ }
            }

            /// Sample calls whose derivatives are checked.
            pub fn cases(self) -> Vec<Case> {
                match self { $(Self::$variant => <$rule as Operation>::cases()),+ }
            }

            pub fn backward<E: FloatElement>(self, cx: &mut Backward<'_, E>) -> Result<()> {
                match self { $(Self::$variant => {
                    let attrs = cx.attrs::<<$rule as Operation>::Attrs>()?;
                    <$rule as Derivative<E>>::backward(cx, &attrs)
                }),+ }
            }

            /// `false` if the rule for one gradient must do.
            pub fn backward_many<E: FloatElement>(self, cx: &mut BackwardMany<'_, E>) -> Result<bool> {
                match self { $(Self::$variant => {
                    let attrs = cx.attrs::<<$rule as Operation>::Attrs>()?;
                    <$rule as Derivative<E>>::backward_many(cx, &attrs)
                }),+ }
            }

            /// `None` if the rule for one tangent must do.
            pub fn tangent_many<E: FloatElement>(self, cx: &ForwardMany<'_, E>) -> Result<Option<TensorBase<E>>> {
                match self { $(Self::$variant => {
                    let attrs = cx.attrs::<<$rule as Operation>::Attrs>()?;
                    <$rule as Derivative<E>>::tangent_many(cx, &attrs)
                }),+ }
            }

            pub fn tangent<E: FloatElement>(self, cx: &Forward<E>) -> Result<TensorBase<E>> {
                match self { $(Self::$variant => {
                    let attrs = cx.attrs::<<$rule as Operation>::Attrs>()?;
                    <$rule as Derivative<E>>::tangent(cx, &attrs)
                }),+ }
            }
        }
    };
}

structured! {
    Gather = indexing::gather::Gather,
    Scatter = indexing::scatter::Scatter,
    ScatterAdd = indexing::scatter::ScatterAdd,
    MaskedFill = indexing::mask::MaskedFill,
    Assign = movement::assign::Assign,
    Cast = movement::cast::Cast,
    Cat = movement::cat::Cat,
    Diag = movement::diagonal::Diag,
    Diagonal = movement::diagonal::Diagonal,
    Remap = movement::remap::Remap,
    RemapAdd = movement::remap::RemapAdd,
    Triangle = movement::triangle::Triangle,
    Contiguous = movement::contiguous::Contiguous,
    Reshape = movement::reshape::Reshape,
    Permute = movement::permute::Permute,
    Expand = movement::expand::Expand,
    Slice = movement::slice::Slice,
    AsStrided = movement::strided::AsStrided,
    FromStrided = movement::strided::FromStrided,
    Cumprod = reduce::scan::Cumprod,
    Cumsum = reduce::scan::Cumsum,
    Extreme = reduce::extreme::Extreme,
    Logsumexp = reduce::logsumexp::Logsumexp,
    Mean = reduce::mean::Mean,
    Norm = reduce::norm::Norm,
    Prod = reduce::prod::Prod,
    Recurrence = reduce::scan::Recurrence,
    Shift = reduce::scan::Shift,
    Std = reduce::spread::Std,
    Sum = reduce::sum::Sum,
    Var = reduce::spread::Var,
    Dot = linalg::dot::Dot,
    Linear = linalg::linear::Linear,
    Matmul = linalg::matmul::Matmul,
    AvgPool2d = nn::pool::AvgPool2d,
    AvgPoolBackward = nn::pool::AvgPoolBackward,
    Conv = nn::conv::Conv,
    ConvInput = nn::conv::ConvInput,
    ConvWeight = nn::conv::ConvWeight,
    CrossEntropy = nn::cross_entropy::Loss,
    CrossEntropyBackward = nn::cross_entropy::LossBackward,
    LogSoftmax = nn::softmax::LogSoftmax,
    LogSoftmaxBackward = nn::softmax::LogSoftmaxBackward,
    MaxPool2d = nn::pool::MaxPool2d,
    MaxPoolBackward = nn::pool::MaxPoolBackward,
    NllBackward = nn::nll::NllBackward,
    NllLoss = nn::nll::NllLoss,
    NormChannels = nn::norm::NormChannels,
    NormRows = nn::norm::NormRows,
    PairLoss = nn::pointwise::PairLoss,
    Softmax = nn::softmax::Softmax,
    SoftmaxBackward = nn::softmax::SoftmaxBackward,
}
