//! The text of a tensor, character for character what PyTorch prints.
//!
//! The rules are those of `torch.Tensor.__str__` in PyTorch 2.15 for strided tensors on the processor:
//!
//! * More than `threshold` elements are summarised: a dimension longer than `2 * edgeitems` shows `edgeitems` at either
//!   end around `...`. Elements out of sight are never read, so neither the width nor the notation depends on them.
//! * All floats of a tensor share one notation, chosen from the finite non-zero values in sight (see [`Notation`]), and
//!   one width: that of the widest of these values. Zeros, infinities and nans take no part, and may stick out.
//! * Rows wrap at `linewidth`. What follows the brackets (`size`, `dtype`, `grad_fn` or `requires_grad`) moves to a new
//!   line where it does not fit, by a count that starts one or two columns too high: PyTorch's oddity, and kept.
//!
//! This module knows nothing of the tape: it sees a shape and a way to read an element.

use std::cell::Cell;
use std::fmt::Write as _;

/// How tensors are printed on this thread: the fields of PyTorch's `torch.set_printoptions`, with its defaults.
///
/// ```
/// use wengert::{PrintOptions, print_options, set_print_options};
///
/// set_print_options(PrintOptions { precision: 2, ..PrintOptions::default() });
/// assert_eq!(print_options().precision, 2);
/// set_print_options(PrintOptions::default());
/// assert_eq!(print_options().precision, 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintOptions {
    /// Digits after the decimal point. Default 4.
    pub precision: u16,
    /// Tensors with more elements than this are summarised; `usize::MAX` prints every tensor in full. Default 1000.
    pub threshold: usize,
    /// Elements shown at either end of each dimension that a summary shortens. With 0, a summary is `...` alone, and
    /// every text names the tensor's size. Default 3.
    pub edgeitems: usize,
    /// Columns after which a line is broken. Default 80.
    pub linewidth: usize,
    /// Whether floats are printed in scientific notation; `None` decides by the values. Default `None`.
    ///
    /// Without a finite non-zero value in sight the notation is never scientific, whatever this says.
    pub sci_mode: Option<bool>,
}

impl PrintOptions {
    const DEFAULT: Self = Self { precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80, sci_mode: None };
}

impl Default for PrintOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

thread_local! {
    static OPTIONS: Cell<PrintOptions> = const { Cell::new(PrintOptions::DEFAULT) };
}

/// The options with which this thread prints tensors.
#[must_use]
pub fn print_options() -> PrintOptions {
    OPTIONS.get()
}

/// Sets the options with which this thread prints tensors, until the next call.
///
/// Unlike `torch.set_printoptions`, this sets every field: start from [`print_options`] to keep the others.
pub fn set_print_options(options: PrintOptions) {
    OPTIONS.set(options);
}

/// An element as it is printed. Both float types become `f64`, which holds every `f32` exactly.
#[derive(Clone, Copy, Debug)]
pub enum Scalar {
    Float(f64),
    Int(i64),
    Bool(bool),
}

/// When the text of a tensor names its element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    Never,
    /// The elements tell the type, where there are any.
    IfEmpty,
    Always,
}

/// An element type that PyTorch can print.
pub trait Printable: Copy {
    /// PyTorch's name of the type.
    const DTYPE_NAME: &'static str;
    /// When the text shows that name.
    const NAMING: Naming;

    /// The element as it is printed.
    fn scalar(self) -> Scalar;
}

impl Printable for f32 {
    const DTYPE_NAME: &'static str = "torch.float32";
    const NAMING: Naming = Naming::Never;

    fn scalar(self) -> Scalar {
        Scalar::Float(f64::from(self))
    }
}

impl Printable for f64 {
    const DTYPE_NAME: &'static str = "torch.float64";
    const NAMING: Naming = Naming::Always;

    fn scalar(self) -> Scalar {
        Scalar::Float(self)
    }
}

impl Printable for i64 {
    const DTYPE_NAME: &'static str = "torch.int64";
    const NAMING: Naming = Naming::IfEmpty;

    fn scalar(self) -> Scalar {
        Scalar::Int(self)
    }
}

impl Printable for bool {
    const DTYPE_NAME: &'static str = "torch.bool";
    const NAMING: Naming = Naming::IfEmpty;

    fn scalar(self) -> Scalar {
        Scalar::Bool(self)
    }
}

/// What the text says about the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gradient<'a> {
    /// Nothing: the tensor requires none.
    None,
    /// `requires_grad=True`, for a leaf.
    Leaf,
    /// `grad_fn=<..>`, for the result of an operation of this name, such as `AddBackward0`.
    Function(&'a str),
}

