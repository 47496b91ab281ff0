//! What is checked: a function at a point, in a form that can be evaluated anywhere and in any layout.

use std::rc::Rc;

use wengert::{GradOptions, NoGrad, Result, Tensor64, enable_grad, grad_with, is_grad_enabled, no_grad};

use crate::view::View;

/// What derivatives are taken with respect to.
#[derive(Clone)]
pub(crate) struct Input {
    /// As reports call it.
    pub name: String,
    pub shape: Vec<usize>,
    /// The point, row-major.
    pub values: Vec<f64>,
    /// Whether derivatives are asked for.
    pub tracked: bool,
}

impl Input {
    pub fn of(name: String, x: Tensor64) -> Result<Self> {
        let (shape, values) = (x.try_shape()?.to_vec(), x.try_to_vec()?);
        Ok(Self { name, shape, values, tracked: x.try_requires_grad()? })
    }

    /// A tensor of `values` in the input's shape.
    fn tensor(&self, values: &[f64], view: View) -> Result<Tensor64> {
        view.of(Tensor64::try_from_slice(values, &self.shape)?)
    }
}

/// Makes the tensors of a point that derivatives are taken with respect to: of these values, tracked as said, lying so in memory.
type Place<'a> = Rc<dyn Fn(&[Vec<f64>], &[bool], View) -> Result<Vec<Tensor64>> + 'a>;
/// Evaluates the function at tensors that [`Place`] made, or that stand for them.
type Call<'a> = Rc<dyn Fn(&[Tensor64]) -> Result<Vec<Tensor64>> + 'a>;

/// A function at a point.
#[derive(Clone)]
pub(crate) struct Subject<'a> {
    pub inputs: Vec<Input>,
    place: Place<'a>,
    call: Call<'a>,
    /// Whether the function sees the tensors that it is called with. What captures its parameters does not: there is neither a forward
    /// mode nor another layout for it.
    pub takes_inputs: bool,
}

fn leaves(inputs: &[Input], values: &[Vec<f64>], tracked: &[bool], view: View) -> Result<Vec<Tensor64>> {
    let leaf = |((input, values), &tracked): ((&Input, &Vec<f64>), &bool)| {
        input.tensor(values, view)?.try_requires_grad_(tracked)
    };
    inputs.iter().zip(values).zip(tracked).map(leaf).collect()
}

impl<'a> Subject<'a> {
    /// A function of its inputs.
    pub fn of_inputs(call: impl Fn(&[Tensor64]) -> Vec<Tensor64> + 'a, inputs: Vec<Input>) -> Self {
        let made = inputs.clone();
        let place = move |values: &[Vec<f64>], tracked: &[bool], view| leaves(&made, values, tracked, view);
        Self { inputs, place: Rc::new(place), call: Rc::new(move |x| Ok(call(x))), takes_inputs: true }
    }

    /// A function that captures its parameters: they are overwritten in place. [`Restore`] puts them back.
    pub fn of_parameters(call: impl Fn() -> Vec<Tensor64> + 'a, parameters: Vec<Tensor64>, inputs: Vec<Input>) -> Self {
        let shapes = inputs.clone();
        let place = move |values: &[Vec<f64>], tracked: &[bool], _| {
            let set = |(k, &parameter): (usize, &Tensor64)| {
                overwrite(parameter, &shapes[k], &values[k])?;
                parameter.try_requires_grad_(tracked[k])
            };
            parameters.iter().enumerate().map(set).collect()
        };
        Self { inputs, place: Rc::new(place), call: Rc::new(move |_| Ok(call())), takes_inputs: false }
    }

    pub fn tracked(&self) -> Vec<bool> {
        self.inputs.iter().map(|input| input.tracked).collect()
    }

    pub fn point(&self) -> Vec<Vec<f64>> {
        self.inputs.iter().map(|input| input.values.clone()).collect()
    }

