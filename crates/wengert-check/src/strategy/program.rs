//! Programs on the tape as data: they run, print as Rust, and shrink.

use std::collections::BTreeSet;
use std::fmt;

use wengert::{Tensor64, no_grad, scope};

use super::tensor::TensorData;
use super::vocabulary::Row;
use crate::view::View;

type T = Tensor64;

/// A value of a [`Program`]: its inputs are counted first, then the results of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub usize);

/// How a step is called. All but the first cut its result off from its operands: no derivative flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// As it is.
    Plain,
    /// With `detach()` of the result.
    Detached,
    /// In `no_grad`.
    NoGrad,
    /// In a `scope` that its result leaves.
    Scope,
}

/// What a step does.
#[derive(Clone)]
pub(crate) enum Action {
    /// A tensor without operands.
    Constant(TensorData),
    /// The operand's elements, smoothly mapped to an interval that the next step needs.
    Squash { low: f64, high: f64 },
    /// The operand's elements, repeated and cut to fill a shape that the next step needs.
    Fill { shape: Vec<usize> },
    /// A row of the vocabulary, with its numbers.
    Call { row: &'static Row, numbers: Vec<isize> },
}

/// One operation of a [`Program`].
#[derive(Clone)]
pub struct Step {
    pub(crate) action: Action,
    pub(crate) operands: Vec<Value>,
    pub(crate) mode: Mode,
}

impl Step {
    /// The name of its operation in the engine's table; `None` for constants, and for what fits operands to the next step.
    pub fn op(&self) -> Option<&'static str> {
        match &self.action {
            Action::Call { row, .. } => Some(row.op),
            _ => None,
        }
    }

    /// The values that it works on.
    pub fn operands(&self) -> &[Value] {
        &self.operands
    }

    /// How it is called.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether it overwrites its first operand.
    pub fn writes(&self) -> bool {
        matches!(&self.action, Action::Call { row, .. } if row.writes())
    }

    /// Its result, for a step that is called plainly.
    pub fn apply(&self, x: &[T]) -> T {
        match &self.action {
            Action::Constant(data) => data.tensor(),
            Action::Squash { low, high } => x[0].sigmoid() * (high - low) + *low,
            Action::Fill { shape } => {
                let (have, need) = (x[0].numel(), shape.iter().product::<usize>());
                x[0].flatten(0, -1).repeat([need.div_ceil(have)]).narrow(0, 0, need).reshape(shape)
            }
            Action::Call { row, numbers } => (row.run)(x, numbers),
        }
    }

    /// Its result.
    pub fn run(&self, x: &[T]) -> T {
        match self.mode {
            Mode::Plain => self.apply(x),
            Mode::Detached => self.apply(x).detach(),
            Mode::NoGrad => no_grad(|| self.apply(x)),
            Mode::Scope => scope(|| self.apply(x)),
        }
    }

    /// Whether it may be called on these tensors.
    pub(crate) fn fits(&self, x: &[T]) -> bool {
        match &self.action {
            Action::Constant(_) => true,
            Action::Squash { .. } => x[0].numel() > 0,
            Action::Fill { .. } => x[0].numel() > 0,
            Action::Call { row, numbers } => {
                let shaped = row.operands.iter().zip(x).all(|(operand, x)| {
                    operand.shape.is_none_or(|shape| x.shape()[..] == *shape)
                        && operand.on.as_ref().is_none_or(|on| x.to_vec().iter().all(|x| on.contains(x)))
                });
                let bounded = || {
                    let bounds = (row.bounds)(x);
                    bounds.len() == numbers.len() && bounds.iter().zip(numbers).all(|(bound, n)| n < bound)
                };
                shaped && bounded() && (row.fits)(x, numbers)
            }
        }
    }

    fn text(&self, operands: &[String], numel: usize) -> String {
        let text = match &self.action {
            Action::Constant(data) => data.to_string(),
            Action::Squash { low, high } => format!("{}.sigmoid() * {:?} + {low:?}", operands[0], high - low),
            Action::Fill { shape } => {
                let need = shape.iter().product::<usize>();
                let times = need.div_ceil(numel);
                format!("{}.flatten(0, -1).repeat([{times}]).narrow(0, 0, {need}).reshape({shape:?})", operands[0])
            }
            Action::Call { row, numbers } => row.text(operands, numbers),
        };
        match self.mode {
            Mode::Plain => text,
            Mode::Detached if text.contains([' ', '{']) => format!("({text}).detach()"),
            Mode::Detached => format!("{text}.detach()"),
            Mode::NoGrad => format!("no_grad(|| {text})"),
            Mode::Scope => format!("scope(|| {text})"),
        }
    }
}

