//! Computes one case and says what differs.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use wengert::{Element, FloatElement, GradOptions, Scope, TensorBase, grad_with, jvp};

use super::call::number;
use super::tolerance::{DIFFERENT, STRICT};
use super::{Call, Family, Number, Outputs, Value, op_of};

/// How one case went.
#[derive(Default)]
pub struct Outcome {
    /// What differs, in words.
    pub differences: Vec<String>,
    /// The largest [`error_of`] of a number that is finite in both.
    pub error: f64,
    /// The operations that the case recorded.
    pub recorded: BTreeSet<String>,
    /// The deliberate differences that it met, by their place among [`DIFFERENT`].
    pub deliberate: BTreeSet<usize>,
}

/// Whether a case is one of `f32`.
pub fn is_f32(case: &Json) -> bool {
    case["inputs"].as_array().expect("inputs").iter().any(|input| input["dtype"] == "f32")
}

/// The difference of a number found from the one expected, relative to the expected one and `scale` together; infinite if only
/// one of them is NaN, or an infinity.
fn error_of<E: Number>(found: f64, expected: f64, scale: f64) -> f64 {
    if found == expected || found.is_nan() && expected.is_nan() {
        0.0
    } else if found.is_finite() && expected.is_finite() {
        (found - expected).abs() / (expected.abs() + scale + E::UNDERFLOW)
    } else {
        f64::INFINITY
    }
}

/// Computes one case; `None` if the family does not know the operation.
pub fn replay(family: &Family, case: &Json) -> Option<Outcome> {
    if is_f32(case) { Replay::<f32>::run(family, case) } else { Replay::<f64>::run(family, case) }
}

/// One case being replayed.
struct Replay<'a, E> {
    family: &'a Family,
    case: &'a Json,
    inputs: Vec<(&'a str, Value<E>)>,
    /// The largest error that rounding explains.
    tolerance: f64,
    found: Outcome,
}

impl<'a, E: Number> Replay<'a, E> {
    fn run(family: &'a Family, case: &'a Json) -> Option<Outcome> {
        let _scope = Scope::enter();
        let tolerance = E::tolerance(op_of(case));
        let mut replay = Self { family, case, inputs: inputs(case), tolerance, found: Outcome::default() };
        let outputs = replay.call(&replay.inputs)?;
        replay.values(&outputs);
        if case.get("seeds").is_some() && replay.found.differences.is_empty() {
            replay.gradients(&outputs);
        }
        let dump = wengert::tape::dump();
        let entries = dump.lines().filter(|line| line.trim_start().starts_with('%'));
        replay.found.recorded = entries.filter_map(|line| Some(line.split_whitespace().nth(1)?.to_owned())).collect();
        Some(replay.found)
    }

    fn call(&self, inputs: &[(&str, Value<E>)]) -> Option<Outputs<E>> {
        let kwargs = self.case["kwargs"].as_object().expect("keyword arguments");
        E::in_family(self.family, &Call { op: op_of(self.case), inputs, kwargs })
    }

    /// Compares values, shapes and names.
    fn values(&mut self, outputs: &[Value<E>]) {
        let expected = self.case["outputs"].as_array().expect("outputs");
        if outputs.len() != expected.len() {
            self.found.differences.push(format!("{} outputs instead of {}", outputs.len(), expected.len()));
            return;
        }
        // An entry of PyTorch's database is often another function than the one whose name its operation has here.
        let named = self.case.get("entry").is_none() && !self.family.other_names.contains(&op_of(self.case));
        for (k, (output, expected)) in outputs.iter().zip(expected).enumerate() {
            let what = format!("output {k}");
            let shape: Vec<usize> =
                expected["shape"].as_array().into_iter().flatten().map(|n| n.as_u64().unwrap() as usize).collect();
            let (own, numbers, dtype) = read(*output);
            if own != shape || dtype != expected["dtype"] {
                let wanted = &expected["dtype"];
                self.found
                    .differences
                    .push(format!("{what}: {dtype} of shape {own:?} instead of {wanted} of {shape:?}"));
                continue;
            }
            self.compare(&what, Some(numbers), &expected["data"]);
            if let (Value::Float(output), true) = (output, named) {
                let (own, wanted) = (output.grad_fn(), expected.get("grad_fn").and_then(Json::as_str));
                if own != wanted {
                    self.found.differences.push(format!("{what}: grad_fn {own:?} instead of {wanted:?}"));
                }
            }
        }
    }

