//! dfdx: chains and perceptrons, with sizes known at run time. It refuses a product of a tensor with itself: `square` stands for it.

use std::cell::RefCell;
use std::rc::Rc;

use dfdx::losses::{cross_entropy_with_logits_loss, mse_loss};
use dfdx::prelude::*;
use wengert_benches::arrays::{Array, Data};
use wengert_benches::workloads::{CHECKED_STEPS, Program, RATE, Results, SCALAR_ROUNDS};

type Taped<S> = Tensor<S, f32, Cpu, OwnedTape<f32, Cpu>>;
type Plain<S> = Tensor<S, f32, Cpu>;

pub fn start(kind: &str, inputs: &[Array]) -> Option<Program> {
    Some(match kind {
        "scalar_chain" => differentiate(inputs, (), |x| {
            let mut y = x[0].leaky_trace();
            for _ in 0..SCALAR_ROUNDS {
                y = y * x[1].clone() + x[2].clone();
            }
            y
        }),
        "tanh_exp" => differentiate(inputs, (inputs[0].numbers().len(),), |x| {
            let x = &x[0];
            ((x.leaky_trace().square() + 2.0).tanh() * x.leaky_trace().exp()).sum()
        }),
        "mean_square" => {
            differentiate(inputs, (inputs[0].numbers().len(),), |x| ((x[0].leaky_trace() + 2.0).square() * 2.0).mean())
        }
        "mlp" => perceptron(inputs),
        _ => return None,
    })
}

fn array<S: Shape>(tensor: &Plain<S>) -> Array {
    Array { shape: tensor.shape().concrete().into_iter().collect(), data: Data::F32(tensor.as_vec()) }
}

fn differentiate<S: Shape>(inputs: &[Array], shape: S, f: fn(&[Plain<S>]) -> Taped<Rank0>) -> Program {
    let device = Cpu::default();
    let x: Vec<_> = inputs.iter().map(|x| device.tensor_from_vec(x.numbers().to_vec(), shape)).collect();
    let checked = x.clone();
    let check = move || {
        let value = f(&checked);
        let number = value.as_vec()[0];
        let gradients = value.backward();
        let gradient = |x: &Plain<S>| array(&gradients.get(x));
        let gradients = [Array::scalar(number)].into_iter().chain(checked.iter().map(gradient)).collect();
        Results { gradients, parameters: Vec::new() }
    };
    let step = move || {
        std::hint::black_box(f(&x).backward());
    };
    Program { step: Box::new(step), check: Box::new(check) }
}

struct Layer {
    weight: Plain<(usize, usize)>,
    bias: Plain<(usize,)>,
}

/// `x` after a step.
fn descend<S: Shape>(x: &mut Plain<S>, gradients: &Gradients<f32, Cpu>) {
    let gradient = gradients.get(x);
    *x = x.clone() - gradient * RATE as f32;
}

fn perceptron(inputs: &[Array]) -> Program {
    let device = Cpu::default();
    let matrix = |a: &Array| device.tensor_from_vec(a.numbers().to_vec(), (a.shape[0], a.shape[1]));
    let x = matrix(&inputs[0]);
    let is_classifier = inputs[1].as_labels().is_some();
    let target = matrix(&inputs[1].one_hot(*inputs[inputs.len() - 1].shape.last().expect("a bias")));
    let layer = |pair: &[Array]| Layer {
        weight: matrix(&pair[0]),
        bias: device.tensor_from_vec(pair[1].numbers().to_vec(), (pair[1].shape[0],)),
    };
    let layers: Rc<RefCell<Vec<Layer>>> = Rc::new(RefCell::new(inputs[2..].chunks(2).map(layer).collect()));
    let loss = move |layers: &[Layer]| {
        let y = forward(&x, layers);
        if is_classifier { cross_entropy_with_logits_loss(y, target.clone()) } else { mse_loss(y, target.clone()) }
    };
    let step = {
        let (loss, layers) = (loss.clone(), layers.clone());
        move || {
            let gradients = loss(&layers.borrow()).backward();
            for layer in layers.borrow_mut().iter_mut() {
                descend(&mut layer.weight, &gradients);
                descend(&mut layer.bias, &gradients);
            }
        }
    };
    let checked_step = step.clone();
    let check = move || {
        let value = loss(&layers.borrow());
        let mut results = vec![Array::scalar(value.as_vec()[0])];
        let gradients = value.backward();
        for layer in layers.borrow().iter() {
            results.extend([array(&gradients.get(&layer.weight)), array(&gradients.get(&layer.bias))]);
        }
        (0..CHECKED_STEPS).for_each(|_| checked_step());
        let parameters = layers.borrow().iter().flat_map(|l| [array(&l.weight), array(&l.bias)]).collect();
        Results { gradients: results, parameters }
    };
    Program { step: Box::new(step), check: Box::new(check) }
}

fn forward(x: &Plain<(usize, usize)>, layers: &[Layer]) -> Taped<(usize, usize)> {
    let mut y = x.leaky_trace();
    for (i, layer) in layers.iter().enumerate() {
        let input = if i == 0 { y } else { y.relu() };
        let product = input.matmul(layer.weight.clone().permute::<_, Axes2<1, 0>>());
        let shape = *product.shape();
        y = product + layer.bias.leaky_trace().broadcast_like::<_, Axis<0>>(&shape);
    }
    y
}
