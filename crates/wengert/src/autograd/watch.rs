//! Anomaly mode in reverse: which derivative is the first that is not finite.

use super::sweep::{Adjoint, Sweep};
use crate::anomaly::{self, Bad};
use crate::element::FloatElement;
use crate::error::Result;
use crate::ops::Op;
use crate::shape::Layout;
use crate::tape::{self, Tape};

/// One entry being passed in anomaly mode. The operations of its rule are not checked: their results count as a whole.
pub(super) struct Watch {
    _rule: anomaly::Restore,
    /// Whether all that the rule is given is finite, and what it adds to.
    is_finite: bool,
}

impl Watch {
    /// Looks at what the rule of entry `index` is given; `None` outside of anomaly mode, and for a leaf.
    pub fn begin<E: FloatElement>(sweep: &Sweep, index: u32, adjoint: Adjoint) -> Result<Option<Self>> {
        if !anomaly::is_on() {
            return Ok(None);
        }
        tape::with(|tape| {
            let entry = tape.entry(index);
            if entry.op == Op::Leaf {
                return Ok(None);
            }
            let gradient = bad_adjoint::<E>(tape, index, adjoint);
            let is_finite = gradient.is_none()
                && anomaly::has_finite_operands(tape, entry)
                && first_bad_operand(sweep, tape, index).is_none();
            Ok(Some(Self { _rule: anomaly::pause(), is_finite }))
        })
    }

    /// Looks at what the rule made of it.
    ///
    /// # Errors
    /// An operand's gradient is not finite any more.
    pub fn end(self, sweep: &Sweep, index: u32) -> Result<()> {
        if !self.is_finite {
            return Ok(());
        }
        tape::with(|tape| match first_bad_operand(sweep, tape, index) {
            Some((k, operand, bad)) => Err(anomaly::derivative_error(tape, index, k, operand, &bad)),
            None => Ok(()),
        })
    }
}

/// The first operand of entry `index` whose gradient so far is not finite.
fn first_bad_operand(sweep: &Sweep, tape: &Tape, index: u32) -> Option<(usize, u32, Bad)> {
    let operands = tape.operands(index).into_iter().enumerate();
    let mut needed = operands.filter(|&(_, operand)| sweep.needs(tape, operand));
    needed.find_map(|(k, operand)| {
        let adjoint = sweep.adjoint(tape, operand);
        let bad = match tape.entry(operand).dtype() {
            crate::DType::F32 => bad_adjoint::<f32>(tape, operand, adjoint),
            _ => bad_adjoint::<f64>(tape, operand, adjoint),
        };
        bad.map(|bad| (k, operand, bad))
    })
}

fn bad_adjoint<E: FloatElement>(tape: &Tape, index: u32, adjoint: Adjoint) -> Option<Bad> {
    match adjoint {
        Adjoint::None => None,
        Adjoint::Number(number) | Adjoint::Uniform(number) => {
            anomaly::first_bad_of(&[number], &Layout::contiguous(&[]))
        }
        Adjoint::Block(block) => {
            anomaly::first_bad_of::<E>(tape.arena.read(block), &Layout::contiguous(tape.layout(index).shape()))
        }
        Adjoint::Tensor(handle) => anomaly::first_bad_of_entry(tape, handle.index),
    }
}