/// The text of a tensor, closing bracket included; `prefix` is what opens it, such as `tensor(`.
///
/// `element` gives the element at a row-major index below the product of `shape`. It is called once per element in
/// sight, in ascending order, so a summary of a large or strided tensor reads a handful and needs no contiguous copy.
pub(crate) fn format<E: Printable>(
    prefix: &str,
    shape: &[usize],
    element: impl Fn(usize) -> E,
    gradient: Gradient<'_>,
    options: &PrintOptions,
) -> String {
    let count: usize = shape.iter().product();
    let indent = prefix.chars().count();
    let mut text = String::from(prefix);
    if count == 0 {
        text.push_str("[]");
    } else {
        let frame = Frame { options, summarise: count > options.threshold };
        let mut visible = Vec::new();
        frame.visit(shape, 0, &mut |index| visible.push(element(index).scalar()));
        let formatter = Formatter::fit(&visible, options);
        frame.write(shape, indent, &formatter, &mut visible.into_iter(), &mut text);
    }

    let mut suffixes = Vec::new();
    // An empty vector is the only empty tensor whose brackets tell its shape.
    let names_size = if count == 0 { shape.len() != 1 } else { options.edgeitems == 0 };
    if names_size {
        suffixes.push(format!("size={}", tuple(shape)));
    }
    if E::NAMING == Naming::Always || (E::NAMING == Naming::IfEmpty && count == 0) {
        suffixes.push(format!("dtype={}", E::DTYPE_NAME));
    }
    match gradient {
        Gradient::None => {}
        Gradient::Leaf => suffixes.push("requires_grad=True".to_owned()),
        Gradient::Function(name) => suffixes.push(format!("grad_fn=<{name}>")),
    }
    append_suffixes(&mut text, &suffixes, indent, options.linewidth);
    text.push(')');
    text
}

/// Which elements are in sight, and how brackets and lines surround them.
struct Frame<'a> {
    options: &'a PrintOptions,
    summarise: bool,
}

impl Frame<'_> {
    /// The number of entries at either end of a dimension that are in sight, or `None` if all are.
    fn edge(&self, size: usize) -> Option<usize> {
        let edge = self.options.edgeitems;
        (self.summarise && size > edge.saturating_mul(2)).then_some(edge)
    }

    /// Calls `visit` with the row-major index of each element in sight, in ascending order; the first one of this slice
    /// has the index `first`.
    fn visit(&self, shape: &[usize], first: usize, visit: &mut impl FnMut(usize)) {
        let Some((&size, rest)) = shape.split_first() else {
            return visit(first);
        };
        let stride: usize = rest.iter().product();
        let (head, tail) = self.edge(size).map_or((size, size), |edge| (edge, size - edge));
        for index in (0..head).chain(tail..size) {
            self.visit(rest, first + index * stride, visit);
        }
    }

    /// Writes a tensor whose opening bracket stands in column `indent`, taking the elements in sight from `visible`.
    fn write(
        &self,
        shape: &[usize],
        indent: usize,
        formatter: &Formatter,
        visible: &mut impl Iterator<Item = Scalar>,
        text: &mut String,
    ) {
        let Some((&size, rest)) = shape.split_first() else {
            return formatter.write_padded(visible.next().expect("every element in sight was visited"), text);
        };
        let edge = self.edge(size);
        // The elements of a vector stand side by side. Slices start a line each, with one blank line between matrices,
        // two between stacks of matrices, and so on.
        let vector = rest.is_empty();
        let per_line =
            if vector { (self.options.linewidth.saturating_sub(indent) / (formatter.width + 2)).max(1) } else { 1 };
        let breaks = shape.len().saturating_sub(1).max(1);
        // The gap counts as one more entry.
        let entries = edge.map_or(size, |edge| 2 * edge + 1);

        text.push('[');
        for entry in 0..entries {
            match entry {
                0 => {}
                _ if entry % per_line == 0 => {
                    text.push(',');
                    text.extend(std::iter::repeat_n('\n', breaks));
                    pad(text, indent + 1);
                }
                _ => text.push_str(", "),
            }
            if edge == Some(entry) {
                text.push_str(if vector && entry > 0 { " ..." } else { "..." });
            } else {
                self.write(rest, indent + 1, formatter, visible, text);
            }
        }
        text.push(']');
    }
}

/// The form of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation {
    /// `3.`: all finite values are whole numbers. Also taken if no value in sight is finite and non-zero.
    Whole,
    /// `3.1416`
    Fixed,
    /// `3.1416e+00`: the magnitudes differ by more than a factor of 1000, or one is above 1e8 or below 1e-4.
    Scientific,
}

