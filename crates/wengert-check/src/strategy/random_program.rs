//! Random programs: how they are drawn, and how they shrink.

use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;
use wengert::{ErrorKind, GradOptions, Scope, Tensor64, grad_with};

use super::program::{Action, Mode, Program, Step, Value};
use super::tensor::TensorData;
use super::vocabulary::{ROWS, Row};
use crate::random::Random;
use crate::view::View;

/// Shapes of inputs; operations make others of them.
const SHAPES: [&[usize]; 10] = [&[], &[3], &[2, 3], &[2], &[3, 1], &[1], &[3, 3], &[2, 1, 3], &[4], &[3, 2]];
/// The same for [`Programs::large`]: several blocks of a loop over elements, rows, columns and planes enough to be shared by threads.
const LARGE: [&[usize]; 10] =
    [&[], &[2100], &[2, 1030], &[4], &[1500, 3], &[3, 1], &[120, 40], &[7, 1, 300], &[1030], &[1]];
/// How often a row that does not fit is exchanged for another one.
const TRIES: usize = 50;

/// One of so many steps overwrites an earlier value, if it may: few rows do.
const RARELY: usize = 12;

/// Programs of up to `most` steps over the whole table of operations.
///
/// Each row of the vocabulary is as likely as any other; operands that a row can't take are mapped to its interval, or fill its shape, by a
/// step of their own. Values stay below 1,000. A failing program shrinks to one with fewer steps, whose values come from inputs where the
/// failing program computed them, and with shorter numbers.
pub fn programs(most: usize) -> Programs {
    Programs { most: most.max(1), large: false }
}

/// The strategy of [`programs`].
#[derive(Clone, Debug)]
pub struct Programs {
    most: usize,
    large: bool,
}

impl Programs {
    /// With inputs of up to some thousand elements beside the small ones, for what depends on the number of elements, as blocks and threads do.
    #[must_use]
    pub fn large(mut self) -> Self {
        self.large = true;
        self
    }
}

impl Strategy for Programs {
    type Tree = ProgramTree;
    type Value = Program;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = any::<u64>().new_tree(runner)?.current();
        let random = &mut Random::new(seed);
        loop {
            let program = draw(random, self);
            if can_be_swept(&program) {
                return Ok(ProgramTree::new(program));
            }
        }
    }
}

/// A number from -2 to 2, in hundredths.
fn number(random: &mut Random) -> f64 {
    // A quotient of whole numbers is the nearest number, so it is short in print.
    (random.below(400) as f64 - 200.0) / 100.0
}

/// A number from -2 to 2 that hardly any other one of thousands ties with.
fn long_number(random: &mut Random) -> f64 {
    let most = 1 << 30;
    4.0 * random.below(most) as f64 / most as f64 - 2.0
}

/// Whether a program with these inputs is unlikely to lie on a kink: no two elements tie, and none is an integer or a half.
fn is_generic(inputs: &[TensorData]) -> bool {
    let mut seen: Vec<u64> = inputs.iter().flat_map(|input| &input.values).map(|x| x.abs().to_bits()).collect();
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    seen.len() == count && seen.iter().all(|&bits| (f64::from_bits(bits) * 2.0).fract() != 0.0)
}

/// The inputs with `value` after them, its elements moved by hundredths until nothing ties.
fn with_generic(inputs: &[TensorData], value: &TensorData) -> Vec<TensorData> {
    let mut all = inputs.to_vec();
    all.push(TensorData { shape: value.shape.clone(), values: Vec::new(), view: View::Contiguous });
    let last = all.len() - 1;
    for x in &value.values {
        let mut hundredths = (x * 100.0).round();
        all[last].values.push(hundredths / 100.0);
        while !is_generic(&all) {
            hundredths += 1.0;
            *all[last].values.last_mut().expect("one was pushed") = hundredths / 100.0;
        }
    }
    all
}

fn draw(random: &mut Random, &Programs { most, large }: &Programs) -> Program {
    let (shapes, number) = if large { (LARGE, long_number as fn(&mut Random) -> f64) } else { (SHAPES, number as _) };
    let input = |random: &mut Random| {
        let shape = shapes[random.below(shapes.len())].to_vec();
        let values = (0..shape.iter().product()).map(|_| number(random)).collect();
        let view = if random.below(4) == 0 { View::ALL[random.below(View::ALL.len())] } else { View::Contiguous };
        TensorData { shape, values, view }
    };
    let mut inputs = Vec::new();
    let count = 1 + random.below(3);
    while inputs.len() < count {
        inputs.push(input(random));
        if !is_generic(&inputs) {
            inputs.pop();
        }
    }
    let mut drawing = Drawing::new(Program { inputs, steps: Vec::new() });
    let steps = 1 + random.below(most);
    for _ in 0..TRIES * most {
        if drawing.program.steps.len() >= steps {
            break;
        }
        drawing.add(random);
    }
    if drawing.program.steps.is_empty() {
        let action = Action::Squash { low: 0.0, high: 1.0 };
        drawing.push(Step { action, operands: vec![Value(0)], mode: Mode::Plain });
    }
    drawing.program.pruned()
}

