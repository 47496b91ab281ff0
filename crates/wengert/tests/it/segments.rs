//! Sweeps over parts of the tape.

use std::cell::Cell;
use std::rc::Rc;

use wengert::table::samples;
use wengert::tape::{self, Position, Segment, position};
use wengert::{
    ErrorKind, FloatElement, Tensor, Tensor64, TensorBase, checkpoint, grad, grad_with, memory, no_grad, scope,
};

use super::samples::{inputs, leaves, weigh};

fn one<E: FloatElement>() -> TensorBase<E> {
    TensorBase::ones(())
}

/// The gradients of `leaves` by backward over all, and by backward over the parts that `cuts` make, one after the other.
fn both_ways<E: FloatElement>(
    loss: TensorBase<E>,
    leaves: &[TensorBase<E>],
    cuts: &[Position],
) -> [Vec<Option<Vec<E>>>; 2] {
    let gradients = || -> Vec<Option<Vec<E>>> {
        let all = leaves.iter().map(|x| x.grad().map(|grad| grad.to_vec())).collect();
        leaves.iter().for_each(|x| x.zero_grad());
        all
    };
    loss.backward();
    let whole = gradients();
    let mut adjoints = vec![(loss, one())];
    for ends in cuts[1..].windows(2).rev() {
        adjoints = Segment::between(ends[0], ends[1]).pull_back(&adjoints);
    }
    assert!(leaves.iter().all(|x| x.grad().is_none()), "adjoints are carried, not accumulated");
    let rest = Segment::between(cuts[0], cuts[1]).backward(&adjoints, &[]);
    assert!(rest.is_empty());
    [whole, gradients()]
}

/// A program that shares leaves, skips stages, writes in place, has views, numbers and a checkpoint; positions between its stages;
/// the loss and the leaves.
macro_rules! program {
    ($t:ty) => {{
        let leaf = |shape: &[usize], k: usize| {
            let count = shape.iter().product();
            let values: Vec<$t> = (0..count).map(|i| (((i + 11 * k) as f64 * 0.618).fract() - 0.4) as $t).collect();
            TensorBase::<$t>::from_slice(&values, shape).requires_grad_(true)
        };
        let (w, b, s) = (leaf(&[3, 3], 0), leaf(&[3], 1), leaf(&[], 2));
        let mut at = vec![position()];
        let h = leaf(&[2, 3], 3);
        let first = (h.matmul(w) + b).tanh();
        let early = first.exp() * s;
        at.push(position());
        let second = (first.matmul(w.t()) + b).sigmoid();
        let number = s.sin() * s + s;
        let late = second.select(0, 1) * number;
        at.push(position());
        let third = (second * early).softmax(1);
        let written = third * 2.0;
        written.select(1, 0).mul_(number);
        at.push(position());
        let spent = written.sum();
        written.add_(late * s);
        at.push(position());
        let again: TensorBase<$t> = checkpoint(move |x: TensorBase<$t>| (x.matmul(w) * s).square(), written);
        let loss = (again.mean() + early.sum() * number) * s + spent + first.cumsum(0).mean();
        at.push(position());
        (at, loss, vec![w, b, s, h])
    }};
}

#[test]
fn parts_one_after_the_other_are_the_whole_bit_for_bit() {
    macro_rules! check {
        ($t:ty) => {
            let cuts = scope(|| program!($t).0.len());
            for mask in 0..1 << (cuts - 2) {
                scope(|| {
                    let (at, loss, leaves) = program!($t);
                    let inner = (1..cuts - 1).filter(|k| mask >> (k - 1) & 1 == 1);
                    let kept: Vec<Position> = [0].into_iter().chain(inner).chain([cuts - 1]).map(|k| at[k]).collect();
                    let [whole, parts] = both_ways(loss, &leaves, &kept);
                    assert_eq!(parts, whole, "{} parts, {mask:b}", kept.len() - 1);
                    assert!(whole.iter().all(|grad| grad.as_ref().is_some_and(|grad| grad.iter().any(|&g| g != 0.0))));
                });
            }
        };
    }
    check!(f32);
    check!(f64);
}