/// The form and the width that the elements of a tensor share.
struct Formatter {
    notation: Notation,
    precision: usize,
    width: usize,
}

impl Formatter {
    /// The formatter for these elements.
    fn fit(visible: &[Scalar], options: &PrintOptions) -> Self {
        let mut formatter = Self {
            notation: notation(visible.iter().copied().filter_map(measured_float), options.sci_mode),
            precision: usize::from(options.precision),
            width: 1,
        };
        let mut text = String::new();
        for &scalar in visible {
            if !matches!(scalar, Scalar::Float(_)) || measured_float(scalar).is_some() {
                text.clear();
                formatter.write(scalar, &mut text);
                formatter.width = formatter.width.max(text.len());
            }
        }
        formatter
    }

    /// Writes the element, right-aligned.
    fn write_padded(&self, scalar: Scalar, text: &mut String) {
        let start = text.len();
        self.write(scalar, text);
        let missing = self.width.saturating_sub(text.len() - start);
        text.insert_str(start, &" ".repeat(missing));
    }

    fn write(&self, scalar: Scalar, text: &mut String) {
        let written = match scalar {
            Scalar::Bool(value) => write!(text, "{}", if value { "True" } else { "False" }),
            Scalar::Int(value) => write!(text, "{value}"),
            Scalar::Float(value) if value.is_nan() => write!(text, "nan"),
            Scalar::Float(value) if value.is_infinite() => write!(text, "{value}"),
            Scalar::Float(value) => match self.notation {
                Notation::Whole => write!(text, "{value:.0}."),
                Notation::Fixed => write!(text, "{value:.0$}", self.precision),
                Notation::Scientific => write_scientific(value, self.precision, text),
            },
        };
        written.expect("writing to a string succeeds");
    }
}

/// The value, if it is a float that takes part in the choice of notation and width.
fn measured_float(scalar: Scalar) -> Option<f64> {
    match scalar {
        Scalar::Float(value) if value.is_finite() && value != 0.0 => Some(value),
        _ => None,
    }
}

/// The notation for these finite non-zero values.
fn notation(values: impl Iterator<Item = f64>, scientific: Option<bool>) -> Notation {
    let (mut min, mut max, mut whole) = (f64::INFINITY, 0.0_f64, true);
    for value in values {
        min = min.min(value.abs());
        max = max.max(value.abs());
        whole &= value.fract() == 0.0;
    }
    if max == 0.0 {
        return Notation::Whole;
    }
    match scientific.unwrap_or(max / min > 1000.0 || max > 1e8 || min < 1e-4) {
        true => Notation::Scientific,
        false if whole => Notation::Whole,
        false => Notation::Fixed,
    }
}

/// C's `%e`: the exponent has a sign and at least two digits, both of which Rust's `{:e}` leaves out.
fn write_scientific(value: f64, precision: usize, text: &mut String) -> std::fmt::Result {
    // The formatter counts one digit more in 16 bits; a float has far fewer.
    let precision = precision.min(usize::from(u16::MAX) - 1);
    let short = format!("{value:.precision$e}");
    let (mantissa, exponent) = short.split_once('e').expect("scientific notation has an exponent");
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    write!(text, "{mantissa}e{sign}{digits:0>2}")
}

