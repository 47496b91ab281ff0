//! Pictures: the loss curve, and the sheet of misclassified digits.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use crate::data::Digits;

type Colour = [u8; 3];
const WHITE: Colour = [255; 3];
const GREY: Colour = [200; 3];
const BLACK: Colour = [0; 3];
const BLUE: Colour = [31, 90, 180];
const GREEN: Colour = [20, 130, 60];
const RED: Colour = [200, 40, 40];

/// The digits and the decimal point in 3 x 5 dots, a row in three bits.
const FONT: [(char, [u8; 5]); 11] = [
    ('0', [7, 5, 5, 5, 7]),
    ('1', [2, 6, 2, 2, 7]),
    ('2', [7, 1, 7, 4, 7]),
    ('3', [7, 1, 7, 1, 7]),
    ('4', [5, 5, 7, 1, 1]),
    ('5', [7, 4, 7, 1, 7]),
    ('6', [7, 4, 7, 5, 7]),
    ('7', [7, 1, 1, 2, 2]),
    ('8', [7, 5, 7, 5, 7]),
    ('9', [7, 5, 7, 1, 7]),
    ('.', [0, 0, 0, 0, 2]),
];
/// The size of a dot of the font.
const DOT: usize = 2;

/// An image of 8-bit colours.
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: WHITE.repeat(width * height) }
    }

    fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        for y in y..(y + height).min(self.height) {
            for x in x..(x + width).min(self.width) {
                let at = 3 * (y * self.width + x);
                self.pixels[at..at + 3].copy_from_slice(&colour);
            }
        }
    }

    fn text(&mut self, x: usize, y: usize, text: &str, colour: Colour) {
        for (place, wanted) in text.chars().enumerate() {
            let Some((_, rows)) = FONT.iter().find(|(c, _)| *c == wanted) else { continue };
            for (row, bits) in rows.iter().enumerate() {
                for column in (0..3).filter(|column| bits >> (2 - column) & 1 == 1) {
                    self.fill(x + (4 * place + column) * DOT, y + row * DOT, DOT, DOT, colour);
                }
            }
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for i in 0..=steps as usize {
            let t = i as f64 / steps;
            let (x, y) = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
            self.fill(x as usize, y as usize, 2, 2, colour);
        }
    }

    /// Writes a PNG file.
    pub fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let file = BufWriter::new(File::create(path)?);
        let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        Ok(encoder.write_header()?.write_image_data(&self.pixels)?)
    }
}

/// The training loss by epoch, on a logarithmic axis with a line for each power of ten.
pub fn loss_curve(losses: &[f64]) -> Picture {
    let (left, top, width, height) = (60.0, 10.0, 560.0, 320.0);
    let mut picture = Picture::new(640, 360);
    let log = |loss: f64| loss.max(1e-6).log10();
    let high = losses.iter().copied().map(log).fold(0.0, f64::max).ceil() as i32;
    let low = losses.iter().copied().map(log).fold(-1.0, f64::min).floor() as i32;
    let y = |value: f64| top + height * (f64::from(high) - value) / f64::from(high - low);
    let x = |epoch: usize| left + width * epoch as f64 / (losses.len() - 1).max(1) as f64;
    for power in low..=high {
        let level = y(f64::from(power));
        picture.line((left, level), (left + width, level), GREY);
        let digits = usize::try_from(-power).unwrap_or(0);
        picture.text(4, level as usize - 4, &format!("{:.digits$}", 10f64.powi(power)), BLACK);
    }
    let every = losses.len().div_ceil(10);
    for epoch in (0..losses.len()).step_by(every) {
        picture.text(x(epoch) as usize - 4, 340, &(epoch + 1).to_string(), BLACK);
    }
    for (epoch, pair) in losses.windows(2).enumerate() {
        picture.line((x(epoch), y(log(pair[0]))), (x(epoch + 1), y(log(pair[1]))), BLUE);
    }
    picture
}

/// The pictures at `wrong`, each above its label (green) and what was predicted (red).
pub fn sheet(digits: &Digits, predictions: &[i64], wrong: &[usize]) -> Picture {
    const COLUMNS: usize = 6;
    const SCALE: usize = 8;
    const CELL: (usize, usize) = (8 * SCALE + 16, 8 * SCALE + 30);
    let rows = wrong.len().div_ceil(COLUMNS).max(1);
    let mut picture = Picture::new(COLUMNS * CELL.0, rows * CELL.1);
    for (cell, &i) in wrong.iter().enumerate() {
        let (x, y) = (cell % COLUMNS * CELL.0 + 8, cell / COLUMNS * CELL.1 + 8);
        for (at, &ink) in digits.picture(i).iter().enumerate() {
            let shade = 255 - (ink * 255.0) as u8;
            picture.fill(x + at % 8 * SCALE, y + at / 8 * SCALE, SCALE, SCALE, [shade; 3]);
        }
        picture.text(x, y + 8 * SCALE + 4, &digits.labels[i].to_string(), GREEN);
        picture.text(x + 7 * SCALE, y + 8 * SCALE + 4, &predictions[i].to_string(), RED);
    }
    picture
}