#[test]
fn every_operation_can_be_cut_off() {
    for sample in samples() {
        scope(|| {
            let x = leaves(&sample, &inputs(&sample));
            let start = position();
            let y = (sample.run)(&x);
            let middle = position();
            let loss = weigh(y);
            if loss.requires_grad() {
                let [whole, parts] = both_ways(loss, &x, &[start, middle, position()]);
                assert_eq!(parts, whole, "{} ({})", sample.op, sample.case);
            }
        });
    }
}

#[test]
fn what_is_wanted_is_given_and_the_rest_is_dropped_or_accumulated() {
    let (x, w) = (Tensor64::new([1.0, 2.0]).requires_grad_(true), Tensor64::scalar(3.0).requires_grad_(true));
    let begin = position();
    let h = x * w;
    let start = position();
    let y = h * h * w;
    let z = y.sum();
    let upper = Segment::since(start);
    assert!(upper.inputs::<f64>().iter().zip([w, h]).all(|(input, expected)| input.is(expected)));
    assert_eq!(upper.inputs::<f32>().len(), 0);

    // y = w h^2, h = w x: dy/dh = 2 w h, dy/dw = h^2.
    let given = upper.backward(&[(z, one())], &[h, y, h]);
    let expected = [[18.0, 36.0], [1.0, 1.0], [18.0, 36.0]];
    assert!(given.iter().zip(expected).all(|(given, expected)| given.unwrap().to_vec() == expected));
    assert_eq!(w.grad().unwrap().item(), 45.0, "what flows to h is not followed");
    assert!(x.grad().is_none());
    let given = upper.backward(&[(z, one())], &[w, x]);
    assert_eq!((given[0].unwrap().item(), given[1].is_none()), (45.0, true));
    assert_eq!(w.grad().unwrap().item(), 45.0, "a leaf that is wanted does not accumulate");

    // Several seeds, some from before the segment.
    let lower = Segment::between(begin, start);
    let whole = Segment::between(begin, position());
    let given = whole.backward(&[(y, y.ones_like()), (h, h.ones_like()), (x, x.ones_like())], &[x]);
    let expected: Vec<f64> = [1.0, 2.0].iter().map(|x| 2.0 * 27.0 * x + 3.0 + 1.0).collect();
    assert_eq!(given[0].unwrap().to_vec(), expected);
    w.zero_grad();
    assert_eq!(lower.backward(&[(h, h.ones_like())], &[]), vec![]);
    assert_eq!((w.grad().unwrap().item(), x.grad().unwrap().to_vec()), (3.0, vec![3.0; 2]));
    assert_eq!(
        Segment::since(position()).backward(&[(w, one())], &[w])[0].unwrap().item(),
        1.0,
        "an empty segment carries"
    );

    // With create_graph: d/dw of the sum of 2 w h at h fixed.
    let given = upper.backward_create_graph(&[(z, one())], &[h])[0].unwrap();
    assert_eq!(grad_with(given.sum(), &[h], None, Default::default()).unwrap()[0].unwrap().to_vec(), [6.0, 6.0]);
    assert_eq!(grad(given.sum(), &[w])[0].item(), 18.0 + 2.0 * 3.0 * 3.0);
}

/// Only what lies before a segment ends there; and each of it is named once, however often it is used or given.
#[test]
fn a_segment_begins_with_its_first_entry() {
    let (x, count) = (Tensor::ones(2).requires_grad_(true), Rc::new(Cell::new(0)));
    let counted = Rc::clone(&count);
    x.register_post_accumulate_grad_hook(move |_| counted.set(counted.get() + 1));
    let begin = position();
    let h = x * 3.0;
    let middle = position();
    let loss = (h * h).sum();
    let adjoints = Segment::since(begin).backward(&[(loss, one())], &[h]);
    assert_eq!(adjoints[0].expect("h leads to the loss").to_vec(), [6.0; 2]);
    assert_eq!(x.grad().expect("x is not wanted").to_vec(), [18.0; 2]);
    assert_eq!(count.get(), 1);
    let upper = Segment::since(middle);
    assert!(matches!(upper.inputs::<f32>()[..], [input] if input.is(h)));
    let below = upper.pull_back(&[(loss, one()), (h, Tensor::ones(2))]);
    assert!(matches!(below[..], [(input, adjoint)] if input.is(h) && adjoint.to_vec() == [7.0; 2]));
}

