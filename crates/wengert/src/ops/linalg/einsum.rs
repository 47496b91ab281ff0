//! Sums of products in Einstein's notation, composed of views and batched matrix products.
//!
//! ```text
//! "bij,bjk->bik"      one letter per dimension; a letter that the output lacks is summed over
//! parse               letters per operand, "..." as letters of its own, the output's letters
//! prepare             a letter twice in one operand: its diagonal; a length of 1 against a longer one: dropped;
//!                     a letter in one operand alone, and not in the output: summed
//! contract            from left to right, two operands at a time:
//!                     a [shared and kept, own, shared and summed] x b [shared and kept, shared and summed, own]
//! ```

use smallvec::SmallVec;

use super::super::movement::strided::as_strided;
use crate::element::FloatElement;
use crate::error::{Error, Result, error, unwrap};
use crate::shape::Layout;
use crate::tensor::TensorBase;

/// The name of a dimension: a letter, or a number from 0 on for those that `...` stands for.
type Label = u8;
type Labels = SmallVec<[Label; 8]>;

/// The sum of products of `operands` that `equation` says, as `torch.einsum`: `"ij,jk->ik"` is the matrix product.
///
/// Letters name dimensions, equal ones have equal lengths (or 1); a letter repeated in one operand takes its diagonal; `...` stands
/// for any dimensions, which broadcast. Without `->`, the output has the dimensions of `...` and, in alphabetical order, the
/// letters that occur once. Contracts from left to right.
///
/// ```
/// # use wengert::{einsum, Tensor};
/// let (a, b) = (Tensor::ones([2, 3]), Tensor::ones([3, 4]));
/// assert_eq!(einsum("ij,jk->k", &[a, b]).to_vec(), [6.0; 4]);
/// ```
///
/// # Panics
/// With the text of the error that [`try_einsum`] returns.
#[track_caller]
pub fn einsum<E: FloatElement>(equation: &str, operands: &[TensorBase<E>]) -> TensorBase<E> {
    unwrap(try_einsum(equation, operands))
}

/// [`einsum`], with the error returned.
///
/// # Errors
/// An equation that does not fit the operands or is none; lengths that differ; a stale handle.
#[track_caller]
pub fn try_einsum<E: FloatElement>(equation: &str, operands: &[TensorBase<E>]) -> Result<TensorBase<E>> {
    let _line = crate::trace::note();
    crate::tape::all_or_nothing(|| {
        let (mut terms, output) = parse(equation, operands)?;
        prepare(&mut terms)?;
        contract(terms, &output)
    })
}

/// An operand and the labels of its dimensions.
struct Term<E: FloatElement> {
    x: TensorBase<E>,
    labels: Labels,
}

#[cold]
fn wrong(equation: &str, why: &str) -> Error {
    error!(Value, "einsum: equation {equation:?} {why}")
}

/// The labels of one operand's or the output's letters, with `ellipsis` dimensions for `...`, the last of `most`.
fn labels(equation: &str, letters: &str, ellipsis: usize, most: usize) -> Result<Labels> {
    if letters.matches("...").count() > 1 {
        return Err(wrong(equation, "has `...` twice in one operand"));
    }
    let mut found = Labels::new();
    let mut rest = letters;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            found.extend((most - ellipsis..most).map(|d| d as Label));
            rest = after;
        } else if letter.is_ascii_alphabetic() {
            found.push(letter as Label);
            rest = &rest[1..];
        } else {
            return Err(wrong(equation, &format!("has {letter:?} where a letter, `...`, `,` or `->` is expected")));
        }
    }
    Ok(found)
}

/// How many dimensions of an operand of rank `rank` the `...` in `letters` stands for.
fn ellipsis(equation: &str, letters: &str, rank: usize) -> Result<usize> {
    let named = labels(equation, letters, 0, 0)?.len();
    match rank.checked_sub(named) {
        Some(rest) if rest == 0 || letters.contains("...") => Ok(if letters.contains("...") { rest } else { 0 }),
        _ => Err(wrong(equation, &format!("names {named} dimensions of an operand that has {rank}"))),
    }
}

