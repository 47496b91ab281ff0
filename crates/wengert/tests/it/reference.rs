//! What PyTorch computed for every operation, computed again: values, `grad_fn`, gradients by a plain and by a recorded
//! sweep, forward mode, second derivatives. `tools/reference/ops.py` makes the data of cases that were written for wengert and
//! describes its fields; `tools/reference/op_db.py` makes that of the samples of PyTorch's own operator database.
//!
//! To add an operation: in the file of its family, add an arm to `call` that gives the outputs for the operation's name and
//! keyword arguments (see [`Call`] for what an arm can ask for). A family's `call` gives
//! `None` for the operations of other families.
//!
//! ```text
//! "cumsum" => vec![Value::Float(c.x().cumsum(c.int("dim")?))],
//! ```
//!
//! An operation that PyTorch composes of several and that is one entry here (or the other way round) goes to `OTHER_NAMES` of
//! its family. Everything else must agree; a failing test lists every case that does not.

mod call;
mod composed;
mod elementwise;
mod indexing;
mod linalg;
mod loss;
mod movement;
mod nn;
mod reduce;
mod replay;
pub mod tolerance;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Read;
use std::panic::catch_unwind;
use std::sync::LazyLock;

use serde_json::Value as Json;
use wengert::{FloatElement, TensorBase};

pub use self::call::{Call, Outputs, Value};
use self::replay::{Outcome, is_f32, replay};

/// One file of the mapping.
pub struct Family {
    name: &'static str,
    f32: fn(&Call<'_, f32>) -> Option<Outputs<f32>>,
    f64: fn(&Call<'_, f64>) -> Option<Outputs<f64>>,
    other_names: &'static [&'static str],
}

macro_rules! families {
    ($($family:ident $test:ident)+) => {
        const FAMILIES: &[Family] = &[$(families!(@ $family)),+];
        $(
            #[test]
            fn $test() {
                assert_agrees(stringify!($family));
            }
        )+
    };
    (@ $family:ident) => {
        Family { name: stringify!($family), f32: $family::call, f64: $family::call, other_names: $family::OTHER_NAMES }
    };
}
families! {
    elementwise elementwise_operations_agree_with_pytorch
    reduce reductions_agree_with_pytorch
    movement movement_agrees_with_pytorch
    indexing indexing_agrees_with_pytorch
    linalg products_agree_with_pytorch
    nn layers_agree_with_pytorch
    loss losses_agree_with_pytorch
    composed compositions_agree_with_pytorch
}

/// A float type of the data.
pub trait Number: FloatElement {
    /// Numbers below this have few digits, or are what is left of two that cancel in one order of operations and not in another.
    const UNDERFLOW: f64;
    /// The largest error of an operation that rounding explains.
    fn tolerance(op: &str) -> f64;
    fn in_family(family: &Family, call: &Call<'_, Self>) -> Option<Outputs<Self>>;
    /// An operation with the number on the left; `None` if no method or operator has it there.
    fn number_with_tensor(op: &str, number: f64, tensor: TensorBase<Self>) -> Option<TensorBase<Self>>;
}
macro_rules! number {
    ($t:ident $underflow:literal) => {
        impl Number for $t {
            const UNDERFLOW: f64 = $underflow;
            fn tolerance(op: &str) -> f64 {
                tolerance::of(op).of::<$t>()
            }
            fn in_family(family: &Family, call: &Call<'_, Self>) -> Option<Outputs<Self>> {
                (family.$t)(call)
            }
            fn number_with_tensor(op: &str, number: f64, tensor: TensorBase<Self>) -> Option<TensorBase<Self>> {
                let number = number as $t;
                Some(match op {
                    "add" => number + tensor,
                    "sub" => number - tensor,
                    "mul" => number * tensor,
                    "div" => number / tensor,
                    "pow" => wengert::pow(number, tensor),
                    "xlogy" => wengert::xlogy(number, tensor),
                    // PyTorch has no derivative with a number there, so the data was made with a tensor.
                    "remainder" => TensorBase::scalar(number).remainder(tensor),
                    _ => return None,
                })
            }
        }
    };
}
number!(f32 1e-36);
number!(f64 1e-290);

/// A case of the data and what became of it.
struct Case {
    data: Json,
    /// The family that knows the operation, and how the case went.
    replayed: Option<(&'static str, Outcome)>,
}

impl Case {
    /// How the case went.
    fn outcome(&self) -> &Outcome {
        &self.replayed.as_ref().unwrap_or_else(|| panic!("no family knows {}", op_of(&self.data))).1
    }
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let files: [&[u8]; 2] = [include_bytes!("../data/ops.jsonl.gz"), include_bytes!("../data/op_db.jsonl.gz")];
    files.into_iter().flat_map(lines).map(|data| Case { replayed: replayed(&data), data }).collect()
});

/// The lines of a packed file.
fn lines(packed: &[u8]) -> Vec<Json> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("the data unpacks");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Computes a case by the first family that knows it.
fn replayed(case: &Json) -> Option<(&'static str, Outcome)> {
    FAMILIES.iter().find_map(|family| {
        let outcome = catch_unwind(|| replay(family, case)).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().map_or("without a text", |text| text);
            Some(Outcome { differences: vec![format!("panic: {text}")], ..Outcome::default() })
        });
        Some((family.name, outcome?))
    })
}

