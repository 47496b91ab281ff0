//! Everything that reads text or files: equations of `einsum`, numbers (`from_str_radix`), states of optimisers; and printing, with
//! options of all kinds. The engine itself reads no files.

use num_traits::Num;
use wengert::{PrintOptions, Tensor, Tensor64, TensorBase, set_print_options, try_einsum};
use wengert_optim::{Adam, Sgd, State};

use crate::bytes::Bytes;

pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    match bytes.below(4) {
        0 | 1 => equation(&mut bytes),
        2 => state(bytes.0),
        _ => print(&mut bytes),
    }
}

/// The shapes of the operands, then the equation.
fn equation(bytes: &mut Bytes<'_>) {
    let count = bytes.below(4);
    let operands: Vec<Tensor64> = (0..count).map(|k| whole_numbers(bytes, k)).collect();
    let text = String::from_utf8_lossy(&bytes.0[..bytes.0.len().min(64)]);
    let Ok(y) = try_einsum(&text, &operands) else { return };
    if let Some(wanted) = naive(&text, &operands) {
        assert_eq!(
            y.to_vec(),
            wanted,
            "einsum {text:?} of {:?}",
            operands.iter().map(|x| x.shape()).collect::<Vec<_>>()
        );
    }
    if let Ok(loss) = y.try_sum() {
        _ = loss.try_backward();
    }
}

/// Small whole numbers, whose sums of products are exact.
fn whole_numbers(bytes: &mut Bytes<'_>, k: usize) -> Tensor64 {
    let shape: Vec<usize> = bytes.list(4, |bytes| bytes.below(4));
    let values: Vec<f64> = (0..shape.iter().product()).map(|i: usize| ((i * 7 + k) % 5) as f64 - 2.0).collect();
    Tensor64::from_slice(&values, &shape).requires_grad_(true)
}

/// The sum over all values of all letters; `None` for equations with `...` or without `->`, and for large ones.
fn naive(text: &str, operands: &[Tensor64]) -> Option<Vec<f64>> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = compact.split_once("->")?;
    if compact.contains('.') {
        return None;
    }
    let inputs: Vec<&[u8]> = inputs.split(',').map(str::as_bytes).collect();
    // Letters of the output first: the others are summed over.
    let mut letters: Vec<u8> = output.bytes().collect();
    for letter in inputs.iter().flat_map(|input| input.iter()) {
        if !letters.contains(letter) {
            letters.push(*letter);
        }
    }
    let shapes: Vec<_> = operands.iter().map(|x| x.shape()).collect();
    let length = |letter: &u8| {
        let of = inputs.iter().zip(&shapes).flat_map(|(input, shape)| input.iter().zip(shape.iter()));
        let lengths: Vec<usize> = of.filter(|(own, _)| *own == letter).map(|(_, n)| *n).collect();
        lengths.iter().copied().find(|&n| n != 1).unwrap_or(1)
    };
    let lengths: Vec<usize> = letters.iter().map(length).collect();
    let (kept, all): (usize, usize) = (lengths[..output.len()].iter().product(), lengths.iter().product());
    if all > 4096 {
        return None;
    }
    let values: Vec<Vec<f64>> = operands.iter().map(|x| x.to_vec()).collect();
    let mut sums = vec![0.0; kept];
    for flat in 0..all {
        let mut place = vec![0; letters.len()];
        let mut rest = flat;
        for (at, n) in place.iter_mut().zip(&lengths).rev() {
            (*at, rest) = (rest % n, rest / n);
        }
        let factor = |((input, shape), values): ((&&[u8], &wengert::Shape), &Vec<f64>)| {
            let at = input.iter().zip(shape.iter()).fold(0, |at, (letter, &n)| {
                let place = place[letters.iter().position(|own| own == letter).expect("a letter")];
                at * n + if n == 1 { 0 } else { place }
            });
            values[at]
        };
        sums[flat * kept / all] += inputs.iter().zip(&shapes).zip(&values).map(factor).product::<f64>();
    }
    Some(sums)
}

/// A file of an optimiser's state.
fn state(file: &[u8]) {
    let w = Tensor::ones([2, 3]).requires_grad_(true);
    w.sum().backward();
    if let Ok(state) = State::<f32>::read(file) {
        let mut again = Vec::new();
        state.write(&mut again).expect("memory");
        let second = State::<f32>::read(&again[..]).expect("what was written can be read");
        let mut third = Vec::new();
        second.write(&mut third).expect("memory");
        assert_eq!(again, third, "what was written is read as it was");
        let (mut adam, mut sgd) = (Adam::new([w], 0.1), Sgd::new([w], 0.1));
        if adam.load_state(&state).is_ok() {
            _ = adam.try_step();
        }
        if sgd.load_state(&state).is_ok() {
            _ = sgd.try_step();
        }
    }
    _ = State::<f64>::read(file);
    for radix in [10, 2, 16, 36] {
        let text = String::from_utf8_lossy(&file[..file.len().min(40)]);
        // The same as the number's own parser.
        let (ours, theirs) = (Tensor64::from_str_radix(&text, radix), <f64 as Num>::from_str_radix(&text, radix));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => assert!(ours.item() == theirs || theirs.is_nan()),
            (ours, theirs) => assert_eq!(ours.is_ok(), theirs.is_ok()),
        }
    }
}

fn print(bytes: &mut Bytes<'_>) {
    set_print_options(PrintOptions {
        // Each number has so many digits, so more would only take longer.
        precision: (bytes.dim() as u16).min(1000),
        threshold: bytes.length(),
        edgeitems: bytes.length(),
        linewidth: bytes.length(),
        sci_mode: bytes.flag().then(|| bytes.flag()),
    });
    let x: TensorBase<f32> = bytes.tensor();
    let text = format!("{x} {:?} {} {}", x, x.gt(0.5), bytes.tensor::<f64>());
    set_print_options(PrintOptions::default());
    assert!(text.starts_with("tensor("), "{text}");
}
