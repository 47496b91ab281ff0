//! Numbers, lengths and lists from the bytes of an input. When these end, everything is 0.

use wengert::{Element, FloatElement, PadMode, TensorBase};

/// Lengths and indices at the borders of what types hold.
const EXTREMES: [isize; 16] = [
    isize::MIN,
    isize::MIN + 1,
    -(1 << 32),
    -65_537,
    -64,
    -9,
    9,
    64,
    1025,
    1 << 16,
    1 << 31,
    (1 << 32) + 1,
    1 << 56,
    isize::MAX / 8,
    isize::MAX - 1,
    isize::MAX,
];

const NUMBERS: [f64; 24] = [
    0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    -0.75,
    3.0,
    -2.5,
    10.0,
    -0.0,
    1e-3,
    100.0,
    1e-8,
    -1e8,
    0.999_999,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::MIN_POSITIVE,
    5e-324,
    f64::MAX,
    1e39,
    -1e300,
    1e-300,
];

/// What is left of an input.
#[derive(Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A small number or, of 16 bytes in 256, an extreme one.
    pub fn dim(&mut self) -> isize {
        match self.byte() {
            byte @ 240.. => EXTREMES[usize::from(byte & 15)],
            byte => isize::from(byte % 10) - 4,
        }
    }

    /// A length: 0 to 5 mostly.
    pub fn length(&mut self) -> usize {
        match self.byte() {
            byte @ 240.. => EXTREMES[usize::from(byte & 15)] as usize,
            byte => usize::from(byte % 6),
        }
    }

    pub fn number(&mut self) -> f64 {
        self.pick(&NUMBERS)
    }

    pub fn list<T>(&mut self, most: usize, mut next: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| next(self)).collect()
    }

    pub fn dims(&mut self) -> Vec<isize> {
        self.list(4, Self::dim)
    }

    pub fn shape(&mut self) -> Vec<usize> {
        self.list(4, Self::length)
    }

    /// A shape of at most a few hundred elements.
    pub fn small_shape(&mut self) -> Vec<usize> {
        self.list(4, |bytes| usize::from(bytes.byte() % 5))
    }

    /// The next bytes, up to 31, as an input of their own.
    pub fn part(&mut self) -> &'a [u8] {
        let count = self.below(32).min(self.0.len());
        let (part, rest) = self.0.split_at(count);
        self.0 = rest;
        part
    }

    /// A tensor that the budget does not refuse.
    pub fn whole<E: Element>(&self, values: &[E], shape: &[usize]) -> TensorBase<E> {
        crate::limited(false);
        let x = TensorBase::from_slice(values, shape);
        crate::limited(true);
        x
    }

    /// A tensor of a small shape with numbers of all kinds.
    pub fn tensor<E: FloatElement>(&mut self) -> TensorBase<E> {
        let shape = self.small_shape();
        let mut start = *self;
        let wild = self.byte() > 200;
        let values = (0..shape.iter().product()).map(|k| match wild {
            true => E::of(start.number()),
            false => E::of((k as f64 * 0.37 + 0.2).sin() * 1.5),
        });
        let values: Vec<E> = values.collect();
        self.whole(&values, &shape)
    }
}

/// What a result shows, for comparison: every NaN is one.
pub fn bits<E: Element + Into<f64>>(values: &[E]) -> impl Iterator<Item = u64> {
    values.iter().map(|&value| {
        let value: f64 = value.into();
        if value.is_nan() { u64::MAX } else { value.to_bits() }
    })
}

pub fn pad_mode<E: FloatElement>(bytes: &mut Bytes<'_>) -> PadMode<E> {
    match bytes.below(4) {
        0 => PadMode::Constant(E::of(bytes.number())),
        1 => PadMode::Reflect,
        2 => PadMode::Replicate,
        _ => PadMode::Circular,
    }
}