/// A program that is being drawn, with its values.
struct Drawing {
    program: Program,
    values: Vec<Tensor64>,
    _scope: Scope,
}

impl Drawing {
    fn new(program: Program) -> Self {
        let scope = Scope::enter();
        Self { values: program.leaves(), program, _scope: scope }
    }

    /// Adds a row of the vocabulary, with what its operands need before, if it fits the operands that are drawn.
    fn add(&mut self, random: &mut Random) {
        let mut row = &ROWS[random.below(ROWS.len())];
        if random.below(RARELY) == 0 {
            let writing: Vec<&Row> = ROWS.iter().filter(|row| row.writes()).collect();
            row = writing[random.below(writing.len())];
        }
        let before = self.values.len();
        // The latest values are likelier, so that programs are deep.
        let mut pick = |values: usize| match random.below(2) {
            0 => Value(values - 1 - random.below(values.min(3))),
            _ => Value(random.below(values)),
        };
        let drawn: Vec<Value> = row.operands.iter().map(|_| pick(before)).collect();
        let operands = (0..drawn.len()).map(|k| self.prepared(row, k, drawn[k])).collect();
        if !self.call(row, operands, random) {
            self.values.truncate(before);
            self.program.steps.truncate(before - self.program.inputs.len());
        }
    }

    /// The value that the row can take for its operand `k`, made of `value` where that is no such one.
    fn prepared(&mut self, row: &'static Row, k: usize, value: Value) -> Value {
        let mut value = value;
        if let Some(shape) = row.operands[k].shape
            && self.values[value.0].shape()[..] != *shape
        {
            value = self.push(Step::plain(Action::Fill { shape: shape.to_vec() }, value));
        }
        if let Some(on) = &row.operands[k].on
            && !self.values[value.0].to_vec().iter().all(|x| on.contains(x))
        {
            value = self.push(Step::plain(Action::Squash { low: on.start, high: on.end }, value));
        }
        value
    }

    fn call(&mut self, row: &'static Row, operands: Vec<Value>, random: &mut Random) -> bool {
        let x: Vec<Tensor64> = operands.iter().map(|value| self.values[value.0]).collect();
        let bounds = (row.bounds)(&x);
        if bounds.iter().any(|&bound| bound < 1) {
            return false;
        }
        let numbers = bounds.iter().map(|&bound| random.below(bound as usize) as isize).collect();
        let mode = match random.below(16) {
            0 if !row.writes() => Mode::Detached,
            1 if !row.writes() => Mode::NoGrad,
            2 if !row.writes() => Mode::Scope,
            _ => Mode::Plain,
        };
        let step = Step { action: Action::Call { row, numbers }, operands, mode };
        if !step.fits(&x) {
            return false;
        }
        self.push(step);
        self.program.trace().is_some()
    }

    fn push(&mut self, step: Step) -> Value {
        let x: Vec<Tensor64> = step.operands.iter().map(|value| self.values[value.0]).collect();
        self.values.push(step.run(&x));
        self.program.steps.push(step);
        Value(self.values.len() - 1)
    }
}

impl Step {
    fn plain(action: Action, operand: Value) -> Self {
        Self { action, operands: vec![operand], mode: Mode::Plain }
    }
}

/// Whether the program runs, and backward needs no value that it overwrote.
fn can_be_swept(program: &Program) -> bool {
    if program.trace().is_none() {
        return false;
    }
    if !program.writes() {
        return true;
    }
    let _scope = Scope::enter();
    let x = program.leaves();
    let y = program.run(&x).sum();
    let options = GradOptions { allow_unused: true, ..GradOptions::default() };
    !y.requires_grad() || !grad_with(y, &x, None, options).is_err_and(|error| error.kind() == ErrorKind::InPlace)
}

/// A program that shrinks.
#[derive(Clone, Debug)]
pub struct ProgramTree {
    /// The smallest that failed so far.
    failed: Program,
    current: Program,
    /// Simpler ones than `failed` that were not tried yet, the next one last.
    simpler: Vec<Program>,
}

