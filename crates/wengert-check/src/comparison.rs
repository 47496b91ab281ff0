//! A check in progress: every way to compute a derivative against another one.

use wengert::manual_seed;

use crate::check::{GradCheck, refused, unravel};
use crate::derivative::{Jacobian, Outputs, Product, Recorded, Slopes, dot, push, slopes};
use crate::judge::{SHORTER, Verdict};
use crate::random::Random;
use crate::report::{Check, Failure, Kink, Mismatch, Place, Report};
use crate::subject::{Input, Subject};
use crate::view::View;

type Found<T> = Result<T, Failure>;

/// How much closer two exact methods must be to each other than to differences.
const EXACT: f64 = 1e-2;

/// With more elements than this, a random projection that differs is all that is reported.
const MOST_ELEMENTS: usize = 4096;

/// What compares a function's derivatives at a point.
pub(crate) struct Comparison<'a> {
    options: &'a GradCheck,
    subject: &'a Subject<'a>,
    outputs: Outputs,
    report: Report,
    /// A random seed for all outputs, and what backward makes of it.
    weights: Vec<f64>,
    product: Product,
}

impl<'a> Comparison<'a> {
    /// Compares everything that is asked for. Gives the report, if all is right, and what the function returns.
    pub fn run(
        options: &'a GradCheck,
        subject: &'a Subject<'a>,
        random: &mut Random,
        second: bool,
    ) -> Found<(Report, Outputs)> {
        let outputs = steady_outputs(options, subject)?;
        if !second {
            check_differentiable(&outputs)?;
        }
        let weights = random.numbers(outputs.len());
        let inputs = subject.inputs.iter().map(|input| (input.name.clone(), input.shape.clone())).collect();
        let report = Report { inputs, second, rounded: is_rounded(&outputs.values), ..Report::default() };
        let product = pull(subject, &subject.tracked(), &weights)?;
        let mut all = Self { options, subject, outputs, report, weights, product };
        if options.fast {
            all.projections(random)?;
        } else {
            all.elements()?;
        }
        if options.undefined {
            all.zero_seed()?;
            if !second {
                all.alone()?;
            }
        }
        if options.strided && subject.takes_inputs {
            all.strided()?;
        }
        all.steady()?;
        if !all.report.is_right() {
            all.report.mismatches.sort_by(|a, b| b.error().total_cmp(&a.error()));
            return Err(Failure::Wrong(Box::new(all.report)));
        }
        Ok((all.report, all.outputs))
    }

    /// Every element of the Jacobian, by all methods.
    fn elements(&mut self) -> Found<()> {
        let (subject, count) = (self.subject, self.outputs.len());
        let backward = Recorded::new(subject, &subject.tracked(), View::Contiguous).and_then(|r| r.jacobian());
        let backward = backward.map_err(refused("backward"))?;
        let size = |k: usize| subject.inputs[k].values.len();
        let elements: Vec<(usize, usize)> =
            self.tracked().flat_map(|input| (0..size(input)).map(move |element| (input, element))).collect();
        let unit = |input: usize, element: usize| one_hot(size(input), element);
        let mut forward = self.forward(elements.iter().map(|&(k, i)| (k, unit(k, i))))?.map(Vec::into_iter);
        for (input, element) in elements {
            let direction = &unit(input, element);
            let column = backward[input][element * count..(element + 1) * count].to_vec();
            let mut methods = vec![(Check::Backward, column)];
            methods.extend(forward.as_mut().and_then(Iterator::next).map(|column| (Check::Forward, column)));
            let place = self.input_place(input, element);
            let wide = self.slopes(input, direction, self.options.eps)?;
            self.compare(&place, &methods, wide, |this| this.slopes(input, direction, this.options.eps / SHORTER))?;
        }
        let expected = self.weigh_rows(&backward);
        self.compare_products(Check::Linear, &self.product.clone(), &expected);
        Ok(())
    }

