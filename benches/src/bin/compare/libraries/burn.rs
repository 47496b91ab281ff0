//! burn with its backend flex: chains and perceptrons. Weights are stored the other way round, as its own layers do.

use std::cell::RefCell;
use std::rc::Rc;

use burn_tensor::activation::{log_softmax, relu};
use burn_tensor::module::linear;
use burn_tensor::{Device, Int, Tensor, TensorData};
use wengert_benches::arrays::{Array, Data};
use wengert_benches::workloads::{CHECKED_STEPS, Program, RATE, Results, SCALAR_ROUNDS};

pub fn start(kind: &str, inputs: &[Array]) -> Option<Program> {
    Some(match kind {
        "scalar_chain" => differentiate(inputs, |x| {
            let mut y = x[0].clone();
            for _ in 0..SCALAR_ROUNDS {
                y = y * x[1].clone() + x[2].clone();
            }
            y
        }),
        "tanh_exp" => differentiate(inputs, |x| {
            let x = &x[0];
            ((x.clone() * x.clone() + 2.0).tanh() * x.clone().exp()).sum()
        }),
        "mean_square" => differentiate(inputs, |x| {
            let y = x[0].clone() + 2.0;
            (y.clone() * y * 2.0).mean()
        }),
        "mlp" => perceptron(inputs),
        _ => return None,
    })
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn tensor<const D: usize>(array: &Array) -> Tensor<D> {
    Tensor::from_data(TensorData::new(array.numbers().to_vec(), array.shape.clone()), &device())
}

fn array<const D: usize>(tensor: Tensor<D>, shape: &[usize]) -> Array {
    let numbers = tensor.into_data().try_to_vec().expect("numbers");
    Array { shape: shape.to_vec(), data: Data::F32(numbers) }
}

/// Of inputs of rank 1, or 0, which burn writes as 1.
fn differentiate(inputs: &[Array], f: fn(&[Tensor<1>]) -> Tensor<1>) -> Program {
    let flat =
        |input: &Array| tensor::<1>(&Array { shape: vec![input.numbers().len()], ..input.clone() }).require_grad();
    let x: Vec<_> = inputs.iter().map(flat).collect();
    let (checked, shapes) = (x.clone(), inputs.iter().map(|input| input.shape.clone()).collect::<Vec<_>>());
    let check = move || {
        let value = f(&checked);
        let gradients = value.backward();
        let gradient = |(x, shape): (&Tensor<1>, &Vec<usize>)| array(x.grad(&gradients).expect("a gradient"), shape);
        let gradients = checked.iter().zip(&shapes).map(gradient).collect::<Vec<_>>();
        let gradients = [array(value.clone(), &[])].into_iter().chain(gradients).collect();
        Results { gradients, parameters: Vec::new() }
    };
    let step = move || {
        std::hint::black_box(f(&x).backward());
    };
    Program { step: Box::new(step), check: Box::new(check) }
}

struct Layer {
    weight: Tensor<2>,
    bias: Tensor<1>,
}

/// A tensor after a step.
fn descend<const D: usize>(x: &Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(x.clone().inner() - gradient * RATE).require_grad()
}

#[derive(Clone)]
enum Target {
    Labels(Tensor<2, Int>),
    Numbers(Tensor<2>),
}

fn perceptron(inputs: &[Array]) -> Program {
    let x = tensor::<2>(&inputs[0]);
    let target = match inputs[1].as_labels() {
        Some(labels) => {
            Target::Labels(Tensor::from_data(TensorData::new(labels.to_vec(), [labels.len(), 1]), &device()))
        }
        None => Target::Numbers(tensor(&inputs[1])),
    };
    let layer = |pair: &[Array]| Layer {
        weight: tensor::<2>(&pair[0].transposed()).require_grad(),
        bias: tensor::<1>(&pair[1]).require_grad(),
    };
    let layers: Rc<RefCell<Vec<Layer>>> = Rc::new(RefCell::new(inputs[2..].chunks(2).map(layer).collect()));
    let step = {
        let (x, target, layers) = (x.clone(), target.clone(), layers.clone());
        move || {
            let mut layers = layers.borrow_mut();
            let gradients = loss(&x, &target, &layers).backward();
            for layer in layers.iter_mut() {
                layer.weight = descend(&layer.weight, layer.weight.grad(&gradients).expect("a gradient"));
                layer.bias = descend(&layer.bias, layer.bias.grad(&gradients).expect("a gradient"));
            }
        }
    };
    let checked_step = step.clone();
    let check = move || {
        let value = loss(&x, &target, &layers.borrow());
        let gradients = value.backward();
        let mut results = vec![array(value.clone(), &[])];
        for layer in layers.borrow().iter() {
            results.push(matrix(layer.weight.grad(&gradients).expect("a gradient")));
            results.push(array(layer.bias.grad(&gradients).expect("a gradient"), &layer.bias.dims()));
        }
        (0..CHECKED_STEPS).for_each(|_| checked_step());
        let layers = layers.borrow();
        let parameters =
            layers.iter().flat_map(|l| [matrix(l.weight.clone()), array(l.bias.clone(), &l.bias.dims())]).collect();
        Results { gradients: results, parameters }
    };
    Program { step: Box::new(step), check: Box::new(check) }
}

fn matrix(weight: Tensor<2>) -> Array {
    let shape = weight.dims();
    array(weight, &shape).transposed()
}

fn loss(x: &Tensor<2>, target: &Target, layers: &[Layer]) -> Tensor<1> {
    let mut y = x.clone();
    for (i, layer) in layers.iter().enumerate() {
        let input = if i == 0 { y } else { relu(y) };
        y = linear(input, layer.weight.clone(), Some(layer.bias.clone()));
    }
    match target {
        Target::Labels(labels) => log_softmax(y, 1).gather(1, labels.clone()).mean().neg(),
        Target::Numbers(target) => (y - target.clone()).square().mean(),
    }
}
