//! Optimisers, learning-rate schedules and gradient clipping for wengert.
//!
//! Formulas and defaults are PyTorch's, operation by operation in the parameters' precision.
//!
//! ```
//! use wengert::{scope, Tensor};
//! use wengert_optim::Sgd;
//!
//! let w = Tensor::ones([4]).requires_grad_(true);
//! let mut sgd = Sgd::new([w], 0.1);
//! scope(|| (w * 3.0).sum().backward());
//! sgd.step();
//! sgd.zero_grad();
//! println!("{w}"); // tensor([0.7000, 0.7000, 0.7000, 0.7000], requires_grad=True)
//! ```

mod adagrad;
mod adam;
mod buffers;
mod clip;
mod formula;
mod optimizer;
mod options;
mod rmsprop;
mod schedule;
mod sgd;
mod state;

pub use adagrad::{Adagrad, AdagradOptions};
pub use adam::{Adam, AdamOptions, AdamW, AdamWOptions};
pub use buffers::Buffers;
pub use clip::{ClipNorm, clip_grad_norm, clip_grad_value, try_clip_grad_value};
pub use optimizer::{Group, Optimizer};
pub use options::{Algorithm, Options};
pub use rmsprop::{RmsProp, RmsPropOptions};
pub use schedule::{
    CosineAnnealingLr, ExponentialLr, LinearLr, MultiStepLr, OneCycleLr, PerGroup, PlateauState, ReduceLrOnPlateau,
    Schedule, Scheduler, SequentialLr, StepLr,
};
pub use sgd::{Sgd, SgdOptions};
pub use state::{GroupState, ParamState, State};