    /// For each input the derivative along a random direction of the number that random weights make of the outputs. If something is
    /// not plainly right, all elements are compared, unless there are too many.
    fn projections(&mut self, random: &mut Random) -> Found<()> {
        let direction = |k: usize| (k, random.numbers(self.subject.inputs[k].values.len()));
        let tracked: Vec<usize> = self.tracked().collect();
        let directions: Vec<(usize, Vec<f64>)> = tracked.into_iter().map(direction).collect();
        let mut forward = self.forward(directions.iter().cloned())?.map(Vec::into_iter);
        for (input, direction) in &directions {
            let mut methods = vec![(Check::Backward, vec![dot(&self.product[*input], direction)])];
            if let Some(column) = forward.as_mut().and_then(Iterator::next) {
                methods.push((Check::Forward, vec![dot(&column, &self.weights)]));
            }
            let place = Place { tensor: *input, element: None };
            let wide = self.slopes(*input, direction, self.options.eps)?.weighed(&self.weights);
            self.compare(&place, &methods, wide, |this| {
                Ok(this.slopes(*input, direction, this.options.eps / SHORTER)?.weighed(&this.weights))
            })?;
        }
        let elements: usize = self.tracked().map(|k| self.subject.inputs[k].values.len()).sum();
        if self.report.is_right() && self.report.kinks.is_empty() || elements > MOST_ELEMENTS {
            return Ok(());
        }
        let projected = std::mem::take(&mut self.report.mismatches);
        self.report.kinks.clear();
        self.elements()?;
        if self.report.is_right() && self.report.kinks.is_empty() {
            // Each element is within the tolerance, and together they are not. A direction across several kinks says nothing.
            self.report.mismatches = projected;
        }
        Ok(())
    }

    /// Backward from zeros must give zeros.
    fn zero_seed(&mut self) -> Found<()> {
        let zeros = vec![0.0; self.outputs.len()];
        let product = pull(self.subject, &self.subject.tracked(), &zeros)?;
        let expected: Product = product.iter().map(|product| vec![0.0; product.len()]).collect();
        self.compare_products(Check::ZeroSeed, &product, &expected);
        Ok(())
    }

    /// Each input as the only one that requires a gradient, or has a tangent.
    fn alone(&mut self) -> Found<()> {
        let tracked: Vec<usize> = self.tracked().collect();
        if tracked.len() < 2 {
            return Ok(());
        }
        let random = &mut Random::new(self.options.seed);
        for k in tracked {
            let only: Vec<bool> = (0..self.subject.inputs.len()).map(|other| other == k).collect();
            let mut expected: Product = vec![Vec::new(); only.len()];
            expected[k] = self.product[k].clone();
            let product = pull(self.subject, &only, &self.weights)?;
            self.compare_products(Check::Alone, &product, &expected);
            let direction = [(k, random.numbers(self.subject.inputs[k].values.len()))];
            let Some(all) = self.forward(direction.clone())? else { continue };
            let alone = push(self.subject, &only, direction).map_err(refused("forward mode for one input"))?;
            for (place, (&alone, &all)) in alone[0].iter().zip(&all[0]).enumerate() {
                let input = Place { tensor: k, element: None };
                self.compare_exact(Check::ForwardAlone, Some(input), Some(self.output_place(place)), alone, all);
            }
        }
        Ok(())
    }

    /// Inputs that are views that are not contiguous.
    fn strided(&mut self) -> Found<()> {
        let (subject, tracked) = (self.subject, self.subject.tracked());
        let strided =
            Recorded::new(subject, &tracked, View::Scattered).map_err(refused("the function of strided inputs"))?;
        let values = strided.outputs().map_err(refused("the function of strided inputs"))?.values;
        if values.len() != self.outputs.len() {
            return Err(Failure::Input("the function gives other shapes if its inputs are strided views".into()));
        }
        for (place, (&strided, &plain)) in values.iter().zip(&self.outputs.values.clone()).enumerate() {
            self.compare_exact(Check::StridedValue, None, Some(self.output_place(place)), strided, plain);
        }
        let product = strided.pull_all(&self.weights).map_err(refused("backward at strided inputs"))?;
        self.compare_products(Check::Strided, &product, &self.product.clone());
        Ok(())
    }

    /// Value and gradient again, after the function was called elsewhere.
    fn steady(&self) -> Found<()> {
        let again = evaluate(self.subject)?;
        if let Some(place) = self.options.change(&self.outputs.values, &again) {
            let [first, second] = [&self.outputs.values, &again].map(|values| values[place]);
            let cause = "the function has a hidden state: after calls at other points its value here is another one";
            return Err(Failure::Unsteady { cause: cause.into(), first, second });
        }
        let again = pull(self.subject, &self.subject.tracked(), &self.weights)?;
        for (input, (first, second)) in self.product.iter().zip(&again).enumerate() {
            if let Some(element) = self.options.change(first, second) {
                let [first, second] = [first, second].map(|values| values[element]);
                let (name, shape) = &self.report.inputs[input];
                let element = unravel(element, shape);
                let cause = format!("the derivative by {name} {element:?} is not deterministic, or has a hidden state");
                return Err(Failure::Unsteady { cause, first, second });
            }
        }
        Ok(())
    }

