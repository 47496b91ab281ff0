//! The tutorial "Autograd": what the gradient of a tensor is and how to ask for it.
//!
//! Line for line the PyTorch program in `tests/data/tutorials/autograd_basics.py`; it prints the same text. The tutorial draws
//! its inputs at random and prints them to four digits; here they are constants inside of the rounding of the printed ones.

use std::io::{self, Write};

use wengert::{Tensor, no_grad};

/// The tutorial, printed to `out`.
pub fn run(out: &mut impl Write) -> io::Result<()> {
    // Gradient calculation
    let x = Tensor::new([-1.3506, -0.4263, 0.7109]);
    writeln!(out, "{x}")?;

    // Later we want the gradient of a function with respect to x, thus we need requires_grad_(true).
    let x = Tensor::new([1.11307, -0.12591, 1.290205]).requires_grad_(true);
    writeln!(out, "{x}")?;

    // The grad_fn is recorded for gradient calculation
    let y = x + 2;
    writeln!(out, "{y}")?;

    // The kind of the grad_fn depends on the operation itself, e.g., if it is an addition, multiplication, etc.
    let z = y * y * 2;
    writeln!(out, "{z}")?;

    // The mean grad_fn
    let z = z.mean();
    writeln!(out, "{z}")?;

    // Suppose that z is the desired output: calculate the gradient of z with respect to x
    z.backward(); // dz/dx

    // x has a method that gives the stored gradient, termed `grad`
    writeln!(out, "{}", x.grad().unwrap())?;

    // Let us remove the mean operation from the above z, and check if we can compute the gradient
    let x = Tensor::new([-1.01895, 0.68, 0.256675]).requires_grad_(true);
    let y = x + 2;
    let z = y * y * 2;
    // z.backward() panics: grad can be implicitly created only for scalar outputs
    assert!(z.try_backward().is_err());

    // To fix the above issue, we have to give the seed v
    let v = Tensor::new([0.1, 1.0, 0.001]);
    z.backward_with(v); // v is the seed of the vector-Jacobian product
    writeln!(out, "{}", x.grad().unwrap())?;
    without_gradients(out)?;
    accumulated(out)
}

fn without_gradients(out: &mut impl Write) -> io::Result<()> {
    // In some cases, there is no need to calculate the gradient and update the weights
    let x = Tensor::new([1.5001, 0.9761, 0.8060]).requires_grad_(true);
    writeln!(out, "{x}")?;

    // 1- x.requires_grad_(false)
    x.requires_grad_(false);
    writeln!(out, "{x}")?; // This will not show requires_grad

    // 2- x.detach(), this will create a new tensor that does not require the gradient
    let y = x.detach();
    writeln!(out, "{y}")?;

    // 3- Wrapping with no_grad
    no_grad(|| {
        let y = x + 2;
        writeln!(out, "{y}")
    })
}

fn accumulated(out: &mut impl Write) -> io::Result<()> {
    // When using backward(), the gradient of the tensor is accumulated into `.grad()`.
    // In other words, the values are summed up.
    let weights = Tensor::ones(4).requires_grad_(true);
    for _epoch in 0..10 {
        let model_output = (weights * 10).sum();
        model_output.backward();
        writeln!(out, "{}", weights.grad().unwrap())?;
    }

    // Therefore, we must reset the gradient as follows:
    let weights = Tensor::ones(4).requires_grad_(true);
    for _epoch in 0..10 {
        let model_output = (weights * 10).sum();
        model_output.backward();
        writeln!(out, "{}", weights.grad().unwrap())?;
        weights.grad().unwrap().zero_();
    }
    Ok(())
}

fn main() -> io::Result<()> {
    run(&mut io::stdout())
}
