//! Trains a classifier on 1,797 real handwritten digits.
//!
//! ```text
//! cargo run --release --example digits [-- --model cnn --epochs 30 --out pictures]
//! ```
//!
//! Writes the loss curve and the misclassified test digits as PNG, and prints the test accuracy last.

#[path = "../common/mod.rs"]
mod common;
mod model;
mod options;
mod picture;

use std::error::Error;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use wengert::{IndexTensor, manual_seed, no_grad, scope};
use wengert_optim::{Adam, CosineAnnealingLr, Schedule};

use crate::common::digits::Digits;
use crate::model::Model;
use crate::options::Options;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::parse()? else { return Ok(()) };
    let start = Instant::now();
    manual_seed(options.seed);
    let (train, test) = Digits::load()?.split(0.8);
    let model = Model::new(options.model);
    println!("{}: {} parameters, {} digits to train, {} to test", options.model, model.len(), train.len(), test.len());

    let losses = fit(&model, &train, &test, &options);

    let predictions = predict(&model, &test);
    let wrong: Vec<usize> = (0..test.len()).filter(|&i| predictions[i] != test.labels[i]).collect();
    let (curve, sheet) = (options.out.join("loss.png"), options.out.join("misclassified.png"));
    picture::loss_curve(&losses).write(&curve)?;
    picture::sheet(&test, &predictions, &wrong).write(&sheet)?;
    println!("{} and {} in {:.1} s", curve.display(), sheet.display(), start.elapsed().as_secs_f64());
    println!("test accuracy {:.4}", 1.0 - wrong.len() as f64 / test.len() as f64);
    Ok(())
}

/// Trains for `options.epochs` passes over the data; the mean training loss of each.
fn fit(model: &Model, train: &Digits, test: &Digits, options: &Options) -> Vec<f64> {
    let mut adam = Adam::new(model.parameters(), options.lr);
    let mut schedule = CosineAnnealingLr::new(options.epochs as u64).attach(&mut adam);
    let batches = train.len().div_ceil(options.batch);
    let bar = ProgressBar::new((options.epochs * batches) as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {eta} left, {msg}").expect("a template"));
    let mut losses = Vec::new();
    for epoch in 1..=options.epochs {
        let order = scope(|| IndexTensor::randperm(train.len()).to_vec());
        let mut total = 0.0;
        for batch in order.chunks(options.batch) {
            let loss = scope(|| {
                let (pixels, labels) = train.batch(batch);
                let loss = model.forward(pixels, true).cross_entropy(labels);
                loss.backward();
                loss.item()
            });
            adam.step();
            adam.zero_grad();
            total += f64::from(loss) * batch.len() as f64;
            bar.inc(1);
        }
        schedule.step(&mut adam);
        let loss = total / train.len() as f64;
        bar.set_message(format!("loss {loss:.4}"));
        let accuracy = accuracy(&predict(model, test), &test.labels);
        bar.suspend(|| println!("epoch {epoch:3}  loss {loss:.4}  test accuracy {accuracy:.4}"));
        losses.push(loss);
    }
    bar.finish_and_clear();
    losses
}

/// The most likely digit for each picture.
fn predict(model: &Model, digits: &Digits) -> Vec<i64> {
    let all: Vec<i64> = (0..digits.len() as i64).collect();
    no_grad(|| {
        let (pixels, _) = digits.batch(&all);
        model.forward(pixels, false).argmax_dim(1, false).to_vec()
    })
}

fn accuracy(predictions: &[i64], labels: &[i64]) -> f64 {
    let right = predictions.iter().zip(labels).filter(|(p, l)| p == l).count();
    right as f64 / labels.len() as f64
}
