//! What an optimiser remembers of one parameter.

use wengert::FloatElement;

/// What an optimiser remembers of one parameter: how often it was changed, and flat buffers of its length.
///
/// Buffers are made at the parameter's first step with a gradient, so that later steps allocate nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffers<E> {
    pub(crate) steps: u64,
    /// In the order of [`crate::Algorithm::BUFFERS`]; empty where one is not in use.
    pub(crate) values: Vec<Vec<E>>,
}

impl<E: FloatElement> Buffers<E> {
    pub(crate) fn new(count: usize) -> Self {
        Self { steps: 0, values: vec![Vec::new(); count] }
    }

    /// How often the parameter was changed, the change under way included.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether buffer `k` is not in use yet.
    pub fn is_new(&self, k: usize) -> bool {
        self.values[k].is_empty()
    }

    /// The buffers at the places `ks` in [`crate::Algorithm::BUFFERS`], each of `len` elements; those that were not in use are
    /// filled with `initial`.
    ///
    /// # Panics
    /// If a place is named twice or does not exist.
    #[inline]
    pub fn get<const N: usize>(&mut self, ks: [usize; N], len: usize, initial: E) -> [&mut [E]; N] {
        for k in ks {
            if self.values[k].len() != len {
                self.values[k] = vec![initial; len];
            }
        }
        self.values.get_disjoint_mut(ks).expect("different places of BUFFERS").map(Vec::as_mut_slice)
    }
}
