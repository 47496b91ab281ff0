//! What a check found, and its text.

use std::fmt;

use wengert::Error;

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Backward with central differences.
    Backward,
    /// Forward mode (`jvp`) with central differences.
    Forward,
    /// Forward mode with backward: as tightly as rounding allows.
    Modes,
    /// A sweep with random seeds for all outputs at once with what the sweeps for single elements add up to: backward must be linear in
    /// the gradient that comes in. A rule that forgets to multiply by it shows here.
    Linear,
    /// A sweep with seeds of zeros, which must give zeros.
    ZeroSeed,
    /// Backward where one input alone requires a gradient with backward where all do.
    Alone,
    /// Forward mode where one input alone has a tangent with forward mode where the others have zeros.
    ForwardAlone,
    /// The value where inputs are transposed views with gaps with the value of contiguous ones.
    StridedValue,
    /// Backward where inputs are transposed views with gaps with backward of contiguous ones.
    Strided,
}

impl Check {
    /// What gave [`Mismatch::analytic`], and what gave [`Mismatch::numeric`].
    pub fn methods(self) -> [&'static str; 2] {
        match self {
            Self::Backward => ["backward", "central differences"],
            Self::Forward => ["forward mode", "central differences"],
            Self::Modes => ["forward mode", "backward"],
            Self::Linear => ["backward from a random seed", "the sum of single rows"],
            Self::ZeroSeed => ["backward from a seed of zeros", "zero"],
            Self::Alone => ["backward for this input alone", "backward for all"],
            Self::ForwardAlone => ["forward mode for this input alone", "forward mode for all"],
            Self::StridedValue => ["the value at strided inputs", "the value at contiguous ones"],
            Self::Strided => ["backward at strided inputs", "backward at contiguous ones"],
        }
    }
}

/// A place in one of several tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which tensor, counted from 0.
    pub tensor: usize,
    /// Which element: an index per dimension. `None` for all of them, along a random direction.
    pub element: Option<Vec<usize>>,
}

/// A number that differs between two ways to compute it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// What was compared.
    pub check: Check,
    /// The element differentiated by; `None` where values were compared.
    pub input: Option<Place>,
    /// The element that was differentiated; `None` for the sum of all, weighed by random numbers.
    pub output: Option<Place>,
    /// The derivative that is in question.
    pub analytic: f64,
    /// What it should be: by differences, or by another way to compute it ([`Check::methods`]).
    pub numeric: f64,
}

impl Mismatch {
    /// By how much they differ; infinite if one is NaN.
    pub fn error(&self) -> f64 {
        let error = (self.analytic - self.numeric).abs();
        if error.is_nan() { f64::INFINITY } else { error }
    }
}

/// An element where the function has a kink or a jump, so that its derivatives from below and from above differ. The derivative that
/// backward (or forward mode) gives lies between them; it is not judged further.
#[derive(Clone, Debug, PartialEq)]
pub struct Kink {
    /// The element differentiated by.
    pub input: Place,
    /// The element that was differentiated; `None` for the sum of all, weighed by random numbers.
    pub output: Option<Place>,
    /// The difference from below.
    pub left: f64,
    /// The difference from above.
    pub right: f64,
    /// The derivative.
    pub analytic: f64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How the inputs are called, and their shapes.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// Numbers that were compared.
    pub compared: usize,
    /// Those that differ by more than the tolerances: the first check that failed first, its worst first.
    pub mismatches: Vec<Mismatch>,
    /// Where the function is not smooth.
    pub kinks: Vec<Kink>,
    /// Whether this is about second derivatives: the outputs are the gradients with respect to the inputs, in their order.
    pub second: bool,
    /// Whether all outputs are 32-bit numbers, though some are no short ones.
    pub rounded: bool,
}

/// Why a check did not pass. Its `Debug` is the text too, so that `unwrap` shows it.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// The function can't be checked there: what is wrong with function or inputs, and the remedy.
    Input(String),
    /// The derivative was refused.
    Refused {
        /// What was computed.
        what: &'static str,
        /// Why not.
        error: Error,
    },
    /// Two evaluations at the same point differ.
    Unsteady {
        /// What differs between them, and what may cause it.
        cause: String,
        /// The first value of the element that differs most.
        first: f64,
        /// Its second value.
        second: f64,
    },
    /// Derivatives differ.
    Wrong(Box<Report>),
}

impl Failure {
    /// What was found about derivatives, if they could be compared.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Wrong(report) => Some(report),
            _ => None,
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(text) => write!(f, "gradcheck: {text}"),
            Self::Refused { what, error } => write!(f, "gradcheck: {what} was refused: {error}"),
            Self::Unsteady { cause, first, second } => write!(f, "gradcheck: {cause}; it was {first}, then {second}"),
            Self::Wrong(report) => report.fmt(f),
        }
    }
}

/// How many lines of a kind a report prints.
const SHOWN: usize = 6;
/// Characters of the longest bar.
const BAR: f64 = 20.0;
/// The largest picture of an input: rows and columns.
const PICTURE: [usize; 2] = [16, 64];

impl Report {
    /// Whether nothing differs.
    pub fn is_right(&self) -> bool {
        self.mismatches.is_empty()
    }

    fn input_name(&self, place: &Place) -> String {
        let name = &self.inputs[place.tensor].0;
        match &place.element {
            None => format!("{name} along a random direction"),
            Some(element) if element.is_empty() => name.clone(),
            Some(element) => format!("{name} {element:?}"),
        }
    }

