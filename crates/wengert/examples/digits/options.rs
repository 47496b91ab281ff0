//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::model::Kind;

const HELP: &str = "\
Trains a classifier on 1,797 handwritten digits and prints its accuracy on the fifth that it did not see.

Usage: cargo run --release --example digits -- [OPTIONS]

  --model NAME    mlp (64-128-10) or cnn (two convolutions) [mlp]
  --epochs N      passes over the training digits [40; cnn: 20]
  --batch N       digits per step [32]
  --lr X          learning rate at the start, annealed to 0 by a cosine [0.004; cnn: 0.002]
  --seed N        seed of the split, the weights and the order of the digits [0]
  --out DIR       where loss.png and misclassified.png go [out/digits]
  --help          this text
";

pub struct Options {
    pub model: Kind,
    pub epochs: usize,
    pub batch: usize,
    pub lr: f64,
    pub seed: u64,
    pub out: PathBuf,
}

impl Options {
    /// What the command line asks for; `None` if that was the help text.
    pub fn parse() -> Result<Option<Self>, lexopt::Error> {
        let mut options =
            Self { model: Kind::Mlp, epochs: 0, batch: 32, lr: 0.0, seed: 0, out: PathBuf::from("out/digits") };
        let mut parser = Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("model") => options.model = parser.value()?.parse_with(model)?,
                Arg::Long("epochs") => options.epochs = parser.value()?.parse_with(positive)?,
                Arg::Long("batch") => options.batch = parser.value()?.parse_with(positive)?,
                Arg::Long("lr") => options.lr = parser.value()?.parse_with(rate)?,
                Arg::Long("seed") => options.seed = parser.value()?.parse()?,
                Arg::Long("out") => options.out = parser.value()?.into(),
                Arg::Long("help") | Arg::Short('h') => {
                    print!("{HELP}");
                    return Ok(None);
                }
                _ => return Err(arg.unexpected()),
            }
        }
        let (epochs, lr) = match options.model {
            Kind::Mlp => (40, 0.004),
            Kind::Cnn => (20, 0.002),
        };
        if options.epochs == 0 {
            options.epochs = epochs;
        }
        if options.lr == 0.0 {
            options.lr = lr;
        }
        Ok(Some(options))
    }
}

fn model(name: &str) -> Result<Kind, String> {
    match name {
        "mlp" => Ok(Kind::Mlp),
        "cnn" => Ok(Kind::Cnn),
        _ => Err(format!("no model is called {name:?}; there are mlp and cnn")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(lr) if lr > 0.0 && lr < f64::INFINITY => Ok(lr),
        _ => Err("expected a number above 0".to_string()),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("expected a whole number from 1 on".to_string()),
    }
}