/// Python's text of a tuple, in which a single element keeps its comma.
fn tuple(shape: &[usize]) -> String {
    match shape {
        [size] => format!("({size},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Appends the suffixes, each on the line if it seems to fit, else on a new one below the brackets.
fn append_suffixes(text: &mut String, suffixes: &[String], indent: usize, linewidth: usize) {
    // PyTorch's count, not the true column: two too many on the first line, one too many on another.
    let mut column = match text.rfind('\n') {
        Some(newline) => text[newline..].chars().count() + 1,
        None => text.chars().count() + 2,
    };
    for suffix in suffixes {
        let length = suffix.chars().count();
        if column + length + 2 > linewidth {
            text.push_str(",\n");
            pad(text, indent);
            column = indent + length;
        } else {
            text.push_str(", ");
            column += length + 2;
        }
        text.push_str(suffix);
    }
}

fn pad(text: &mut String, columns: usize) {
    text.extend(std::iter::repeat_n(' ', columns));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `tools/reference/display.py`, which describes the format.
    const REFERENCE: &str = include_str!("../tests/data/display.txt");

    /// A tensor, and what PyTorch prints for it.
    struct Case<'a> {
        header: &'a str,
        values: Vec<&'a str>,
        text: String,
    }

    fn cases() -> Vec<Case<'static>> {
        let mut cases = Vec::<Case<'_>>::new();
        for line in REFERENCE.lines() {
            match line.split_at_checked(1) {
                Some(("@", header)) => cases.push(Case { header, values: Vec::new(), text: String::new() }),
                Some(("=", values)) => last(&mut cases).values.extend(values.split_whitespace()),
                Some(("|", text)) if last(&mut cases).text.is_empty() => last(&mut cases).text.push_str(text),
                Some(("|", text)) => last(&mut cases).text.extend(["\n", text]),
                Some(("#", _)) => {}
                _ => panic!("unknown line {line:?}"),
            }
        }
        cases
    }

    fn last<'a, 'b>(cases: &'b mut [Case<'a>]) -> &'b mut Case<'a> {
        cases.last_mut().expect("a case starts with a header")
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(word: &str) -> T {
        word.parse().unwrap_or_else(|error| panic!("{word}: {error:?}"))
    }

    /// What this module prints for the case, with its options changed by `change`.
    fn printed(case: &Case<'_>, change: impl Fn(&mut PrintOptions)) -> String {
        let mut words = case.header.split_whitespace();
        let dtype = words.next().expect("an element type");
        let shape = words.next().expect("a shape");
        let shape: Vec<usize> = if shape == "-" { Vec::new() } else { shape.split('x').map(parse).collect() };
        let mut gradient = Gradient::None;
        let mut options = PrintOptions::default();
        for (key, value) in words.map(|word| word.split_once('=').expect("key=value")) {
            match key {
                "grad" if value == "leaf" => gradient = Gradient::Leaf,
                "grad" => gradient = Gradient::Function(value),
                "precision" => options.precision = parse(value),
                "threshold" => options.threshold = parse(value),
                "edgeitems" => options.edgeitems = parse(value),
                "linewidth" => options.linewidth = parse(value),
                "sci_mode" => options.sci_mode = Some(value == "True"),
                _ => panic!("unknown key {key}"),
            }
        }
        change(&mut options);
        let word = |index: usize| case.values[index % case.values.len()];
        let hex = |index| u64::from_str_radix(word(index), 16).expect("hexadecimal bits");
        match dtype {
            "f32" => format("tensor(", &shape, |i| f32::from_bits(hex(i) as u32), gradient, &options),
            "f64" => format("tensor(", &shape, |i| f64::from_bits(hex(i)), gradient, &options),
            "i64" => format("tensor(", &shape, |i| parse::<i64>(word(i)), gradient, &options),
            "bool" => format("tensor(", &shape, |i| word(i) == "1", gradient, &options),
            _ => panic!("unknown element type {dtype}"),
        }
    }

    #[test]
    fn prints_what_pytorch_prints() {
        let cases = cases();
        assert!(cases.len() > 900, "only {} cases were read", cases.len());
        let wrong: Vec<String> = cases
            .iter()
            .map(|case| (case, printed(case, |_| {})))
            .filter(|(case, text)| *text != case.text)
            .map(|(case, text)| format!("{}\nPyTorch:\n{}\nhere:\n{text}\n", case.header, case.text))
            .collect();
        assert!(
            wrong.is_empty(),
            "{} of {} differ:\n{}",
            wrong.len(),
            cases.len(),
            wrong[..wrong.len().min(5)].join("\n")
        );
    }

    /// The cases are no check if they don't notice that an option is off by one.
    #[test]
    fn the_cases_depend_on_every_option() {
        type Change = fn(&mut PrintOptions);
        let changes: [(&str, Change); 5] = [
            ("precision", |options| options.precision += 1),
            ("threshold", |options| options.threshold -= options.threshold.min(1)),
            ("edgeitems", |options| options.edgeitems += 1),
            ("linewidth", |options| options.linewidth += 1),
            ("sci_mode", |options| {
                options.sci_mode = options.sci_mode.map_or(Some(false), |scientific| Some(!scientific))
            }),
        ];
        for (name, change) in changes {
            assert!(cases().iter().any(|case| printed(case, change) != case.text), "{name} has no effect");
        }
    }

    #[test]
    fn a_summary_reads_only_what_it_shows() {
        let reads = Cell::new(0);
        let element = |index: usize| {
            reads.set(reads.get() + 1);
            index as f32
        };
        let text = format("tensor(", &[1 << 15, 1 << 15], element, Gradient::None, &PrintOptions::default());
        assert_eq!(reads.get(), 36);
        assert!(text.ends_with("1.0737e+09]])"), "{text}");
    }

    #[test]
    fn options_belong_to_one_thread() {
        let options = PrintOptions { linewidth: 40, ..PrintOptions::default() };
        set_print_options(options);
        assert_eq!(print_options(), options);
        let elsewhere = std::thread::spawn(print_options).join().expect("reading options does not panic");
        assert_eq!(elsewhere, PrintOptions::default());
    }
}