fn op_of(case: &Json) -> &str {
    case["op"].as_str().expect("an op")
}

#[test]
fn every_operation_is_mapped() {
    let unknown = CASES.iter().filter(|case| case.replayed.is_none()).map(|case| op_of(&case.data));
    let unknown: BTreeSet<&str> = unknown.collect();
    assert!(unknown.is_empty(), "no family knows these operations: {unknown:?}");
    let with = |key: &str| CASES.iter().filter(|case| case.data.get(key).is_some()).count();
    let (all, first, second) = (CASES.len(), with("seeds"), with("weights"));
    println!("covered: cases of PyTorch: {all}, of which {first} have first and {second} second derivatives");
}

/// The case with one number further away than the tolerance; `None` if there is no such number.
fn altered(case: &Json, place: &str) -> Option<Json> {
    let number = case.pointer(place)?.as_f64()?;
    let list = case.pointer(place.rsplit_once('/')?.0)?.as_array()?;
    let largest = list.iter().filter_map(Json::as_f64).fold(1.0, |most: f64, n| most.max(n.abs()));
    let tolerance = tolerance::of(op_of(case));
    let far = 100.0 * if is_f32(case) { tolerance.f32 } else { tolerance.f64 };
    let mut case = case.clone();
    *case.pointer_mut(place)? = (number + (number.abs() + largest) * far.max(1e-6)).into();
    Some(case)
}

#[test]
fn wrong_numbers_are_found() {
    let mut found = [0; 3];
    for Case { data, replayed } in CASES.iter().step_by(7) {
        for (found, place) in found.iter_mut().zip(["/outputs/0/data/0", "/grads/0/0", "/grads2/0/0"]) {
            if let (Some(altered), Some((_, outcome))) = (altered(data, place), replayed)
                && outcome.deliberate.is_empty()
            {
                let (_, outcome) = self::replayed(&altered).expect("known as it was");
                assert!(!outcome.differences.is_empty(), "{place} of {altered}");
                *found += 1;
            }
        }
    }
    assert!(found.iter().all(|&found| found > 100), "altered outputs, gradients, second derivatives: {found:?}");
}

#[test]
fn deliberate_differences_are_there() {
    let met: BTreeSet<usize> = CASES.iter().flat_map(|case| &case.outcome().deliberate).copied().collect();
    for (place, different) in tolerance::DIFFERENT.iter().enumerate() {
        assert!(met.contains(&place), "{}: no case differs: {}", different.op, different.reason);
    }
}

/// What the documentation shows of one operation.
#[derive(Default)]
pub struct Summary {
    /// Whether it is a line of several calls.
    pub composed: bool,
    /// Cases written by hand, and those from PyTorch's database.
    pub cases: [usize; 2],
    /// The entries of the database.
    pub entries: BTreeSet<&'static str>,
    /// The highest derivative compared.
    pub order: usize,
    /// The largest error of `f64` and of `f32`; none if there is no such case.
    pub errors: [Option<f64>; 2],
}

/// A summary per operation, by name.
pub fn summaries() -> BTreeMap<&'static str, Summary> {
    let mut all: BTreeMap<&str, Summary> = BTreeMap::new();
    for case in CASES.iter() {
        let (data, summary) = (&case.data, all.entry(op_of(&case.data)).or_default());
        let entry = data["entry"].as_str();
        summary.composed |= case.replayed.as_ref().is_some_and(|(family, _)| *family == "composed");
        summary.cases[usize::from(entry.is_some())] += 1;
        summary.entries.extend(entry);
        let order = usize::from(data.get("seeds").is_some()) + usize::from(data.get("weights").is_some());
        summary.order = summary.order.max(order);
        // Masks and indices have no rounding errors; they stand with `f64`.
        let error = &mut summary.errors[usize::from(is_f32(data))];
        *error = Some(error.unwrap_or(0.0).max(case.outcome().error));
    }
    all
}

/// How many cases record each operation of the table.
pub fn records() -> BTreeMap<&'static str, usize> {
    let mut all = BTreeMap::new();
    for op in CASES.iter().flat_map(|case| &case.outcome().recorded) {
        *all.entry(op.as_str()).or_default() += 1;
    }
    all
}

/// Reports all cases of a family that differ.
fn assert_agrees(family: &str) {
    let mut report = String::new();
    let mut failed = 0;
    for Case { data, replayed } in CASES.iter() {
        let Some((_, outcome)) =
            replayed.as_ref().filter(|(own, outcome)| *own == family && !outcome.differences.is_empty())
        else {
            continue;
        };
        failed += 1;
        let shapes: Vec<String> =
            data["inputs"].as_array().into_iter().flatten().map(|i| i["shape"].to_string()).collect();
        let (entry, tag, kwargs) = (data["entry"].as_str().unwrap_or(""), &data["tag"], &data["kwargs"]);
        let dtype = if is_f32(data) { "f32" } else { "f64" };
        writeln!(report, "{} {entry} ({tag}, {dtype}) {kwargs} of {}", op_of(data), shapes.join(" ")).unwrap();
        for difference in &outcome.differences {
            writeln!(report, "    {difference}").unwrap();
        }
    }
    assert!(failed == 0, "{failed} cases differ:\n{report}");
}