    fn output_name(&self, place: &Option<Place>) -> String {
        let what = if self.second { "gradient" } else { "output" };
        let Some(Place { tensor, element }) = place else { return format!("weighed {what}s") };
        match element {
            Some(element) if !element.is_empty() => format!("{what} {tensor} {element:?}"),
            _ => format!("{what} {tensor}"),
        }
    }

    /// The factor between all that differs, if there is one.
    fn common_factor(&self) -> Option<f64> {
        let mut ratios = self.mismatches.iter().map(|m| m.analytic / m.numeric);
        let first = ratios.next().filter(|ratio| ratio.is_finite() && *ratio != 0.0)?;
        let same = ratios.all(|ratio| (ratio / first - 1.0).abs() < 1e-4);
        (same && self.mismatches.len() > 1).then_some(first)
    }

    /// Whether backward gives the same wrong derivative.
    fn is_as_backward(&self, forward: &Mismatch) -> bool {
        self.mismatches.iter().any(|m| {
            let place = |m: &Mismatch| (m.input.clone(), m.output.clone());
            let error = (m.analytic - forward.analytic).abs();
            m.check == Check::Backward && place(m) == place(forward) && error <= 1e-9 * m.analytic.abs()
        })
    }

    fn write_mismatches(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut checks: Vec<Check> = Vec::new();
        for m in &self.mismatches {
            if !checks.contains(&m.check) {
                checks.push(m.check);
            }
        }
        let worst = self.mismatches.iter().map(Mismatch::error).filter(|e| e.is_finite()).fold(0.0, f64::max);
        for check in checks {
            let [analytic, numeric] = check.methods();
            let found: Vec<&Mismatch> = self.mismatches.iter().filter(|m| m.check == check).collect();
            if check == Check::Forward && found.iter().all(|m| self.is_as_backward(m)) {
                write!(f, "\n  {} by forward mode, which gives what backward gives", found.len())?;
                continue;
            }
            write!(f, "\n  {} by {analytic} differ from {numeric}, the worst first:", found.len())?;
            for m in found.iter().take(SHOWN) {
                let what = match &m.input {
                    None => self.output_name(&m.output),
                    Some(input) => format!("d {} / d {}", self.output_name(&m.output), self.input_name(input)),
                };
                let length = if worst > 0.0 { (m.error() / worst * BAR).round().clamp(1.0, BAR) } else { BAR };
                let bar = "#".repeat(length as usize);
                write!(f, "\n    {what:<44} {:>14} should be {:<14} {bar}", short(m.analytic), short(m.numeric))?;
            }
            if found.len() > SHOWN {
                write!(f, "\n    and {} more", found.len() - SHOWN)?;
            }
        }
        if let Some(factor) = self.common_factor() {
            write!(f, "\n  all of them by the same factor, {}", short(factor))?;
        }
        Ok(())
    }

    /// The elements of the input that the worst mismatch belongs to: which are right.
    fn write_picture(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(input) = self.mismatches.iter().find_map(|m| m.input.as_ref().filter(|i| i.element.is_some())) else {
            return Ok(());
        };
        let (name, shape) = &self.inputs[input.tensor];
        let columns = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().product::<usize>() / columns.max(1);
        if rows * columns < 2 || rows > PICTURE[0] || columns > PICTURE[1] {
            return Ok(());
        }
        let mut picture = vec!['.'; rows * columns];
        let flat = |place: &Place| {
            let element = place.element.as_ref().filter(|_| place.tensor == input.tensor)?;
            Some(element.iter().zip(shape).fold(0, |flat, (index, length)| flat * length + index))
        };
        self.kinks.iter().filter_map(|kink| flat(&kink.input)).for_each(|place| picture[place] = '^');
        let wrong = self.mismatches.iter().filter_map(|m| flat(m.input.as_ref()?));
        wrong.for_each(|place| picture[place] = 'x');
        write!(f, "\n  {name} of shape {shape:?}, x where a derivative by the element is wrong:")?;
        for row in picture.chunks(columns) {
            write!(f, "\n    {}", row.iter().flat_map(|&c| [c, ' ']).collect::<String>().trim_end())?;
        }
        Ok(())
    }

    fn write_kinks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kinks.is_empty() {
            return Ok(());
        }
        write!(f, "\n  {} on a kink or a jump, where differences say nothing:", self.kinks.len())?;
        for kink in self.kinks.iter().take(SHOWN) {
            let (output, input) = (self.output_name(&kink.output), self.input_name(&kink.input));
            let [left, right, analytic] = [kink.left, kink.right, kink.analytic].map(short);
            write!(f, "\n    d {output} / d {input}: {left} from below, {right} from above, {analytic} taken")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.second { "second " } else { "" };
        match self.mismatches.len() {
            0 => write!(f, "gradcheck: {} {order}derivatives agree", self.compared)?,
            wrong => write!(f, "gradcheck: {wrong} of {} {order}derivatives differ", self.compared)?,
        }
        self.write_mismatches(f)?;
        if self.rounded && !self.is_right() {
            write!(
                f,
                "\n  the function computes in 32 bits; differences need 64, or a large `eps` (1e-2) with large tolerances"
            )?;
        }
        self.write_picture(f)?;
        self.write_kinks(f)
    }
}

/// A number in seven digits.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        size if (1e-4..1e7).contains(&size) => {
            let digits = (6 - size.log10().floor() as i32).max(0) as usize;
            let text = format!("{x:.digits$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').into(),
                false => text,
            }
        }
        _ if x.is_finite() => format!("{x:.6e}"),
        _ => x.to_string(),
    }
}
