//! What PyTorch computed for every operation, computed again: values, `grad_fn`, gradients by a plain and by a recorded
//! sweep, forward mode, second derivatives. `tools/reference/ops.py` makes the data and describes its fields.
//!
//! To add an operation: in the file of its family, add an arm to `call` that gives the outputs for the operation's name and
//! keyword arguments (see [`Call`] for what an arm can ask for), and remove the name from [`PENDING`]. A family's `call` gives
//! `None` for the operations of other families.
//!
//! ```text
//! "cumsum" => vec![Value::Float(c.x().cumsum(c.int("dim")?))],
//! ```
//!
//! An operation that PyTorch composes of several and that is one entry here (or the other way round) goes to `OTHER_NAMES` of
//! its family. Everything else must agree; a failing test lists every case that does not.

mod call;
mod elementwise;
mod indexing;
mod linalg;
mod loss;
mod movement;
mod nn;
mod reduce;
mod replay;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::Read;
use std::panic::catch_unwind;
use std::sync::LazyLock;

use serde_json::Value as Json;
use wengert::{FloatElement, TensorBase};

pub use self::call::{Call, Outputs, Value};
use self::replay::differences;

/// Operations of the data that no family knows yet, one a line.
const PENDING: &[&str] = &[];

/// One file of the mapping.
pub struct Family {
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
                replay(&families!(@ $family));
            }
        )+
    };
    (@ $family:ident) => {
        Family { f32: $family::call, f64: $family::call, other_names: $family::OTHER_NAMES }
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
}

/// A float type of the data.
pub trait Number: FloatElement {
    /// Largest difference that rounding explains: relative, and absolute in units of the largest number around, at most 1.
    const TOLERANCE: (f64, f64);
    fn in_family(family: &Family, call: &Call<'_, Self>) -> Option<Outputs<Self>>;
    /// An operation with the number on the left; `None` if no method or operator has it there.
    fn number_with_tensor(op: &str, number: f64, tensor: TensorBase<Self>) -> Option<TensorBase<Self>>;
}
macro_rules! number {
    ($t:ident $tolerance:expr) => {
        impl Number for $t {
            const TOLERANCE: (f64, f64) = $tolerance;
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
number!(f32(2e-5, 2e-6));
number!(f64(1e-9, 1e-12));

static DATA: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let packed: &[u8] = include_bytes!("../data/ops.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("the data unpacks");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
});

fn op_of(case: &Json) -> &str {
    case["op"].as_str().expect("an op")
}

#[test]
fn every_operation_is_mapped() {
    let is_mapped = |case: &Json| {
        let found = |family: &Family| catch_unwind(|| differences(family, case).is_some()).unwrap_or(true);
        FAMILIES.iter().any(found)
    };
    let mut unknown = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for case in DATA.iter() {
        if seen.insert(op_of(case)) && !is_mapped(case) {
            unknown.insert(op_of(case));
        }
    }
    let pending: BTreeSet<&str> = PENDING.iter().copied().collect();
    let missing: Vec<_> = unknown.difference(&pending).collect();
    let stale: Vec<_> = pending.difference(&unknown).collect();
    assert!(missing.is_empty(), "no family knows these operations: {missing:?}");
    assert!(stale.is_empty(), "these operations are mapped; remove them from PENDING: {stale:?}");
    println!("not mapped yet: {pending:?}");
}

/// Runs all cases of a family and reports all that differ.
fn replay(family: &Family) {
    let mut report = String::new();
    let mut failed = 0;
    for case in DATA.iter() {
        let found = catch_unwind(|| differences(family, case)).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().cloned();
            Some(vec![format!("panic: {}", text.unwrap_or_else(|| "without a text".to_owned()))])
        });
        let Some(found) = found.filter(|found| !found.is_empty()) else { continue };
        failed += 1;
        let shapes: Vec<String> =
            case["inputs"].as_array().into_iter().flatten().map(|i| i["shape"].to_string()).collect();
        let (op, tag, kwargs) = (op_of(case), case["tag"].as_str().unwrap_or(""), &case["kwargs"]);
        writeln!(report, "{op} ({tag}) {kwargs} of {}", shapes.join(" ")).expect("a string takes all");
        for difference in found {
            writeln!(report, "    {difference}").expect("a string takes all");
        }
    }
    assert!(failed == 0, "{failed} cases differ:\n{report}");
}
