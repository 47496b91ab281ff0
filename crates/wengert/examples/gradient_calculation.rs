//! The tutorial "Gradient Calculation with Autograd".
//!
//! Line for line the PyTorch program in `tests/data/tutorials/gradient_calculation.py`; it prints the same text. The tutorial
//! draws its inputs at random and prints them to four digits; here they are constants inside of the rounding of the printed
//! ones.

use std::io::{self, Write};

use wengert::{Tensor, no_grad};

/// The tutorial, printed to `out`.
pub fn run(out: &mut impl Write) -> io::Result<()> {
    // Gradient calculation
    let x = Tensor::new([0.0157, 0.15046, 0.05312]).requires_grad_(true);
    writeln!(out, "{x}")?;

    let y = x + 2;
    writeln!(out, "{y}")?;

    let z = y * y * 2;
    // let z = z.mean();
    writeln!(out, "{z}")?; // z is a scalar (when z = z.mean()) or a vector (when z = y * y * 2)
    let v = Tensor::new([0.1, 1.0, 0.001]);
    z.backward_with(v); // dz/dx (`backward` needs no seed when z has only one value, i.e. due to z = z.mean())
    writeln!(out, "{}", x.grad().unwrap())?; // a vector-Jacobian product

    // Preventing gradient history
    let x = Tensor::new([-0.0121, 1.8233, -1.5379]).requires_grad_(true);
    writeln!(out, "X =  {x}")?;

    x.requires_grad_(false);
    writeln!(out, "X =  {x}")?;

    let y = x.detach();
    writeln!(out, "Y =  {y}")?;

    no_grad(|| {
        let z = x + 2;
        writeln!(out, "Z =  {z}")
    })?;

    // Training example (zeroing the gradient)
    let weights = Tensor::ones(4).requires_grad_(true);

    for _epoch in 0..3 {
        let model_output = (weights * 3).sum();
        model_output.backward();
        writeln!(out, "{}", weights.grad().unwrap())?; // without zeroing, this would show accumulated gradients
        weights.grad().unwrap().zero_();
    }
    Ok(())
}

fn main() -> io::Result<()> {
    run(&mut io::stdout())
}
