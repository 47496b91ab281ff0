//! Views, movement and indexing beyond what the reference data shows: shared memory, other element types, ranks, refusals.

use wengert::{
    BoolTensor, ErrorKind, IndexTensor, PadMode, Result, Tensor, Tensor64, cat, scope, stack, try_cat, try_stack,
};

fn counted(shape: &[usize]) -> Tensor64 {
    let n = shape.iter().product::<usize>();
    Tensor64::from_slice(&(0..n).map(|i| i as f64).collect::<Vec<_>>(), shape)
}

fn ids(values: &[i64]) -> IndexTensor {
    IndexTensor::from_slice(values, [values.len()])
}

type Unary = fn(Tensor64) -> Tensor64;

#[test]
fn views_share_memory() {
    let rows: [(&str, Unary); 12] = [
        ("squeeze", |x| x.squeeze()),
        ("squeeze_dims", |x| x.squeeze_dims(1)),
        ("unsqueeze", |x| x.unsqueeze(-1)),
        ("flatten", |x| x.flatten(0, -1)),
        ("unflatten", |x| x.unflatten(2, [2, 2])),
        ("movedim", |x| x.movedim(0, -1)),
        ("reshape of a transpose", |x| x.transpose(0, 2).reshape([2, 2, 3, 1])),
        ("split", |x| x.split(2, 2)[1]),
        ("chunk", |x| x.chunk(2, 2)[0]),
        ("unbind", |x| x.unbind(0)[2]),
        ("diagonal", |x| x.diagonal(1, 0, 2)),
        ("narrow of them", |x| x.squeeze().t().narrow(0, 1, 2).flatten(0, 0)),
    ];
    for (name, view) in rows {
        let x = counted(&[3, 1, 4]);
        let seen = view(x);
        let places = seen.to_vec();
        seen.fill_(-1.0);
        let expected: Vec<f64> =
            (0..12).map(|i| i as f64).map(|i| if places.contains(&i) { -1.0 } else { i }).collect();
        assert!(!places.is_empty(), "{name}");
        assert_eq!(x.to_vec(), expected, "{name}");
    }
}