#[test]
fn hooks_and_retained_gradients() {
    scope(|| {
        let count = Rc::new(Cell::new(0));
        let counting = |weight: usize| {
            let count = Rc::clone(&count);
            move |g: Tensor| {
                count.set(count.get() + weight);
                Some(g * 2.0)
            }
        };
        let x = Tensor::ones(2).requires_grad_(true);
        x.register_hook(counting(1));
        let h = x * 3.0;
        h.register_hook(counting(100));
        h.retain_grad();
        let begin = position();
        let y = h * 5.0;
        y.register_hook(counting(10000));
        y.retain_grad();
        let loss = y.sum();
        let adjoints = Segment::since(begin).pull_back(&[(loss, one())]);
        assert_eq!((count.get(), adjoints.len()), (10000, 1));
        assert_eq!((y.grad().unwrap().to_vec(), h.grad().is_none()), (vec![2.0; 2], true));
        assert_eq!(adjoints[0].1.to_vec(), [10.0; 2], "the hook on h waits for the part that h lies in");
        h.backward_with(adjoints[0].1);
        assert_eq!((count.get(), h.grad().unwrap().to_vec()), (10101, vec![20.0; 2]));
        assert_eq!(x.grad().unwrap().to_vec(), [120.0; 2]);
    });
}

#[test]
fn a_write_in_place_lies_on_one_side() {
    let x = Tensor64::new([1.0, 2.0]).requires_grad_(true);
    let h = x * 2.0;
    h.mul_(3.0);
    let start = position();
    let before = (h * 2.0).sum();
    let middle = position();
    h.mul_(Tensor64::new([6.0, 12.0]));
    let after = h.sum();
    let last = Segment::since(middle);
    let first = Segment::between(start, middle);
    // h is [6, 12] when the first segment begins and ends, [36, 144] when the last one ends.
    assert_eq!(last.backward(&[(after, one())], &[h])[0].unwrap().to_vec(), [6.0, 12.0]);
    assert_eq!(first.backward(&[(before, one())], &[h])[0].unwrap().to_vec(), [2.0, 2.0]);
    assert_eq!(first.backward(&[(h, h.ones_like())], &[h])[0].unwrap().to_vec(), [1.0, 1.0]);
    let carried = last.pull_back(&[(after, one()), (before, one())]);
    assert_eq!(first.pull_back(&carried)[0].1.to_vec(), [8.0, 14.0]);
}

#[test]
fn an_adjoint_of_an_input_joins_what_flows_there() {
    let h = Tensor64::new([1.0, 2.0]).requires_grad_(true) * 3.0;
    let start = position();
    let y = h * h;
    let found = Segment::since(start).pull_back(&[(y, y.ones_like()), (h, Tensor64::new([5.0, 7.0]))]);
    let [(carrier, adjoint)] = found[..] else { panic!("{} tensors, not one", found.len()) };
    assert_eq!((carrier.to_vec(), adjoint.to_vec()), (h.to_vec(), vec![11.0, 19.0]));
}

#[test]
fn memory_of_a_truncated_recurrence_is_flat() {
    let w = Tensor::full([4, 4], 0.1).requires_grad_(true);
    let mut last = memory::stats();
    for step in 0..20 {
        scope(|| {
            let start = position();
            let h = Tensor::ones([1, 4]).matmul(w).tanh().matmul(w);
            let loss = h.sum();
            Segment::since(start).backward(&[(loss, one())], &[h]);
        });
        assert!(step < 2 || memory::stats() == last);
        last = memory::stats();
    }
}