impl ProgramTree {
    fn new(program: Program) -> Self {
        Self { current: program.clone(), simpler: Vec::new(), failed: program }
    }

    fn next(&mut self) -> bool {
        while let Some(program) = self.simpler.pop() {
            if is_generic(&program.inputs) && can_be_swept(&program) {
                self.current = program;
                return true;
            }
        }
        self.current = self.failed.clone();
        false
    }
}

impl ValueTree for ProgramTree {
    type Value = Program;

    fn current(&self) -> Program {
        self.current.clone()
    }

    fn simplify(&mut self) -> bool {
        self.failed = self.current.clone();
        self.simpler = simpler(&self.failed);
        self.simpler.reverse();
        self.next()
    }

    fn complicate(&mut self) -> bool {
        self.next()
    }
}

/// Programs that are a little simpler, the boldest first.
fn simpler(program: &Program) -> Vec<Program> {
    let mut all = Vec::new();
    let own = program.inputs.len();
    for length in 1..program.steps.len() {
        all.push(Program { steps: program.steps[..length].to_vec(), ..program.clone() }.pruned());
    }
    let trace = program.trace().unwrap_or_default();
    for place in (0..program.steps.len()).rev() {
        for &operand in &program.steps[place].operands {
            if trace.get(operand.0).map(|t| &t.shape) == trace.get(own + place).map(|t| &t.shape) {
                all.extend(without_step(program, place, operand));
            }
        }
    }
    for place in (0..program.steps.len()).rev() {
        all.extend(trace.get(own + place).and_then(|value| with_input(program, place, value)));
    }
    for place in 0..program.steps.len() {
        if program.steps[place].mode != Mode::Plain {
            let mut plain = program.clone();
            plain.steps[place].mode = Mode::Plain;
            all.push(plain);
        }
    }
    all.extend((1..own).flat_map(|k| (0..k).filter_map(move |other| with_one_input(program, k, other))));
    for k in 0..own {
        all.extend(simpler_inputs(&program.inputs[k]).into_iter().map(|input| {
            let mut simple = program.clone();
            simple.inputs[k] = input;
            simple
        }));
    }
    all
}

/// The program in which an operand of the step takes its place.
fn without_step(program: &Program, place: usize, operand: Value) -> Option<Program> {
    if program.steps.len() < 2 || program.steps[place].writes() {
        return None;
    }
    let gone = program.inputs.len() + place;
    let mut steps = program.steps.clone();
    steps.remove(place);
    for value in steps.iter_mut().flat_map(|step| &mut step.operands) {
        match value.0 {
            k if k == gone => *value = operand,
            k if k > gone => value.0 -= 1,
            _ => {}
        }
    }
    Some(Program { inputs: program.inputs.clone(), steps }.pruned())
}

/// The program in which an input of about the value that a step computed takes its place.
fn with_input(program: &Program, place: usize, value: &TensorData) -> Option<Program> {
    let own = program.inputs.len();
    let is_last = place + 1 == program.steps.len();
    // Many hundredths tie.
    if is_last || program.steps[place].writes() || value.values.len() > 64 {
        return None;
    }
    let inputs = with_generic(&program.inputs, value);
    let mut steps = program.steps.clone();
    steps.remove(place);
    for value in steps.iter_mut().flat_map(|step| &mut step.operands) {
        match value.0 {
            k if k == own + place => value.0 = own,
            k if k >= own && k < own + place => value.0 += 1,
            _ => {}
        }
    }
    Some(Program { inputs, steps }.pruned())
}

/// The program in which input `other` takes the place of input `k`.
fn with_one_input(program: &Program, k: usize, other: usize) -> Option<Program> {
    if program.inputs[k].shape != program.inputs[other].shape {
        return None;
    }
    let mut steps = program.steps.clone();
    for value in steps.iter_mut().flat_map(|step| &mut step.operands).filter(|value| value.0 == k) {
        value.0 = other;
    }
    Some(Program { inputs: program.inputs.clone(), steps }.pruned())
}

/// The input in contiguous memory, and with fewer decimals.
fn simpler_inputs(input: &TensorData) -> Vec<TensorData> {
    let mut all = Vec::new();
    if input.view != View::Contiguous {
        all.push(TensorData { view: View::Contiguous, ..input.clone() });
    }
    let values: Vec<f64> = input.values.iter().map(|x| (x * 10.0).round() / 10.0).collect();
    if values != input.values {
        all.push(TensorData { values, ..input.clone() });
    }
    all
}
