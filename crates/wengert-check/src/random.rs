//! Random directions, of the check's own: the thread's generator belongs to the function that is checked.

/// A splitmix64 generator (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Numbers whose size is 0.5 to 1, of either sign: none is so small that an error in its place is lost.
    pub fn numbers(&mut self, count: usize) -> Vec<f64> {
        let number = |bits: u64| {
            let size = 0.5 + 0.5 * ((bits >> 11) as f64 / (1u64 << 53) as f64);
            if bits & 1 == 0 { size } else { -size }
        };
        (0..count).map(|_| number(self.next())).collect()
    }

    /// A number from 0 up to but not including `bound`.
    #[cfg(feature = "proptest")]
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