    /// Compares a column of the Jacobian by each of `methods`, backward first, with differences, and the methods with each other.
    fn compare(
        &mut self,
        input: &Place,
        methods: &[(Check, Vec<f64>)],
        wide: Slopes,
        narrow: impl FnOnce(&Self) -> Found<Slopes>,
    ) -> Found<()> {
        let is_clear = |(_, column): &(Check, Vec<f64>)| {
            (0..column.len()).all(|output| self.options.is_clearly_right(column[output], &wide, output))
        };
        let narrow = if methods.iter().all(is_clear) { None } else { Some(narrow(self)?) };
        for output in 0..wide.central.len() {
            let place = input.element.as_ref().map(|_| self.output_place(output));
            let mut all_right = true;
            for (check, column) in methods {
                let (analytic, numeric) = (column[output], wide.central[output]);
                let verdict = narrow
                    .as_ref()
                    .map_or(Verdict::Right, |narrow| self.options.judge(analytic, &wide, narrow, output));
                self.report.compared += 1;
                all_right &= verdict != Verdict::Wrong;
                let (input, output_place) = (input.clone(), place.clone());
                match verdict {
                    Verdict::Kink if *check == Check::Backward => {
                        let (left, right) = (wide.left[output], wide.right[output]);
                        self.report.kinks.push(Kink { input, output: output_place, left, right, analytic });
                    }
                    Verdict::Wrong => {
                        let found =
                            Mismatch { check: *check, input: Some(input), output: output_place, analytic, numeric };
                        self.report.mismatches.push(found);
                    }
                    _ => {}
                }
            }
            if let ([(_, backward), (_, forward)], true) = (methods, all_right) {
                self.compare_exact(Check::Modes, Some(input.clone()), place, forward[output], backward[output]);
            }
        }
        Ok(())
    }

    /// Compares what two sweeps gave for every input.
    fn compare_products(&mut self, check: Check, found: &Product, expected: &Product) {
        for (input, (found, expected)) in found.iter().zip(expected).enumerate() {
            for (element, (&found, &expected)) in found.iter().zip(expected).enumerate() {
                self.compare_exact(check, Some(self.input_place(input, element)), None, found, expected);
            }
        }
    }

    /// Compares numbers that differ by rounding only.
    fn compare_exact(
        &mut self,
        check: Check,
        input: Option<Place>,
        output: Option<Place>,
        analytic: f64,
        numeric: f64,
    ) {
        self.report.compared += 1;
        let is_same = analytic == numeric || (analytic - numeric).abs() <= EXACT * self.options.allowed(numeric);
        if !is_same {
            self.report.mismatches.push(Mismatch { check, input, output, analytic, numeric });
        }
    }

    /// Columns of the Jacobian by forward mode, if it is asked for.
    fn forward(&self, directions: impl IntoIterator<Item = (usize, Vec<f64>)>) -> Found<Option<Vec<Vec<f64>>>> {
        if !self.options.forward || !self.subject.takes_inputs {
            return Ok(None);
        }
        push(self.subject, &self.subject.tracked(), directions).map(Some).map_err(refused("forward mode"))
    }

    /// # Errors
    /// A value beside the point is not finite.
    fn slopes(&self, input: usize, direction: &[f64], eps: f64) -> Found<Slopes> {
        let slopes =
            slopes(self.subject, &self.outputs.values, input, direction, eps).map_err(refused("the function"))?;
        if slopes.central.len() != self.outputs.len() {
            return Err(Failure::Input("the function gives other shapes beside the point".into()));
        }
        if let Some(place) = slopes.central.iter().position(|slope| !slope.is_finite()) {
            let (output, k) = self.outputs.locate(place);
            let element = unravel(k, &self.outputs.kinds[output].0);
            let name = &self.subject.inputs[input].name;
            let text = format!(
                "output {output} {element:?} is not finite where {name} is moved by {eps:e}; choose a point inside of the domain"
            );
            return Err(Failure::Input(text));
        }
        Ok(slopes)
    }

    /// The product of the random weights with a whole Jacobian.
    fn weigh_rows(&self, jacobian: &Jacobian) -> Product {
        let count = self.outputs.len();
        let weigh = |(input, rows): (&Input, &Vec<f64>)| {
            let column = |element: usize| dot(&rows[element * count..(element + 1) * count], &self.weights);
            if input.tracked { (0..input.values.len()).map(column).collect() } else { Vec::new() }
        };
        self.subject.inputs.iter().zip(jacobian).map(weigh).collect()
    }

