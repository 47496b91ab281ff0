//! The digits.

use std::error::Error;
use std::io::Read;

use flate2::read::GzDecoder;
use wengert::{IndexTensor, Tensor};

/// Pixels of a picture: 8 rows of 8.
pub const PIXELS: usize = 64;

/// Pictures and their labels.
pub struct Digits {
    /// [`PIXELS`] numbers a picture, 0 (paper) to 1 (ink).
    pub pixels: Vec<f32>,
    pub labels: Vec<i64>,
}

impl Digits {
    /// Reads the digits that come with the example (see `data/README.md` for their source).
    pub fn load() -> Result<Self, Box<dyn Error>> {
        let mut text = String::new();
        GzDecoder::new(&include_bytes!("../../data/digits.csv.gz")[..]).read_to_string(&mut text)?;
        let mut digits = Self { pixels: Vec::new(), labels: Vec::new() };
        for line in text.lines() {
            let (pixels, label) = line.rsplit_once(',').ok_or("a line without a label")?;
            for pixel in pixels.split(',') {
                digits.pixels.push(pixel.parse::<f32>()? / 16.0);
            }
            digits.labels.push(label.parse()?);
        }
        assert_eq!(digits.pixels.len(), digits.labels.len() * PIXELS, "{PIXELS} pixels a picture");
        Ok(digits)
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Two parts at random, the first with `share` of the pictures.
    pub fn split(&self, share: f64) -> (Self, Self) {
        let order = IndexTensor::randperm(self.len()).to_vec();
        let (first, second) = order.split_at((self.len() as f64 * share) as usize);
        (self.pick(first), self.pick(second))
    }

    fn pick(&self, indices: &[i64]) -> Self {
        let picture = |&i: &i64| self.picture(i as usize).iter().copied();
        Self {
            pixels: indices.iter().flat_map(picture).collect(),
            labels: indices.iter().map(|&i| self.labels[i as usize]).collect(),
        }
    }

    pub fn picture(&self, i: usize) -> &[f32] {
        &self.pixels[i * PIXELS..(i + 1) * PIXELS]
    }

    /// The pictures at `indices` as a tensor `[n, 64]`, and their labels `[n]`.
    pub fn batch(&self, indices: &[i64]) -> (Tensor, IndexTensor) {
        let part = self.pick(indices);
        (
            Tensor::from_slice(&part.pixels, [indices.len(), PIXELS]),
            IndexTensor::from_slice(&part.labels, [indices.len()]),
        )
    }
}
