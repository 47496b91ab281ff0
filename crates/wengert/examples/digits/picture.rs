//! Pictures: the loss curve, and the sheet of misclassified digits.

use crate::common::chart::{Area, Axis, Chart};
use crate::common::digits::Digits;
use crate::common::picture::{BLUE, GREEN, Picture, RED};

/// The training loss by epoch.
pub fn loss_curve(losses: &[f64]) -> Picture {
    let mut picture = Picture::new(640, 360);
    let least = losses.iter().copied().fold(0.1, f64::min).max(1e-6);
    let most = losses.iter().copied().fold(1.0, f64::max);
    let area = Area { x: 60.0, y: 30.0, width: 550.0, height: 280.0 };
    let epochs = Axis::linear("epoch", 1.0, losses.len().max(2) as f64);
    let mut chart = Chart::new(&mut picture, area, epochs, Axis::logarithmic("training loss", least, most));
    chart.curve("", BLUE, losses.iter().enumerate().map(|(epoch, &loss)| ((epoch + 1) as f64, loss)));
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