/// A program on the tape: inputs that require a gradient, and steps whose last one is the result.
///
/// It is data: it runs on any inputs of its shapes, prints as Rust that can be pasted into a test, and shrinks by dropping steps. Values
/// are shared, so the graph is no tree; steps make views, write in place, detach, and run in scopes.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::Scope;
/// use wengert_check::strategy::programs;
///
/// proptest!(|(program in programs(8))| {
///     let _scope = Scope::enter();
///     let y = program.run(&program.leaves());
///     prop_assert!(y.to_vec().iter().all(|y| y.is_finite()));
/// });
/// ```
#[derive(Clone)]
pub struct Program {
    /// The inputs.
    pub inputs: Vec<TensorData>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Program {
    /// The inputs as leaves that require a gradient.
    pub fn leaves(&self) -> Vec<T> {
        self.inputs.iter().map(|input| input.tensor().requires_grad_(true)).collect()
    }

    /// The result for the inputs `x`.
    ///
    /// # Panics
    /// If an operation does, as for inputs of other shapes.
    pub fn run(&self, x: &[T]) -> T {
        self.run_with(x, |step, x| step.run(x))
    }

    /// [`Self::run`] with another way to run a step.
    pub fn run_with(&self, x: &[T], run: impl FnMut(&Step, &[T]) -> T) -> T {
        *self.values_with(x, run).last().expect("a program has values")
    }

    /// All values of [`Self::run_with`], in order.
    pub(crate) fn values_with(&self, x: &[T], mut run: impl FnMut(&Step, &[T]) -> T) -> Vec<T> {
        let mut values = x.to_vec();
        for step in &self.steps {
            let operands: Vec<T> = step.operands.iter().map(|value| values[value.0]).collect();
            values.push(run(step, &operands));
        }
        values
    }

    /// Whether a step overwrites a value of an earlier one.
    pub fn writes(&self) -> bool {
        self.steps.iter().any(Step::writes)
    }

    /// Every value that the program has on its own inputs; `None` if a step does not fit its operands, or a value is not finite.
    pub(crate) fn trace(&self) -> Option<Vec<TensorData>> {
        let _scope = wengert::Scope::enter();
        let mut values = self.leaves();
        let mut trace = self.inputs.clone();
        for step in &self.steps {
            let operands: Vec<T> = step.operands.iter().map(|value| values[value.0]).collect();
            if !step.fits(&operands) {
                return None;
            }
            let y = step.run(&operands);
            // A handle that an operation passes through keeps its history.
            if step.mode != Mode::Plain && y.requires_grad() {
                return None;
            }
            trace.push(TensorData { shape: y.shape().to_vec(), values: y.to_vec(), view: View::Contiguous });
            values.push(y);
        }
        let is_usual = |data: &TensorData| !data.values.is_empty() && data.values.iter().all(|x| x.abs() < MOST);
        trace.iter().all(is_usual).then_some(trace)
    }

    /// The same program with constants in the place of the values that no derivative flows through. Its differences are what the
    /// derivatives of this program must be.
    ///
    /// # Panics
    /// If the program does.
    pub fn frozen(&self) -> Self {
        let trace = self.trace().expect("a program that runs");
        let mut frozen = self.clone();
        for (step, value) in frozen.steps.iter_mut().zip(&trace[self.inputs.len()..]) {
            if step.mode != Mode::Plain {
                *step = Step { action: Action::Constant(value.clone()), operands: vec![], mode: Mode::Plain };
            }
        }
        frozen
    }

    /// The steps in another order that computes the same; `choose` picks one of so many that could come next. The last step stays last.
    /// Programs that overwrite values stay as they are.
    pub fn reordered(&self, mut choose: impl FnMut(usize) -> usize) -> Self {
        if self.writes() || self.steps.is_empty() {
            return self.clone();
        }
        let (own, last) = (self.inputs.len(), self.steps.len() - 1);
        let mut places: Vec<Option<Value>> = (0..own).map(|k| Some(Value(k))).collect();
        places.resize(own + self.steps.len(), None);
        let mut steps = Vec::new();
        while steps.len() < self.steps.len() {
            let is_ready = |k: &usize| {
                let step = &self.steps[*k];
                places[own + k].is_none() && step.operands.iter().all(|value| places[value.0].is_some())
            };
            let mut ready: Vec<usize> = (0..self.steps.len()).filter(is_ready).collect();
            if steps.len() < last {
                ready.retain(|&k| k != last);
            }
            let next = ready[choose(ready.len())];
            places[own + next] = Some(Value(own + steps.len()));
            let mut step = self.steps[next].clone();
            for operand in &mut step.operands {
                *operand = places[operand.0].expect("operands come first");
            }
            steps.push(step);
        }
        Self { inputs: self.inputs.clone(), steps }
    }

    /// The program without steps and inputs that the result does not depend on; one input stays.
    pub(crate) fn pruned(&self) -> Self {
        let own = self.inputs.len();
        let mut needed: BTreeSet<Value> = BTreeSet::from([Value(own + self.steps.len() - 1)]);
        for (k, step) in self.steps.iter().enumerate().rev() {
            // What writes to a value that is needed is needed too.
            let writes = step.writes() && needed.contains(&step.operands[0]);
            if writes || needed.contains(&Value(own + k)) {
                needed.insert(Value(own + k));
                needed.extend(&step.operands);
            }
        }
        if needed.first().is_none_or(|first| first.0 >= own) {
            needed.insert(Value(0));
        }
        let rank = |value: &Value| Value(needed.iter().position(|kept| kept == value).expect("operands are needed"));
        let keeps = |k: &usize| needed.contains(&Value(*k));
        let inputs = (0..own).filter(keeps).map(|k| self.inputs[k].clone()).collect();
        let steps = (own..own + self.steps.len()).filter(keeps).map(|k| {
            let step = &self.steps[k - own];
            Step { operands: step.operands.iter().map(rank).collect(), ..step.clone() }
        });
        Self { inputs, steps: steps.collect() }
    }

    fn name(&self, value: Value) -> String {
        let own = self.inputs.len();
        match value.0 {
            k if k < own => format!("x{k}"),
            k if k + 1 == own + self.steps.len() => "y".into(),
            k => format!("v{}", k - own),
        }
    }
}

/// Values of programs are smaller than this: differences of larger ones say little.
const MOST: f64 = 1e3;

/// What printed programs may name.
const NAMES: [&str; 6] = ["IndexTensor", "PadMode", "cat(", "no_grad", "scope(", "stack("];
/// The same of `wengert::options`.
const OPTIONS: [&str; 3] = ["BatchNorm", "Conv2d", "LayerNorm"];

impl fmt::Display for Program {
    /// Rust that runs the program: `x0`, `x1`, .. are inputs, `y` is the result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for (k, input) in self.inputs.iter().enumerate() {
            lines.push(format!("let x{k} = {input}.requires_grad_(true);"));
        }
        let trace = self.trace();
        for (k, step) in self.steps.iter().enumerate() {
            let operands: Vec<String> = step.operands.iter().map(|&value| self.name(value)).collect();
            let numel = |value: &Value| trace.as_ref().map_or(1, |trace| trace[value.0].values.len());
            let text = step.text(&operands, step.operands.first().map_or(1, numel));
            lines.push(format!("let {} = {text};", self.name(Value(self.inputs.len() + k))));
        }
        let text = lines.join("\n");
        let used = |names: &[&str]| -> Vec<String> {
            names.iter().filter(|name| text.contains(*name)).map(|name| name.trim_end_matches('(').into()).collect()
        };
        let mut names = used(&NAMES);
        names.push("Tensor64".into());
        names.sort_by_key(|name| name.to_lowercase());
        for (module, names) in [("wengert", names), ("wengert::options", used(&OPTIONS))] {
            match &names[..] {
                [] => {}
                [name] => writeln!(f, "use {module}::{name};")?,
                names => writeln!(f, "use {module}::{{{}}};", names.join(", "))?,
            }
        }
        if text.contains("View::") {
            writeln!(f, "use wengert_check::View;")?;
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Program {
    /// As [`fmt::Display`]: what a failing test shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}\n")
    }
}