    pub fn place(&self, values: &[Vec<f64>], tracked: &[bool], view: View) -> Result<Vec<Tensor64>> {
        (self.place)(values, tracked, view)
    }

    pub fn call(&self, at: &[Tensor64]) -> Result<Vec<Tensor64>> {
        (self.call)(at)
    }

    /// The vector-Jacobian product as a function of the inputs and of the seeds: its derivatives are the second ones.
    ///
    /// `seeds` gives the values of one seed for each output of these shapes, of which those with `differentiable` have one.
    pub fn second(&self, outputs: &[(Vec<usize>, bool)], mut seeds: impl FnMut(usize) -> Vec<f64>) -> Self {
        let (first, own) = (self.clone(), self.inputs.len());
        let mut inputs = self.inputs.clone();
        for (k, (shape, _)) in outputs.iter().enumerate().filter(|(_, (_, differentiable))| *differentiable) {
            let (name, values) = (format!("the seed of output {k}"), seeds(shape.iter().product()));
            inputs.push(Input { name, shape: shape.clone(), values, tracked: true });
        }
        let (made, placed) = (inputs[own..].to_vec(), self.clone());
        let place = move |values: &[Vec<f64>], tracked: &[bool], view| {
            let mut at = placed.place(&values[..own], &tracked[..own], view)?;
            at.extend(leaves(&made, &values[own..], &tracked[own..], view)?);
            Ok(at)
        };
        let gradient = move |at: &[Tensor64]| {
            let (x, seeds) = at.split_at(own);
            let roots: Vec<Tensor64> = first.call(x)?.into_iter().filter(|y| y.requires_grad()).collect();
            let wanted: Vec<Tensor64> = x.iter().copied().filter(|x| x.requires_grad()).collect();
            let options = GradOptions { create_graph: true, allow_unused: true };
            let seeds: Vec<Option<Tensor64>> = seeds.iter().copied().map(Some).collect();
            let grads =
                if roots.is_empty() { vec![None; wanted.len()] } else { grad_with(&roots, &wanted, &seeds, options)? };
            grads.into_iter().zip(wanted).map(|(g, x)| g.map_or_else(|| x.try_zeros_like(), Ok)).collect()
        };
        // The first derivative needs what is recorded, also where nobody asks for the second one.
        let call = move |at: &[Tensor64]| match is_grad_enabled() {
            true => gradient(at),
            false => enable_grad(|| gradient(at)),
        };
        Self { inputs, place: Rc::new(place), call: Rc::new(call), takes_inputs: self.takes_inputs }
    }

    /// The elements of all outputs, one after another, without derivatives.
    pub fn values(&self, at: &[Vec<f64>]) -> Result<Vec<f64>> {
        let _plain = NoGrad::enter();
        let x = self.place(at, &self.tracked(), View::Contiguous)?;
        flat(&self.call(&x)?)
    }
}

fn overwrite(parameter: Tensor64, input: &Input, values: &[f64]) -> Result<()> {
    no_grad(|| parameter.try_copy_(input.tensor(values, View::Contiguous)?).map(drop))
}

/// The elements of all tensors, one after another.
pub(crate) fn flat(tensors: &[Tensor64]) -> Result<Vec<f64>> {
    let values = tensors.iter().map(|y| y.try_to_vec()).collect::<Result<Vec<_>>>()?;
    Ok(values.concat())
}

/// Puts parameters back as they were, also if the function panics.
pub(crate) struct Restore(Vec<(Tensor64, Input)>);

impl Restore {
    pub fn new(parameters: &[Tensor64], inputs: &[Input]) -> Self {
        Self(parameters.iter().copied().zip(inputs.iter().cloned()).collect())
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        for (parameter, input) in &self.0 {
            let restored =
                overwrite(*parameter, input, &input.values).and_then(|()| parameter.try_requires_grad_(input.tracked));
            // A parameter whose scope the function ended has no value to put back.
            let _: Result<Tensor64> = restored;
        }
    }
}
