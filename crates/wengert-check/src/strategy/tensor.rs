//! Shapes, and tensors as data.

use std::fmt;
use std::ops::RangeInclusive;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use wengert::Tensor64;

use crate::view::View;

/// Lengths that tests should not miss: none, one, those around the widths of vector registers.
const LENGTHS: [usize; 12] = [1, 2, 3, 4, 5, 0, 7, 8, 9, 15, 16, 17];

/// Shapes of these ranks with at most `most` elements: with dimensions of 0 and 1, and lengths around the widths of vector registers.
/// They shrink to fewer and shorter dimensions.
pub fn shapes(ranks: RangeInclusive<usize>, most: usize) -> impl Strategy<Value = Vec<usize>> + Clone {
    let length = (0..LENGTHS.len()).prop_map(|k| LENGTHS[k]);
    prop::collection::vec(length, ranks).prop_map(move |mut shape| {
        // What is too long is cut, from the front.
        let mut room = most.max(1);
        for length in shape.iter_mut().rev().filter(|length| **length > 0) {
            *length = (*length).min(room);
            room /= *length;
        }
        shape
    })
}

/// As many shapes as `count` that broadcast together, to at most `most` elements: leading dimensions are missing, others are 1.
pub fn broadcastable(count: usize, most_dims: usize, most: usize) -> impl Strategy<Value = Vec<Vec<usize>>> + Clone {
    (shapes(0..=most_dims, most), prop::collection::vec((any::<Index>(), any::<u8>()), count)).prop_map(
        |(full, parts)| {
            let part = |(first, ones): &(Index, u8)| {
                let first = first.index(full.len() + 1);
                let length = |(d, length): (usize, &usize)| if ones >> d & 1 == 1 { 1 } else { *length };
                full[first..].iter().enumerate().map(length).collect()
            };
            let mut shapes: Vec<Vec<usize>> = parts.iter().map(part).collect();
            if let Some(first) = shapes.first_mut() {
                *first = full;
            }
            shapes
        },
    )
}

/// The numbers that a tensor's elements are drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    range: RangeInclusive<f64>,
    edges: Vec<f64>,
}

impl Domain {
    /// From `low` to `high`, both among the edges, which are drawn now and then.
    pub fn between(low: f64, high: f64) -> Self {
        Self { range: low..=high, edges: vec![low, high] }
    }

    /// Every finite number: mostly from -3 to 3, with zeros of both signs, the smallest and largest numbers, halves, and integers among the
    /// edges.
    pub fn finite() -> Self {
        let tiny = f64::from_bits(1);
        let sizes = [
            0.0,
            1.0,
            0.5,
            2.0,
            f64::MIN_POSITIVE,
            tiny,
            f64::MAX,
            f64::EPSILON,
            709.0,
            1e300,
            9_007_199_254_740_993.0,
        ];
        Self { range: -3.0..=3.0, edges: sizes.iter().flat_map(|&size| [size, -size]).collect() }
    }

    /// [`Self::finite`], with infinities and NaN.
    pub fn any() -> Self {
        Self::finite().with_edges(&[f64::INFINITY, f64::NEG_INFINITY, f64::NAN])
    }

    /// More edges.
    #[must_use]
    pub fn with_edges(mut self, edges: &[f64]) -> Self {
        self.edges.extend_from_slice(edges);
        self
    }

    /// Without edges, for functions that must be smooth where they are tested.
    #[must_use]
    pub fn without_edges(mut self) -> Self {
        self.edges.clear();
        self
    }

    /// One number: one of seven is an edge. Others have three decimals, so that they are short in print.
    pub fn values(&self) -> BoxedStrategy<f64> {
        let (low, high) = (*self.range.start(), *self.range.end());
        let inside = (0.0..=1.0f64).prop_map(move |t| {
            let value = low + t * (high - low);
            let short = (value * 1000.0).round() / 1000.0;
            if (low..=high).contains(&short) { short } else { value }
        });
        if self.edges.is_empty() {
            return inside.boxed();
        }
        prop_oneof![6 => inside, 1 => select(self.edges.clone())].boxed()
    }
}

/// A tensor as data: its elements, and how they lie in memory. It prints as Rust, by `Debug` too: a failing test shows what to paste.
#[derive(Clone, PartialEq)]
pub struct TensorData {
    /// The lengths of its dimensions.
    pub shape: Vec<usize>,
    /// Its elements, row-major.
    pub values: Vec<f64>,
    /// How they lie in memory.
    pub view: View,
}

impl TensorData {
    /// The tensor, on this thread's tape: a leaf that requires no gradient.
    ///
    /// # Panics
    /// Unless there are as many values as the shape has elements.
    pub fn tensor(&self) -> Tensor64 {
        let x = Tensor64::from_slice(&self.values, &self.shape);
        self.view.of(x).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl fmt::Debug for TensorData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TensorData {
    /// Rust that makes the tensor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shape, values, view } = self;
        let number = |x: &f64| match x {
            x if x.is_nan() => "f64::NAN".into(),
            x if x.is_infinite() => if *x > 0.0 { "f64::INFINITY" } else { "f64::NEG_INFINITY" }.into(),
            x => format!("{x:?}"),
        };
        let values: Vec<String> = values.iter().map(number).collect();
        let plain = format!("Tensor64::from_slice(&[{}], {shape:?})", values.join(", "));
        match view {
            View::Contiguous => f.write_str(&plain),
            view => write!(f, "View::{view:?}.of({plain}).unwrap()"),
        }
    }
}

/// Tensors of these shapes with elements of `domain`, contiguous in memory.
pub fn tensors(
    shapes: impl Strategy<Value = Vec<usize>> + Clone,
    domain: Domain,
) -> impl Strategy<Value = TensorData> + Clone {
    shapes.prop_flat_map(move |shape| of_shape(shape, domain.clone(), vec![View::Contiguous]))
}

/// [`tensors`] of every kind of memory ([`View`]); they shrink to contiguous ones.
pub fn views(
    shapes: impl Strategy<Value = Vec<usize>> + Clone,
    domain: Domain,
) -> impl Strategy<Value = TensorData> + Clone {
    shapes.prop_flat_map(move |shape| of_shape(shape, domain.clone(), View::ALL.to_vec()))
}

/// A tensor of each of `shapes`, of every kind of memory.
pub fn tensors_of(shapes: Vec<Vec<usize>>, domain: Domain) -> impl Strategy<Value = Vec<TensorData>> + Clone {
    let each = shapes.into_iter().map(|shape| of_shape(shape, domain.clone(), View::ALL.to_vec()));
    each.collect::<Vec<_>>()
}

fn of_shape(shape: Vec<usize>, domain: Domain, views: Vec<View>) -> BoxedStrategy<TensorData> {
    let values = prop::collection::vec(domain.values(), shape.iter().product::<usize>());
    let make = move |(values, view)| TensorData { shape: shape.clone(), values, view };
    (values, select(views)).prop_map(make).boxed()
}