    /// Compares everything that has to do with derivatives.
    fn gradients(&mut self, outputs: &[Value<E>]) {
        let case = self.case;
        let smooth: Vec<(usize, TensorBase<E>, TensorBase<E>)> = (0..outputs.len())
            .filter_map(|k| match outputs[k] {
                Value::Float(y) if !case["seeds"][k].is_null() => {
                    Some((k, y, TensorBase::from_slice(&floats::<E>(&case["seeds"][k]), y.shape())))
                }
                _ => None,
            })
            .collect();
        if let Some((k, ..)) = smooth.iter().find(|(_, y, _)| !y.requires_grad()) {
            self.found.differences.push(format!("output {k} requires no gradient"));
            return;
        }
        let wanted: Vec<(usize, TensorBase<E>)> = self.wanted();
        for (_, y, seed) in &smooth {
            y.backward_with(*seed);
        }
        for &(k, x) in &wanted {
            let grad = x.grad().map(|grad| read(Value::Float(grad)).1);
            self.compare(&format!("gradient {k}"), grad, &case["grads"][k]);
        }
        let mut recorded: Vec<Option<TensorBase<E>>> = vec![None; wanted.len()];
        let leaves: Vec<TensorBase<E>> = wanted.iter().map(|&(_, x)| x).collect();
        for (_, y, seed) in &smooth {
            let options = GradOptions { create_graph: true, allow_unused: true };
            let grads =
                grad_with(*y, &leaves, Some(*seed), options).unwrap_or_else(|error| panic!("recorded: {error}"));
            for (total, grad) in recorded.iter_mut().zip(grads) {
                *total = total.map_or(grad, |total| Some(grad.map_or(total, |grad| total + grad)));
            }
        }
        for (&(k, _), grad) in wanted.iter().zip(&recorded) {
            self.compare(&format!("recorded gradient {k}"), grad.map(|g| read(Value::Float(g)).1), &case["grads"][k]);
        }
        if case.get("weights").is_some() {
            let weights: Vec<TensorBase<E>> = wanted
                .iter()
                .map(|&(k, x)| TensorBase::from_slice(&floats::<E>(&case["weights"][k]), x.shape()))
                .collect();
            self.forward(&smooth, &leaves, &weights);
            self.second(&leaves, &recorded, &weights);
        }
    }

    /// The inputs that ask for a gradient, with their numbers.
    fn wanted(&self) -> Vec<(usize, TensorBase<E>)> {
        let wanted = |(k, (_, value)): (usize, &(&str, Value<E>))| match value {
            Value::Float(x) if self.case["inputs"][k].get("grad").is_some() => Some((k, *x)),
            _ => None,
        };
        self.inputs.iter().enumerate().filter_map(wanted).collect()
    }