    /// The inputs that derivatives are asked for.
    fn tracked(&self) -> impl Iterator<Item = usize> + use<'a> {
        let inputs = &self.subject.inputs;
        (0..inputs.len()).filter(|&k| inputs[k].tracked)
    }

    fn input_place(&self, input: usize, element: usize) -> Place {
        Place { tensor: input, element: Some(unravel(element, &self.subject.inputs[input].shape)) }
    }

    fn output_place(&self, place: usize) -> Place {
        let (tensor, element) = self.outputs.locate(place);
        Place { tensor, element: Some(unravel(element, &self.outputs.kinds[tensor].0)) }
    }
}

/// Whether all are 32-bit numbers, and some are not short ones, as halves are.
fn is_rounded(values: &[f64]) -> bool {
    let is_short = |x: f64| (x * 1024.0).fract() == 0.0;
    values.iter().all(|&x| f64::from(x as f32) == x) && values.iter().any(|&x| !is_short(x))
}

fn one_hot(length: usize, place: usize) -> Vec<f64> {
    (0..length).map(|k| if k == place { 1.0 } else { 0.0 }).collect()
}

fn evaluate(subject: &Subject<'_>) -> Found<Vec<f64>> {
    subject.values(&subject.point()).map_err(refused("the function"))
}

/// What backward makes of a seed for all outputs.
fn pull(subject: &Subject<'_>, tracked: &[bool], seed: &[f64]) -> Found<Product> {
    let recorded = Recorded::new(subject, tracked, View::Contiguous).map_err(refused("the function"))?;
    recorded.pull_all(seed).map_err(refused("backward"))
}

impl GradCheck {
    /// Where two evaluations differ most, if by more than is allowed.
    fn change(&self, first: &[f64], second: &[f64]) -> Option<usize> {
        let error = |place: usize| {
            let (a, b) = (first[place], second.get(place).copied().unwrap_or(f64::NAN));
            let error = if a == b || a.is_nan() && b.is_nan() { 0.0 } else { (a - b).abs() };
            if error.is_nan() { f64::INFINITY } else { error }
        };
        let worst = (0..first.len()).max_by(|&a, &b| error(a).total_cmp(&error(b)))?;
        (error(worst) > self.nondet_tol).then_some(worst)
    }
}

/// What the function returns, if it is the same each time and can be differentiated.
fn steady_outputs(options: &GradCheck, subject: &Subject<'_>) -> Found<Outputs> {
    let plain = evaluate(subject)?;
    let again = evaluate(subject)?;
    if let Some(place) = options.change(&plain, &again) {
        let seeded = || {
            manual_seed(options.seed);
            evaluate(subject)
        };
        let cause = match options.change(&seeded()?, &seeded()?) {
            None => "the function draws random numbers; call `manual_seed` in it, or make them outside",
            Some(_) => "the function is not deterministic, or has a hidden state: its value changes from call to call",
        };
        return Err(Failure::Unsteady { cause: cause.into(), first: plain[place], second: again[place] });
    }
    let recorded = Recorded::new(subject, &subject.tracked(), View::Contiguous).map_err(refused("the function"))?;
    let outputs = recorded.outputs().map_err(refused("reading the outputs"))?;
    if let Some(place) = options.change(&plain, &outputs.values) {
        let (first, second) = (plain[place], outputs.values[place]);
        let cause = "the function gives another value where derivatives are recorded";
        return Err(Failure::Unsteady { cause: cause.into(), first, second });
    }
    if outputs.kinds.is_empty() {
        return Err(Failure::Input("the function returns no tensor".into()));
    }
    if let Some(place) = outputs.values.iter().position(|y| !y.is_finite()) {
        let (output, k) = outputs.locate(place);
        let (element, value) = (unravel(k, &outputs.kinds[output].0), outputs.values[place]);
        let text =
            format!("output {output} {element:?} is {value}; derivatives are checked where the function is finite");
        return Err(Failure::Input(text));
    }
    Ok(outputs)
}

/// # Errors
/// No output has a derivative. A gradient, which is an output among second derivatives, may be constant; that it is, differences tell.
fn check_differentiable(outputs: &Outputs) -> Found<()> {
    if !outputs.kinds.iter().any(|(_, differentiable)| *differentiable) {
        let text = "no output requires a gradient: the function does not depend on the inputs that do, or loses it on the way \
                    (by `detach`, `no_grad`, `to_vec`, a scope)";
        return Err(Failure::Input(text.into()));
    }
    Ok(())
}