#[test]
fn refusals() {
    let x = Tensor::ones(2).requires_grad_(true);
    let (begin, y, end) = (position(), x * 2.0, position());
    let segment = Segment::between(begin, end);
    let (z, constant) = (y * 2.0, no_grad(|| y * 3.0));
    let ended = scope(|| (position(), x * 2.0, position()));
    let elsewhere = std::thread::spawn(position).join().unwrap();
    let mut stale = y;
    scope(|| stale = y * 2.0);
    let beyond = {
        let failed = Rc::new(Cell::new(None));
        let sink = Rc::clone(&failed);
        let y = x * 1.0;
        y.register_hook(move |g| {
            let _ = (g + 1.0) + 1.0;
            sink.set(Some(position()));
            Some(g.sum())
        });
        y.sum().try_backward().unwrap_err();
        failed.get().unwrap()
    };
    let other = scope(|| {
        let inside = position();
        assert!(Segment::try_between(begin, inside).is_ok() && Segment::try_between(inside, position()).is_ok());
        inside
    });
    let ones = y.ones_like();
    let errors = [
        (Segment::try_between(end, begin).err(), ErrorKind::Value, "can't end at 1, before it begins at 2"),
        (
            Segment::try_between(ended.0, end).err(),
            ErrorKind::Stale,
            "its scope has ended, or it was taken on another thread",
        ),
        (
            Segment::try_between(begin, elsewhere).err(),
            ErrorKind::Stale,
            "its scope has ended, or it was taken on another thread",
        ),
        (Segment::try_between(begin, other).err(), ErrorKind::Stale, "its scope has ended"),
        (Segment::try_between(begin, beyond).err(), ErrorKind::Stale, "beyond the end of the tape"),
        (
            segment.try_backward(&[(z, ones)], &[]).err(),
            ErrorKind::Value,
            "a tensor of shape [2] was recorded after the segment",
        ),
        (segment.try_backward(&[(y, ones)], &[z]).err(), ErrorKind::Value, "was recorded after the segment"),
        (segment.try_backward(&[(y, one())], &[]).err(), ErrorKind::Shape, "the seed has shape [], but the tensor [2]"),
        (segment.try_backward(&[(constant, ones)], &[]).err(), ErrorKind::Grad, "does not require a gradient"),
        (segment.try_backward(&[(y, ones)], &[ones]).err(), ErrorKind::Value, "was recorded after the segment"),
        (segment.try_backward(&[(stale, ones)], &[]).err(), ErrorKind::Stale, "is not on this thread's tape"),
        (segment.try_pull_back(&[(y, one())]).err(), ErrorKind::Shape, "the seed has shape []"),
    ];
    for (k, (error, kind, text)) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("case {k} is refused"));
        assert!(error.kind() == kind && error.to_string().contains(text), "case {k}: {error}");
    }
    assert!(x.grad().is_none());
    let of_ended = scope(|| Segment::since(position()));
    assert!(of_ended.try_inputs::<f32>().is_err() && of_ended.dump().starts_with("<position"));
    assert_eq!(segment.backward(&[(y, ones)], &[x])[0].unwrap().to_vec(), [2.0; 2]);
}

#[test]
fn the_table_of_a_part() {
    let text = std::thread::spawn(|| {
        let x = Tensor::ones(2);
        scope(|| {
            let y = x * 2.0;
            let begin = position();
            let z = no_grad(|| (y * 3.0).mean().item());
            let _ = (y * z, y.sum());
            Segment::between(begin, position()).dump()
        })
    });
    let text = text.join().unwrap();
    let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(cells[0], ["tape:", "2", "entries,", "2"]);
    assert_eq!(
        cells[2..],
        [vec!["scope", "1"], vec!["%2", "mul", "%1", "3"], vec!["%3", "sum", "%1", "[]"]].map(|mut row| {
            if row[0] == "%2" {
                row[3] = "6";
            }
            row
        })
    );
    assert!(tape::dump().lines().count() > 2);
}
