//! The tutorial "Autograd - PyTorch Beginner 03".
//!
//! Line for line the PyTorch program in `tests/data/tutorials/beginner_autograd.py`; it prints the same text. The tutorial
//! shows no output: the inputs are constants in place of `randn`, the calls that its text implies (`backward`, `zero_grad`,
//! `step`) are filled in, and each result that a reader would look at is printed.

use std::io::{self, Write};

use wengert::{Tensor, no_grad};
use wengert_optim::Sgd;

/// The tutorial, printed to `out`.
pub fn run(out: &mut impl Write) -> io::Result<()> {
    // requires_grad_(true) -> tracks all operations on the tensor.
    let x = Tensor::new([0.4963, -1.2071, 0.8804]).requires_grad_(true);
    let y = x + 2;

    // y was created as a result of an operation, so it has a grad_fn.
    // grad_fn: names the function that has created the tensor
    writeln!(out, "{x}")?; // created by the user -> grad_fn is None
    writeln!(out, "{:?}", x.grad_fn())?;
    writeln!(out, "{y}")?;
    writeln!(out, "{}", y.grad_fn().unwrap())?;

    // Do more operations on y
    let z = y * y * 3;
    writeln!(out, "{z}")?;
    let z = z.mean();
    writeln!(out, "{z}")?;

    // Let's compute the gradients with backpropagation
    z.backward();
    writeln!(out, "{}", x.grad().unwrap())?; // dz/dx

    let x = vector_output(out)?;
    untracked(x, out)?;
    training(out)
}

/// Model with non-scalar output: if a tensor has more than one element, `backward_with` takes a seed of matching shape, the
/// vector of the vector-Jacobian product.
fn vector_output(out: &mut impl Write) -> io::Result<Tensor> {
    let x = Tensor::new([-0.7352, 1.0518, 0.2946]).requires_grad_(true);

    let mut y = x * 2;
    for _ in 0..10 {
        y = y * 2;
    }

    writeln!(out, "{y}")?;
    writeln!(out, "{:?}", y.shape())?;

    let v = Tensor::new([0.1, 1.0, 0.0001]);
    y.backward_with(v);
    writeln!(out, "{}", x.grad().unwrap())?;
    Ok(x)
}

/// Stop a tensor from tracking history.
fn untracked(x: Tensor, out: &mut impl Write) -> io::Result<()> {
    // .requires_grad_(..) changes an existing flag in place:
    let a = Tensor::new([[0.6141, -0.3527], [1.7189, -1.0864]]);
    writeln!(out, "{}", python(a.requires_grad()))?;
    let b = (a * 3) / (a - 1);
    writeln!(out, "{b}")?;
    writeln!(out, "{:?}", b.grad_fn())?;
    a.requires_grad_(true);
    writeln!(out, "{}", python(a.requires_grad()))?;
    let b = (a * a).sum();
    writeln!(out, "{b}")?;
    writeln!(out, "{}", b.grad_fn().unwrap())?;

    // .detach(): get a new tensor with the same content but no gradient computation:
    let a = Tensor::new([[-0.2218, 0.9375], [0.0463, 2.1350]]).requires_grad_(true);
    writeln!(out, "{}", python(a.requires_grad()))?;
    let b = a.detach();
    writeln!(out, "{}", python(b.requires_grad()))?;
    writeln!(out, "{b}")?;

    // wrap in no_grad:
    let a = Tensor::new([[1.3046, -0.5872], [-0.0791, 0.4418]]).requires_grad_(true);
    writeln!(out, "{}", python(a.requires_grad()))?;
    no_grad(|| {
        writeln!(out, "{}", python(x.powi(2).requires_grad()))?;
        writeln!(out, "{}", python(a.powi(2).requires_grad()))
    })
}

/// backward() accumulates the gradient for this tensor into `.grad()`.
/// Use `.zero_()` to empty the gradients before a new optimization step!
fn training(out: &mut impl Write) -> io::Result<()> {
    let weights = Tensor::ones(4).requires_grad_(true);
    let mut model_output = weights;

    for _epoch in 0..3 {
        // just a dummy example
        model_output = (weights * 3).sum();
        model_output.backward();
        writeln!(out, "{}", weights.grad().unwrap())?;

        // optimize model, i.e. adjust weights...
        no_grad(|| {
            weights.sub_(0.1 * weights.grad().unwrap());
        });

        // this is important! It affects the final weights & output
        weights.grad().unwrap().zero_();
    }

    writeln!(out, "{weights}")?;
    writeln!(out, "{model_output}")?;

    // The optimizer has a zero_grad() method
    let mut optimizer = Sgd::new([weights], 0.1);
    // During training (a real loop is wrapped in `scope`, so that its memory is flat):
    for _epoch in 0..3 {
        model_output = (weights * 3).sum();
        model_output.backward();
        optimizer.step();
        optimizer.zero_grad();
        writeln!(out, "{weights}")?;
    }

    writeln!(out, "{:?}", weights.grad())?;
    writeln!(out, "{model_output}")
}

/// A truth value as Python prints it.
fn python(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn main() -> io::Result<()> {
    run(&mut io::stdout())
}