#[test]
fn a_reshape_that_no_strides_can_show_is_a_copy() {
    let x = counted(&[2, 3]);
    let y = x.t().reshape([6]);
    y.fill_(-1.0);
    assert_eq!(x.to_vec(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn gradients_flow_through_what_was_written_to_a_view() {
    scope(|| {
        let x = counted(&[2, 3]).requires_grad_(true);
        let v = Tensor64::new([10.0, 20.0]).requires_grad_(true);
        let y = x * 2.0;
        y.unbind(1)[1].copy_(v);
        y.diagonal(0, 0, 1).mul_(3.0);
        (y * y).sum().backward();
        assert_eq!(y.to_vec(), [0.0, 10.0, 4.0, 6.0, 60.0, 10.0]);
        assert_eq!(x.grad().unwrap().to_vec(), [0.0, 0.0, 16.0, 24.0, 0.0, 40.0]);
        assert_eq!(v.grad().unwrap().to_vec(), [20.0, 360.0]);
    });
}

#[test]
fn only_the_last_writer_of_a_place_gets_a_gradient() {
    scope(|| {
        let x = counted(&[3]).requires_grad_(true);
        let source = Tensor64::new([10.0, 20.0, 30.0, 40.0]).requires_grad_(true);
        let weights = Tensor64::new([1.0, 2.0, 3.0]);
        let ways: [fn(Tensor64, Tensor64) -> Tensor64; 2] = [
            |x, source| x.scatter(0, ids(&[1, 1, 0, 1]), source),
            |x, source| x.index_put(&[ids(&[1, -2, 0, 1])], source, false),
        ];
        for way in ways {
            x.zero_grad();
            source.zero_grad();
            let y = way(x, source);
            (y * weights).sum().backward();
            assert_eq!(y.to_vec(), [30.0, 40.0, 2.0]);
            assert_eq!(x.grad().unwrap().to_vec(), [0.0, 0.0, 3.0]);
            assert_eq!(source.grad().unwrap().to_vec(), [0.0, 0.0, 1.0, 2.0]);
        }
    });
}

#[test]
fn an_index_or_mask_that_changed_since_is_refused() {
    scope(|| {
        let x = counted(&[3]).requires_grad_(true);
        let (index, mask) = (ids(&[0, 2]), BoolTensor::new([true, false, true]));
        let y = [x.gather(0, index).sum(), x.masked_fill(mask, 0.0).sum()];
        index.fill_(1);
        mask.fill_(true);
        for y in y {
            let error = y.try_backward().expect_err("another index than that of the values");
            assert_eq!(error.kind(), ErrorKind::InPlace, "{error}");
        }
        assert!(x.grad().is_none());
    });
}

#[test]
fn a_row_of_padding_gets_no_gradient() {
    scope(|| {
        let weight = Tensor::ones([3, 2]).requires_grad_(true);
        IndexTensor::new([[0, 2], [2, 2]]).embedding(weight, 0).sum().backward();
        assert_eq!(weight.grad().unwrap().to_vec(), [0.0, 0.0, 0.0, 0.0, 3.0, 3.0]);
    });
}

#[test]
fn integers_and_masks_move_too() {
    let x = IndexTensor::new([[3, 1, 2], [0, 5, 4]]);
    let (a, b) = x.sort(-1, true);
    assert_eq!((a.to_vec(), b.to_vec()), (vec![3, 2, 1, 5, 4, 0], vec![0, 2, 1, 1, 2, 0]));
    assert_eq!(x.argsort(0, false).to_vec(), [1, 0, 0, 0, 1, 1]);
    assert_eq!(x.topk(1, 0, false).0.to_vec(), [0, 1, 2]);
    assert_eq!(cat(&[x, x.flip(1)], 0).to_vec(), [3, 1, 2, 0, 5, 4, 2, 1, 3, 4, 5, 0]);
    assert_eq!(stack(&[x, x], 2).shape(), [2, 3, 2]);
    assert_eq!(x.gather(1, IndexTensor::new([[2, 2], [0, 1]])).to_vec(), [2, 2, 0, 5]);
    assert_eq!(x.index_select(1, ids(&[1])).to_vec(), [1, 5]);
    assert_eq!(x.roll(1, 1).to_vec(), [2, 3, 1, 4, 0, 5]);
    assert_eq!(x.pad([0, 1], PadMode::Constant(9)).to_vec(), [3, 1, 2, 9, 0, 5, 4, 9]);
    assert_eq!(x.masked_fill(BoolTensor::new([true, false, false]), 7).to_vec(), [7, 1, 2, 7, 5, 4]);
    assert_eq!(
        x.scatter_add(1, IndexTensor::new([[0, 0]]), IndexTensor::new([[10, 20]])).to_vec(),
        [33, 1, 2, 0, 5, 4]
    );
    assert_eq!(x.masked_select(BoolTensor::new([[false], [true]])).to_vec(), [0, 5, 4]);
    let m = BoolTensor::new([[true, true], [false, true]]);
    assert_eq!(m.tril(0).to_vec(), [true, false, false, true]);
    assert_eq!(m.repeat([1, 2]).to_vec(), [true, true, true, true, false, true, false, true]);
    assert_eq!(
        m.scatter(1, IndexTensor::new([[1], [0]]), BoolTensor::new([[false], [true]])).to_vec(),
        [true, false, true, true]
    );
    assert_eq!(m.flatten(0, 1).argsort(0, false).to_vec(), [2, 0, 1, 3]);
}

#[test]
fn every_rank_and_no_elements() {
    for rank in 1..=8 {
        let shape: Vec<usize> = (0..rank).map(|d| 1 + d % 3).collect();
        let x = counted(&shape);
        for dim in 0..rank as isize {
            let n = x.size(dim);
            let parts = x.split(1, dim);
            assert_eq!(cat(&parts, dim).to_vec(), x.to_vec());
            let all: Vec<i64> = (0..n as i64).rev().collect();
            assert_eq!(x.flip(dim).to_vec(), x.index_select(dim, ids(&all)).to_vec());
            assert_eq!(x.roll(n as isize + 1, dim).roll(-1, dim).to_vec(), x.to_vec());
            assert_eq!(x.sort(dim, false).0.to_vec(), x.to_vec());
            let (descending, positions) = x.sort(dim, true);
            assert_eq!(descending.to_vec(), x.flip(dim).to_vec());
            assert_eq!(x.gather(dim, positions).to_vec(), descending.to_vec());
            if rank < 8 {
                assert_eq!(stack(&x.unbind(dim), dim).to_vec(), x.to_vec());
            }
        }
        let empty = Tensor64::zeros(&shape.iter().map(|n| n - 1).collect::<Vec<_>>());
        assert_eq!(empty.flip(0).numel() + empty.roll(1, ()).numel() + empty.sort(-1, false).0.numel(), 0);
        assert_eq!(cat(&[empty, empty], 0).numel(), 0);
    }
    let one = Tensor64::scalar(2.0);
    assert_eq!(one.sort(0, false).0.item() + one.topk(1, -1, true).0.item() + one.flip(()).item(), 6.0);
    assert_eq!(one.index_select(0, ids(&[0])).item() + one.gather(0, IndexTensor::scalar(0)).item(), 4.0);
    assert_eq!(one.repeat([2, 2]).to_vec(), [2.0; 4]);
    assert_eq!(one.unsqueeze(0).squeeze().shape(), []);
    assert_eq!(one.roll(3, ()).item(), 2.0);
    let weight = Tensor64::ones([0, 4]);
    assert_eq!(ids(&[]).embedding(weight, None).shape(), [0, 4]);
    assert_eq!(cat(&[Tensor64::zeros(0), counted(&[1, 2])], 1).to_vec(), [0.0, 1.0]);
}

#[test]
fn nan_comes_last() {
    let x = Tensor64::new([2.0, f64::NAN, -1.0, f64::INFINITY, f64::NAN, 2.0]);
    assert_eq!(x.argsort(0, false).to_vec(), [2, 0, 5, 3, 1, 4]);
    assert_eq!(x.argsort(0, true).to_vec(), [1, 4, 3, 0, 5, 2]);
    assert_eq!(x.topk(3, 0, true).1.to_vec(), [1, 4, 3]);
    assert_eq!(x.topk(5, 0, false).1.to_vec(), [2, 0, 5, 3, 1]);
}

#[test]
fn the_first_few_of_many_are_those_of_a_sort() {
    // Many ties, in a period that no k divides.
    let x = Tensor64::from_slice(&(0..1000).map(|i| f64::from(i * i % 97 - 40)).collect::<Vec<_>>(), [2, 500]);
    for largest in [false, true] {
        let (values, positions) = x.sort(-1, largest);
        for k in [0, 1, 2, 31, 32, 33, 124, 126, 499, 500] {
            let (few, places) = x.topk(k, -1, largest);
            assert_eq!(few.to_vec(), values.narrow(1, 0, k).to_vec(), "{k}");
            assert_eq!(places.to_vec(), positions.narrow(1, 0, k).to_vec(), "{k}");
        }
    }
    let extreme =
        Tensor::new([f32::MIN, -0.0, f32::MIN_POSITIVE, 0.0, -f32::MIN_POSITIVE, f32::NEG_INFINITY, f32::MAX]);
    assert_eq!(extreme.argsort(0, false).to_vec(), [5, 0, 4, 1, 3, 2, 6]);
    assert_eq!(ids(&[i64::MAX, -1, i64::MIN, 0]).argsort(0, true).to_vec(), [0, 3, 1, 2]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = counted(&[2, 3]);
    let vector = counted(&[3]);
    fn kind<T>(result: Result<T>) -> (ErrorKind, String) {
        let error = result.err().expect("an error");
        (error.kind(), error.to_string())
    }
    use ErrorKind::{Dim, Index, Shape, Value};
    let rows = [
        (
            kind(x.try_gather(1, IndexTensor::new([[0, 3]]))),
            Index,
            "gather: index 3 is out of range for dimension 1 of size 3",
        ),
        (
            kind(x.try_gather(0, IndexTensor::new([[0, -1]]))),
            Index,
            "gather: index -1 is out of range for dimension 0 of size 2",
        ),
        (kind(x.try_gather(0, ids(&[0]))), Shape, "same rank"),
        (kind(x.try_gather(2, IndexTensor::new([[0]]))), Dim, "dimension 2 is out of range"),
        (
            kind(x.try_index_select(-1, ids(&[5]))),
            Index,
            "index_select: index 5 is out of range for dimension 1 of size 3",
        ),
        (kind(x.try_index_select(0, IndexTensor::new([[0]]))), Shape, "one dimension"),
        (
            kind(x.try_scatter(1, IndexTensor::new([[7]]), 1.0)),
            Index,
            "scatter: index 7 is out of range for dimension 1 of size 3",
        ),
        (kind(x.try_scatter(1, IndexTensor::new([[0, 1]]), counted(&[1, 1]))), Shape, "no dimension may be shorter"),
        (kind(x.try_index_add(0, ids(&[0]), vector, 1.0)), Shape, "index_add"),
        (
            kind(x.try_index_put(&[ids(&[0]), ids(&[-4])], 1.0, false)),
            Index,
            "index -4 is out of range for dimension 1 of size 3",
        ),
        (kind(x.try_index_put(&[], 1.0, false)), Index, "0 indices"),
        (kind(x.try_index_put(&[ids(&[0])], counted(&[2]), true)), Shape, "do not broadcast"),
        (kind(x.try_masked_fill(BoolTensor::new([true; 2]), 1.0)), Shape, "do not broadcast"),
        (kind(x.try_masked_fill(BoolTensor::new([true; 3]), vector)), Shape, "rank 0"),
        (kind(x.try_take_along_dim(ids(&[0]), 0)), Shape, "same rank"),
        (kind(x.try_topk(4, 1, true)), Index, "topk: 4 elements are out of range for dimension 1 of size 3"),
        (kind(ids(&[0, 4]).try_one_hot(3)), Index, "one_hot: label 4 is out of range for 3 classes"),
        (kind(ids(&[]).try_one_hot(None)), Value, "number of classes"),
        (kind(ids(&[0]).try_one_hot(0)), Value, "it must be at least 1"),
        (kind(ids(&[2]).try_embedding(x, None)), Index, "embedding: index 2 is out of range for dimension 0 of size 2"),
        (kind(ids(&[1]).try_embedding(x, 2)), Dim, "padding_idx"),
        (kind(try_cat(&[x, vector], 0)), Shape, "cat: tensor 0 has shape [2, 3], tensor 1 [3]"),
        (kind(try_cat(&[x, counted(&[4, 3])], 1)), Shape, "they must be equal but for dimension 1"),
        (kind(try_cat(&[Tensor::scalar(1.0)], 0)), Shape, "use `stack`"),
        (kind(try_cat::<f32>(&[], 0)), Value, "no tensor"),
        (kind(try_stack(&[x, vector], 0)), Shape, "they must be equal"),
        (kind(x.try_flatten(1, 0)), Dim, "must not come after"),
        (kind(x.try_unflatten(1, [2, 2])), Shape, "their product must be its length"),
        (kind(x.try_squeeze_dims([0, 0])), Dim, "named twice"),
        (kind(x.try_movedim([0, 1], [0, 0])), Dim, "named twice"),
        (kind(x.try_movedim([0, 1], 0)), Dim, "different numbers"),
        (kind(x.try_split([1, 1], 1)), Shape, "do not make up dimension 1"),
        (kind(x.try_split(0, 1)), Value, "at least 1"),
        (kind(x.try_chunk(0, 1)), Value, "at least 1"),
        (kind(x.try_unbind(3)), Dim, "out of range"),
        (kind(x.try_repeat([2])), Shape, "fewer numbers"),
        (kind(x.try_repeat([usize::MAX, 2])), Shape, "more elements"),
        (kind(x.try_flip([1, 1])), Dim, "named twice"),
        (kind(x.try_roll([1, 2], 0)), Dim, "not as many"),
        (kind(x.try_pad([1], PadMode::Constant(0.0))), Shape, "two numbers"),
        (kind(x.try_pad([-2, -2], PadMode::Constant(0.0))), Shape, "negative"),
        (kind(x.try_pad([3, 0], PadMode::Reflect)), Shape, "at most 2"),
        (kind(x.try_pad([4, 0], PadMode::Circular)), Shape, "at most 3"),
        (kind(Tensor::zeros([2, 0]).try_pad([1, 0], PadMode::Replicate)), Shape, "at most 0"),
        (kind(vector.try_tril(0)), Shape, "is no matrix"),
        (kind(x.try_diagonal(0, 1, -1)), Dim, "are the same"),
        (kind(Tensor::zeros([1, 1, 1]).try_diag(0)), Shape, "use `diagonal`"),
        (kind(vector.try_diag(isize::MAX)), Shape, "more elements"),
        (kind(counted(&[1; 8]).try_unsqueeze(0)), Shape, "9 dimensions"),
    ];
    for ((kind, text), expected, part) in rows {
        assert_eq!(kind, expected, "{text}");
        assert!(text.contains(part), "{text:?} should say {part:?}");
    }
}
