//! Whether participants compute the same.

use wengert_benches::arrays::Array;
use wengert_benches::workloads::Workload;

use crate::participant::Participant;

/// Who is not timed, and why.
pub struct Failure {
    /// Name and version.
    pub name: String,
    /// For the reader.
    pub why: String,
}

/// How far the value and the gradients may be apart, as a share of the norm of each array.
const GRADIENTS: f64 = 1e-4;
/// How far the parameters' movements may be apart, as a share of the movement.
const MOVEMENTS: f64 = 2e-2;
/// How far parameters may be apart by rounding, as a share of their norm.
const ROUNDING: f64 = 1e-6;

/// Prepares all, compares each with the first, and takes out those that can't take part.
pub fn prepare(
    workload: &Workload,
    inputs: &[Array],
    participants: &mut Vec<Box<dyn Participant + '_>>,
) -> Result<Vec<Failure>, String> {
    let mut failures = Vec::new();
    let mut expected: Option<Vec<Array>> = None;
    let mut error = None;
    participants.retain_mut(|participant| {
        let results = participant.prepare(workload, inputs).and_then(|()| participant.check());
        let agreed = results.and_then(|results| match &expected {
            Some(expected) => compare(expected, &results, &inputs[workload.data..]),
            None => {
                expected = Some(results);
                Ok(())
            }
        });
        let Err(why) = agreed else { return true };
        if expected.is_none() {
            error = Some(format!("{}: {why}", workload.name));
        }
        failures.push(Failure { name: participant.name(), why });
        false
    });
    match error {
        Some(error) => Err(error),
        None => Ok(failures),
    }
}

/// Compares a value, the gradients of the parameters, and what steps made of them.
fn compare(ours: &[Array], theirs: &[Array], starts: &[Array]) -> Result<(), String> {
    if ours.len() != theirs.len() {
        return Err(format!("{} results, expected {}", theirs.len(), ours.len()));
    }
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        if a.shape != b.shape {
            return Err(format!("result {i} has shape {:?}, ours {:?}", b.shape, a.shape));
        }
        let (a, b) = (a.numbers(), b.numbers());
        let apart = distance(a, b);
        let (what, allowed) = match i.checked_sub(1 + starts.len()) {
            None if i == 0 => ("the value".into(), GRADIENTS * norm(a)),
            None => (format!("gradient {i}"), GRADIENTS * norm(a)),
            Some(k) => {
                let movement = distance(a, starts[k].numbers());
                (format!("parameter {}", k + 1), MOVEMENTS * movement + ROUNDING * norm(a))
            }
        };
        // What is not a number is never within bounds.
        if apart.is_nan() || apart > allowed {
            return Err(format!("{what} differs from ours: by {apart:.2e}, allowed are {allowed:.2e}"));
        }
    }
    Ok(())
}

fn norm(a: &[f32]) -> f64 {
    a.iter().map(|&a| f64::from(a).powi(2)).sum::<f64>().sqrt()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use wengert_benches::arrays::{Array, Data};

    use super::compare;

    /// A value, a gradient, and what steps made of the parameter 1.
    fn results(value: f32, gradient: f32, parameter: f32) -> Vec<Array> {
        let row = |x| Array { shape: vec![2], data: Data::F32(vec![x, 1.0]) };
        vec![Array::scalar(value), row(gradient), row(parameter)]
    }

    #[test]
    fn only_equal_results_agree() {
        let start = results(0.0, 0.0, 1.0).split_off(2);
        let ours = results(2.0, -3.0, 0.997);
        assert_eq!(compare(&ours, &results(2.0 + 1e-5, -3.0 + 1e-5, 0.997 + 1e-5), &start), Ok(()));
        for (theirs, what) in [
            (results(2.001, -3.0, 0.997), "the value"),
            (results(f32::NAN, -3.0, 0.997), "the value"),
            (results(2.0, -3.001, 0.997), "gradient 1"),
            (results(2.0, -3.0, 0.9971), "parameter 1"),
            (results(2.0, -3.0, 1.0), "parameter 1"),
            (vec![Array::scalar(2.0)], "1 results"),
            (vec![Array::scalar(2.0); 3], "result 1 has shape []"),
        ] {
            let why = compare(&ours, &theirs, &start).expect_err(what);
            assert!(why.starts_with(what), "{why} should be about {what}");
        }
    }
}
