//! candle: chains, perceptrons, and the convolutional network. A step is what `candle_nn::SGD` does.

use candle_core::{D, Device, Result, Tensor, Var};
use wengert_benches::arrays::{Array, Data};
use wengert_benches::workloads::{CHECKED_STEPS, Program, RATE, Results, SCALAR_ROUNDS};

pub fn start(kind: &str, inputs: &[Array]) -> Option<Program> {
    Some(match kind {
        "scalar_chain" => differentiate(inputs, |x| {
            let mut y = x[0].as_tensor().clone();
            for _ in 0..SCALAR_ROUNDS {
                y = ((y * x[1].as_tensor())? + x[2].as_tensor())?;
            }
            Ok(y)
        }),
        "tanh_exp" => differentiate(inputs, |x| {
            let x = x[0].as_tensor();
            (((x * x)? + 2.0)?.tanh()? * x.exp()?)?.sum_all()
        }),
        "mean_square" => differentiate(inputs, |x| {
            let y = (x[0].as_tensor() + 2.0)?;
            ((&y * &y)? * 2.0)?.mean_all()
        }),
        "mlp" => train(inputs, perceptron),
        "lenet" => train(inputs, lenet),
        _ => return None,
    })
}

fn tensor(array: &Array) -> Tensor {
    let shape = array.shape.as_slice();
    match &array.data {
        Data::F32(numbers) => Tensor::from_slice(numbers, shape, &Device::Cpu),
        Data::I64(labels) => Tensor::from_slice(labels, shape, &Device::Cpu),
    }
    .expect("a tensor")
}

fn array(tensor: &Tensor) -> Array {
    let numbers = tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("numbers");
    Array { shape: tensor.dims().to_vec(), data: Data::F32(numbers) }
}

fn variables(inputs: &[Array]) -> Vec<Var> {
    inputs.iter().map(|input| Var::from_tensor(&tensor(input)).expect("a variable")).collect()
}

/// A value and the gradients of the variables.
fn gradients(value: &Tensor, variables: &[Var]) -> Vec<Array> {
    let gradients = value.backward().expect("gradients");
    let gradient = |x: &Var| array(gradients.get(x).expect("every variable is used"));
    [array(value)].into_iter().chain(variables.iter().map(gradient)).collect()
}

fn differentiate(inputs: &[Array], f: fn(&[Var]) -> Result<Tensor>) -> Program {
    let x = variables(inputs);
    let checked = x.clone();
    let step = move || {
        f(&x).and_then(|y| y.backward()).expect("gradients");
    };
    let check = move || {
        let value = f(&checked).expect("a value");
        Results { gradients: gradients(&value, &checked), parameters: Vec::new() }
    };
    Program { step: Box::new(step), check: Box::new(check) }
}

/// `loss` gets data, target and parameters.
fn train(inputs: &[Array], loss: fn(&Tensor, &Tensor, &[Var]) -> Result<Tensor>) -> Program {
    let (x, target, parameters) = (tensor(&inputs[0]), tensor(&inputs[1]), variables(&inputs[2..]));
    let checked = parameters.clone();
    let value = move || loss(&x, &target, &parameters).expect("a loss");
    let step = |value: &Tensor, parameters: &[Var]| -> Result<()> {
        let gradients = value.backward()?;
        for parameter in parameters {
            let gradient = gradients.get(parameter).expect("every parameter is used");
            parameter.set(&(parameter.as_tensor() - (gradient * RATE)?)?)?;
        }
        Ok(())
    };
    // Both closures work on the same variables.
    let (value, stepped) = (std::rc::Rc::new(value), checked.clone());
    let checked_value = value.clone();
    let check = move || {
        let gradients = gradients(&checked_value(), &checked);
        (0..CHECKED_STEPS).for_each(|_| step(&checked_value(), &checked).expect("a step"));
        Results { gradients, parameters: checked.iter().map(|x| array(x)).collect() }
    };
    Program { step: Box::new(move || step(&value(), &stepped).expect("a step")), check: Box::new(check) }
}

fn linear(x: &Tensor, weight: &Var, bias: &Var) -> Result<Tensor> {
    x.matmul(&weight.t()?)?.broadcast_add(bias)
}

fn cross_entropy(y: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let logarithms = y.broadcast_sub(&y.log_sum_exp(D::Minus1)?.unsqueeze(D::Minus1)?)?;
    logarithms.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?.neg()
}

fn perceptron(x: &Tensor, target: &Tensor, parameters: &[Var]) -> Result<Tensor> {
    let mut y = x.clone();
    for (i, layer) in parameters.chunks(2).enumerate() {
        y = linear(&if i == 0 { y } else { y.relu()? }, &layer[0], &layer[1])?;
    }
    if target.rank() == 1 { cross_entropy(&y, target) } else { (y - target)?.sqr()?.mean_all() }
}

/// The largest of each 2 x 2. candle's own `max_pool2d` gives a quarter of its gradient (0.11.1, `backprop.rs`: where one element is the
/// largest, the average of the mask is a quarter), and the next fastest way is this.
fn max_pool(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, rows, columns) = x.dims4()?;
    x.reshape((batch, channels, rows / 2, 2, columns / 2, 2))?.max(5)?.max(3)
}

fn lenet(x: &Tensor, labels: &Tensor, parameters: &[Var]) -> Result<Tensor> {
    let mut y = x.clone();
    for layer in parameters[..4].chunks(2) {
        let convolved = y.conv2d(&layer[0], 0, 1, 1, 1)?;
        y = convolved.broadcast_add(&layer[1].reshape((1, (), 1, 1))?)?.relu()?;
        y = max_pool(&y)?;
    }
    cross_entropy(&linear(&y.flatten_from(1)?, &parameters[4], &parameters[5])?, labels)
}