    /// The inputs with other tensors for those that ask for a gradient.
    fn with_leaves(&self, leaves: &[TensorBase<E>]) -> Vec<(&'a str, Value<E>)> {
        let wanted = self.wanted();
        let again = |(k, &(name, value)): (usize, &(&'a str, Value<E>))| {
            let source = self.case["inputs"][k]["same_as"].as_u64().map_or(k, |source| source as usize);
            let place = wanted.iter().position(|&(wanted, _)| wanted == source);
            (name, place.map_or(value, |place| Value::Float(leaves[place])))
        };
        self.inputs.iter().enumerate().map(again).collect()
    }

    /// Compares the Jacobian-vector products: each, or if the case has none, all together with the gradients.
    fn forward(
        &mut self,
        smooth: &[(usize, TensorBase<E>, TensorBase<E>)],
        leaves: &[TensorBase<E>],
        weights: &[TensorBase<E>],
    ) {
        let (mut total, mut terms) = (0.0, 0.0);
        for &(output, _, seed) in smooth {
            let (_, tangent) = jvp(
                |primals: Vec<TensorBase<E>>| {
                    let inputs = self.with_leaves(&primals);
                    match self.call(&inputs).expect("known above")[output] {
                        Value::Float(y) => y,
                        _ => unreachable!("an output with a seed holds floats"),
                    }
                },
                leaves.to_vec(),
                weights.to_vec(),
            );
            match self.case.get("jvp") {
                Some(expected) => self.compare_or_zero(&format!("jvp {output}"), Some(tangent), &expected[output]),
                None => {
                    let shares = tangent.to_vec().into_iter().zip(seed.to_vec()).map(|(t, s)| (t * s).into());
                    shares.for_each(|share: f64| (total, terms) = (total + share, terms + share.abs()));
                }
            }
        }
        if self.case.get("jvp").is_none() {
            self.compare_total(total, terms, weights);
        }
    }

    /// Compares the seeds times the Jacobian times the weights, found by forward mode as sum of `terms` in absolute value, with
    /// the same by the gradients expected.
    fn compare_total(&mut self, total: f64, mut terms: f64, weights: &[TensorBase<E>]) {
        let mut expected = 0.0;
        for ((k, _), weights) in self.wanted().into_iter().zip(weights) {
            let grads = &self.case["grads"][k];
            let grads = if grads.is_null() { Vec::new() } else { floats::<E>(grads) };
            let shares = grads.into_iter().zip(weights.to_vec()).map(|(g, w)| (g * w).into());
            shares.for_each(|share: f64| (expected, terms) = (expected + share, terms + share.abs()));
        }
        // Both can be zero where the operation is exact; sums are not.
        let error = error_of::<E>(total, expected, terms.max(1.0));
        if error > self.tolerance.max(STRICT.of::<E>()) && !self.is_deliberate("jvp") {
            let text = format!("seeds, Jacobian and weights: {total:e} by forward mode instead of {expected:e}");
            self.found.differences.push(text);
        }
    }

    /// Compares the gradients of the weighed gradients.
    fn second(&mut self, leaves: &[TensorBase<E>], grads: &[Option<TensorBase<E>>], weights: &[TensorBase<E>]) {
        let mut total: Option<TensorBase<E>> = None;
        for (grad, weight) in grads.iter().zip(weights) {
            if let Some(grad) = grad.filter(|grad| grad.requires_grad()) {
                let term = (grad * *weight).sum();
                total = Some(total.map_or(term, |total| total + term));
            }
        }
        let options = GradOptions { create_graph: false, allow_unused: true };
        let found = match total {
            Some(total) => grad_with(total, leaves, None, options).unwrap_or_else(|error| panic!("second: {error}")),
            None => vec![None; leaves.len()],
        };
        for ((k, _), grad) in self.wanted().into_iter().zip(found) {
            self.compare_or_zero(&format!("second derivative {k}"), grad, &self.case["grads2"][k]);
        }
    }

    /// As [`Self::compare`]; what is zero by structure may be zeros or nothing.
    fn compare_or_zero(&mut self, what: &str, found: Option<TensorBase<E>>, expected: &Json) {
        let numbers = found.map(|found| read(Value::Float(found)).1);
        let zeros = |json: &Json| json.as_array().into_iter().flatten().all(|n| number(n) == 0.0);
        match numbers {
            None if zeros(expected) => {}
            Some(numbers) if expected.is_null() => {
                if let Some(worst) = numbers.iter().find(|n| **n != 0.0) {
                    self.found.differences.push(format!("{what}: {worst} instead of zeros by structure"));
                }
            }
            numbers => self.compare(what, numbers, expected),
        }
    }

    /// Whether that comparison differs on purpose, which it notes.
    fn is_deliberate(&mut self, what: &str) -> bool {
        let place = DIFFERENT.iter().position(|different| different.covers(self.case, what));
        self.found.deliberate.extend(place);
        place.is_some()
    }

    /// Reports the worst difference.
    fn compare(&mut self, what: &str, found: Option<Vec<f64>>, expected: &Json) {
        let (found, expected) = match (found, expected.is_null()) {
            (None, true) => return,
            (None, false) => return self.found.differences.push(format!("{what}: none instead of {expected}")),
            (Some(found), true) => return self.found.differences.push(format!("{what}: {found:?} instead of none")),
            (Some(found), false) => (found, floats::<E>(expected).into_iter().map(Into::into).collect::<Vec<f64>>()),
        };
        if found.len() != expected.len() {
            return self.found.differences.push(format!(
                "{what}: {} elements instead of {}",
                found.len(),
                expected.len()
            ));
        }
        // Terms that cancel leave rounding errors of their own size, which is that of drawn numbers, 1, and in samples also that of
        // the largest result. Special numbers can all be tiny, and at the edges each stands for itself.
        let largest = expected.iter().filter(|e| e.is_finite()).fold(0.0, |most: f64, e| most.max(e.abs()));
        let scale = match self.case["tag"].as_str() {
            Some("special") => largest.min(1.0),
            Some("sample" | "strided") => largest.max(1.0),
            Some("edge") => 0.0,
            _ => 1.0,
        };
        let errors: Vec<f64> = found.iter().zip(&expected).map(|(&f, &e)| error_of::<E>(f, e, scale)).collect();
        let wrong = errors.iter().filter(|error| **error > self.tolerance).count();
        if let Some(worst) = (0..found.len()).max_by(|&i, &j| errors[i].total_cmp(&errors[j])) {
            if wrong > 0 && self.is_deliberate(what) {
                return;
            }
            self.found.error = self.found.error.max(errors[worst]);
            if wrong > 0 {
                let (f, e, n) = (found[worst], expected[worst], found.len());
                let text = format!(
                    "{what}: {f:e} instead of {e:e} at {worst} ({wrong} of {n} differ, by {:.1e})",
                    errors[worst]
                );
                self.found.differences.push(text);
            }
        }
    }
}

fn floats<E: FloatElement>(json: &Json) -> Vec<E> {
    json.as_array().expect("a list").iter().map(|n| E::of(number(n))).collect()
}

/// Shape, elements and type of a tensor.
fn read<E: Number>(value: Value<E>) -> (Vec<usize>, Vec<f64>, &'static str) {
    match value {
        Value::Float(x) => {
            let name = if size_of::<E>() == 4 { "f32" } else { "f64" };
            (x.shape().to_vec(), x.to_vec().into_iter().map(Into::into).collect(), name)
        }
        Value::Index(x) => (x.shape().to_vec(), x.to_vec().into_iter().map(|n| n as f64).collect(), "i64"),
        Value::Mask(x) => {
            (x.shape().to_vec(), x.to_vec().into_iter().map(|b| f64::from(u8::from(b))).collect(), "bool")
        }
    }
}

/// The inputs as leaves, laid out as they ask.
fn inputs<E: Number>(case: &Json) -> Vec<(&str, Value<E>)> {
    let mut inputs: Vec<(&str, Value<E>)> = Vec::new();
    for input in case["inputs"].as_array().expect("inputs") {
        let name = input["name"].as_str().expect("a name");
        let value = match input.get("same_as") {
            Some(place) => inputs[place.as_u64().expect("a place") as usize].1,
            None => leaf(input),
        };
        inputs.push((name, value));
    }
    inputs
}

fn leaf<E: Number>(input: &Json) -> Value<E> {
    let list: Vec<f64> = input["data"].as_array().expect("a list").iter().map(number).collect();
    let shape = lengths(&input["shape"]);
    match input["dtype"].as_str() {
        Some("i64") => {
            let list: Vec<i64> = list.iter().map(|&n| n as i64).collect();
            Value::Index(laid_out(input, &list, &shape, -1))
        }
        Some("bool") => {
            let list: Vec<bool> = list.iter().map(|&n| n != 0.0).collect();
            Value::Mask(laid_out(input, &list, &shape, true))
        }
        _ => {
            let list: Vec<E> = list.into_iter().map(E::of).collect();
            let x = laid_out(input, &list, &shape, E::of(f64::NAN));
            Value::Float(x.requires_grad_(input.get("grad").is_some()))
        }
    }
}

fn lengths(json: &Json) -> Vec<usize> {
    json.as_array().expect("a list").iter().map(|n| n.as_u64().expect("a length") as usize).collect()
}

/// The tensor as the input says that it lies in memory; what lies between its elements is `gap`.
fn laid_out<T: Element>(input: &Json, list: &[T], shape: &[usize], gap: T) -> TensorBase<T> {
    let x = TensorBase::from_slice(list, shape);
    if input.get("layout").is_some() {
        return x.transpose(-1, -2).contiguous().transpose(-1, -2);
    }
    let Some(strides) = input.get("strides").map(lengths) else { return x };
    // From the largest stride to the smallest, each is a multiple of the one after it, and those of 0 are last.
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.sort_by_key(|&d| std::cmp::Reverse(strides[d]));
    let moving: Vec<usize> = order.iter().copied().filter(|&d| strides[d] > 0).collect();
    // The shape of the memory: every stride of an element's dimension is the product of the lengths after it.
    let room = |k: usize| if k == 0 { shape[moving[0]] } else { strides[moving[k - 1]] / strides[moving[k]] };
    let mut block: Vec<usize> = (0..moving.len()).map(room).collect();
    block.push(moving.last().map_or(1, |&d| strides[d]));
    let numel = block.iter().product();
    let mut data = vec![gap; numel];
    for (flat, &value) in list.iter().enumerate() {
        let (mut rest, mut place) = (flat, 0);
        for d in (0..shape.len()).rev() {
            place += rest % shape[d] * strides[d];
            rest /= shape[d];
        }
        data[place] = value;
    }
    let mut x = TensorBase::from_slice(&data, &block).select(-1, 0);
    for (k, &d) in moving.iter().enumerate() {
        x = x.slice(k as isize, 0, shape[d] as isize, 1);
    }
    for _ in moving.len()..shape.len() {
        x = x.unsqueeze(-1);
    }
    // Dimension d of the tensor is where `order` has d.
    let place = |d: usize| order.iter().position(|&own| own == d).expect("every dimension is in the order") as isize;
    let x = x.permute((0..shape.len()).map(place).collect::<Vec<_>>()).expand(shape);
    assert_eq!(&x.strides()[..], &strides[..], "of {shape:?}");
    x
}