/// The operands with their labels, and the output's.
fn parse<E: FloatElement>(equation: &str, operands: &[TensorBase<E>]) -> Result<(SmallVec<[Term<E>; 4]>, Labels)> {
    let compact: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match compact.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (&compact[..], None),
    };
    let count = inputs.split(',').count();
    if count != operands.len() {
        return Err(wrong(equation, &format!("names {count} operands, and {} were given", operands.len())));
    }
    let mut most = 0;
    for (letters, x) in inputs.split(',').zip(operands) {
        most = most.max(ellipsis(equation, letters, x.try_shape()?.len())?);
    }
    let mut terms = SmallVec::new();
    for (letters, &x) in inputs.split(',').zip(operands) {
        let own = ellipsis(equation, letters, x.try_shape()?.len())?;
        terms.push(Term { x, labels: labels(equation, letters, own, most)? });
    }
    let output = match output {
        Some(letters) => {
            let given = labels(equation, letters, most, most)?;
            let known = |label| terms.iter().any(|term: &Term<E>| term.labels.contains(&label));
            for (i, &label) in given.iter().enumerate() {
                if !known(label) || given[..i].contains(&label) {
                    let why = if known(label) { "twice in the output" } else { "in the output and in no operand" };
                    return Err(wrong(equation, &format!("has {:?} {why}", char::from(label))));
                }
            }
            given
        }
        None => implicit_output(&terms, most),
    };
    Ok((terms, output))
}

/// The dimensions of `...`, then the letters that occur once.
fn implicit_output<E: FloatElement>(terms: &[Term<E>], most: usize) -> Labels {
    let count = |letter: Label| terms.iter().flat_map(|term| &term.labels).filter(|&&label| label == letter).count();
    (0..most as Label).chain((b'A'..=b'z').filter(|&letter| count(letter) == 1)).collect()
}

/// Takes diagonals, checks lengths, and drops dimensions of length 1 that other operands have longer.
fn prepare<E: FloatElement>(terms: &mut [Term<E>]) -> Result<()> {
    let mut lengths = [1usize; 128];
    for term in &mut *terms {
        take_diagonals(term)?;
        for (&label, &n) in term.labels.iter().zip(&term.x.try_shape()?[..]) {
            let length = &mut lengths[label as usize];
            if *length != 1 && n != 1 && *length != n {
                return Err(error!(
                    Shape,
                    "einsum: dimension {:?} has length {n} in an operand of shape {:?}, and {length} in one before it",
                    name(label),
                    term.x.shape()
                ));
            }
            *length = if *length == 1 { n } else { *length };
        }
    }
    for term in terms {
        let shape = term.x.try_shape()?;
        let keep = |d: usize| shape[d] == lengths[term.labels[d] as usize];
        if !(0..shape.len()).all(keep) {
            let kept: SmallVec<[usize; 8]> = (0..shape.len()).filter(|&d| keep(d)).collect();
            term.x = term.x.try_reshape(&kept.iter().map(|&d| shape[d]).collect::<SmallVec<[usize; 8]>>()[..])?;
            term.labels = kept.iter().map(|&d| term.labels[d]).collect();
        }
    }
    Ok(())
}

/// A label as it was written.
fn name(label: Label) -> char {
    if label < b'A' { '…' } else { char::from(label) }
}

/// Makes one dimension of those with one label: the diagonal.
fn take_diagonals<E: FloatElement>(term: &mut Term<E>) -> Result<()> {
    let shape = term.x.try_shape()?;
    let mut labels = Labels::new();
    let (mut lengths, mut strides) = (SmallVec::<[usize; 8]>::new(), SmallVec::<[usize; 8]>::new());
    let contiguous = Layout::contiguous(&shape);
    for ((&label, &n), &stride) in term.labels.iter().zip(&shape[..]).zip(contiguous.strides()) {
        match labels.iter().position(|&earlier| earlier == label) {
            None => {
                labels.push(label);
                lengths.push(n);
                strides.push(stride);
            }
            Some(place) if lengths[place] == n => strides[place] += stride,
            Some(place) => {
                return Err(error!(
                    Shape,
                    "einsum: dimension {:?} of an operand of shape {shape:?} has lengths {} and {n}; a diagonal needs equal ones",
                    name(label),
                    lengths[place]
                ));
            }
        }
    }
    if labels.len() < term.labels.len() {
        term.x = as_strided(term.x, Layout::strided(&lengths, &strides, 0))?;
        term.labels = labels;
    }
    Ok(())
}

/// Multiplies from left to right, and brings the result to the output's order.
fn contract<E: FloatElement>(terms: SmallVec<[Term<E>; 4]>, output: &Labels) -> Result<TensorBase<E>> {
    let mut rest = terms.into_iter();
    let mut left = rest.next().expect("an equation names an operand");
    while let Some(right) = rest.next() {
        let later = |label: Label| output.contains(&label) || rest.as_slice().iter().any(|t| t.labels.contains(&label));
        left = multiply(left, right, later)?;
    }
    left = sum_out(left, |label| output.contains(&label))?;
    permute(left, output)
}

/// Sums over the dimensions that are not `kept`.
fn sum_out<E: FloatElement>(term: Term<E>, kept: impl Fn(Label) -> bool) -> Result<Term<E>> {
    let gone = term.labels.iter().enumerate().filter(|&(_, &label)| !kept(label));
    let gone: SmallVec<[isize; 8]> = gone.map(|(d, _)| d as isize).collect();
    if gone.is_empty() {
        return Ok(term);
    }
    let x = term.x.try_sum_dims(&gone[..], false)?;
    Ok(Term { x, labels: term.labels.into_iter().filter(|&label| kept(label)).collect() })
}

fn permute<E: FloatElement>(term: Term<E>, order: &[Label]) -> Result<TensorBase<E>> {
    if term.labels[..] == *order {
        return Ok(term.x);
    }
    let place = |label: &Label| term.labels.iter().position(|own| own == label).expect("a label of this term") as isize;
    term.x.try_permute(order.iter().map(place).collect::<SmallVec<[isize; 8]>>())
}

/// The product of two terms, summed over what both have and nobody needs later.
fn multiply<E: FloatElement>(a: Term<E>, b: Term<E>, later: impl Fn(Label) -> bool) -> Result<Term<E>> {
    let a = sum_out(a, |label| b.labels.contains(&label) || later(label))?;
    let b = sum_out(b, |label| a.labels.contains(&label) || later(label))?;
    let of = |term: &Term<E>, wanted: &dyn Fn(Label) -> bool| -> Labels {
        term.labels.iter().copied().filter(|&label| wanted(label)).collect()
    };
    let both = of(&a, &|label| b.labels.contains(&label) && later(label));
    let summed = of(&a, &|label| b.labels.contains(&label) && !later(label));
    let own_a = of(&a, &|label| !b.labels.contains(&label));
    let own_b = of(&b, &|label| !a.labels.contains(&label));
    let (shape_a, shape_b) = (a.x.try_shape()?, b.x.try_shape()?);
    let length = |label: &Label| match a.labels.iter().position(|own| own == label) {
        Some(d) => shape_a[d],
        None => shape_b[b.labels.iter().position(|own| own == label).expect("a label of either term")],
    };
    let total = |labels: &Labels| labels.iter().map(length).product::<usize>();
    let labels: Labels = both.iter().chain(&own_a).chain(&own_b).copied().collect();
    let shape: SmallVec<[usize; 8]> = labels.iter().map(length).collect();
    let [batch, m, n, k] = [&both, &own_a, &own_b, &summed].map(total);
    let order = |parts: [&Labels; 3]| parts.into_iter().flatten().copied().collect::<Labels>();
    let x = if summed.is_empty() {
        let left = permute(a, &order([&both, &own_a, &summed]))?.try_reshape([batch, m, 1])?;
        left.try_mul(permute(b, &order([&both, &own_b, &summed]))?.try_reshape([batch, 1, n])?)?
    } else {
        let left = permute(a, &order([&both, &own_a, &summed]))?;
        let right = permute(b, &order([&both, &summed, &own_b]))?;
        match both.is_empty() {
            true => left.try_reshape([m, k])?.try_matmul(right.try_reshape([k, n])?)?,
            false => left.try_reshape([batch, m, k])?.try_matmul(right.try_reshape([batch, k, n])?)?,
        }
    };
    Ok(Term { x: x.try_reshape(&shape[..])?, labels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor64;

    #[test]
    fn wrong_equations_are_refused() {
        let (a, b) = (Tensor64::ones([2, 3]), Tensor64::ones([4, 4]));
        for (equation, operands, text) in [
            ("ij,jk", &[a][..], "names 2 operands, and 1 were given"),
            ("ijk", &[a], "names 3 dimensions of an operand that has 2"),
            ("i", &[a], "names 1 dimensions of an operand that has 2"),
            ("ij->k", &[a], "has 'k' in the output and in no operand"),
            ("ij->ii", &[a], "has 'i' twice in the output"),
            ("i1", &[a], "has '1' where a letter"),
            ("ii", &[a], "a diagonal needs equal ones"),
            ("ij,jk", &[a, b], "dimension 'j' has length 4"),
        ] {
            let error = try_einsum(equation, operands).expect_err(equation).to_string();
            assert!(error.contains(text), "{equation}: {error}");
        }
    }
}
