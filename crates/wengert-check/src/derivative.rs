//! Derivatives of a [`Subject`] by each method: sweeps in reverse, a sweep forward, differences.

use wengert::func::try_linearize;
use wengert::{EnableGrad, GradOptions, Result, Scope, Tensor64, grad_with};

use crate::subject::{Subject, flat};
use crate::view::View;

/// For each input its derivatives, `[element][output]`, outputs being counted through; empty for inputs that are not tracked.
pub(crate) type Jacobian = Vec<Vec<f64>>;

/// For each input a product of its size; empty for inputs that are not tracked.
pub(crate) type Product = Vec<Vec<f64>>;

/// What the function gives where derivatives are recorded.
pub(crate) struct Outputs {
    /// Shape of each, and whether it requires a gradient.
    pub kinds: Vec<(Vec<usize>, bool)>,
    /// The elements of all.
    pub values: Vec<f64>,
}

impl Outputs {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The output that element `place` of all belongs to, and its place there.
    pub fn locate(&self, mut place: usize) -> (usize, usize) {
        for (k, (shape, _)) in self.kinds.iter().enumerate() {
            let count = shape.iter().product();
            if place < count {
                return (k, place);
            }
            place -= count;
        }
        unreachable!("there are {} elements", self.len())
    }
}

/// A function that was recorded, to be swept often.
pub(crate) struct Recorded {
    x: Vec<Tensor64>,
    y: Vec<Tensor64>,
    _scope: EnableGrad,
}

impl Recorded {
    /// Evaluates under derivatives; with respect to `tracked`.
    pub fn new(subject: &Subject<'_>, tracked: &[bool], view: View) -> Result<Self> {
        let scope = EnableGrad::enter();
        let x = subject.place(&subject.point(), tracked, view)?;
        let y = subject.call(&x)?;
        Ok(Self { x, y, _scope: scope })
    }

    pub fn outputs(&self) -> Result<Outputs> {
        let kind = |y: &Tensor64| Ok((y.try_shape()?.to_vec(), y.try_requires_grad()?));
        Ok(Outputs { kinds: self.y.iter().map(kind).collect::<Result<_>>()?, values: flat(&self.y)? })
    }

    /// The product of `seed`, one number per element of all outputs, with the Jacobian. Outputs whose part is `None` take no part.
    pub fn pull(&self, seed: &[Option<&[f64]>]) -> Result<Product> {
        let _scope = Scope::enter();
        let wanted: Vec<Tensor64> = self.x.iter().copied().filter(|x| x.requires_grad()).collect();
        let (mut roots, mut seeds) = (Vec::new(), Vec::new());
        for (&y, seed) in self.y.iter().zip(seed) {
            let Some(seed) = seed.filter(|_| y.requires_grad()) else { continue };
            roots.push(y);
            seeds.push(Some(Tensor64::try_from_slice(seed, y.shape())?));
        }
        let options = GradOptions { create_graph: false, allow_unused: true };
        let grads = match roots.is_empty() {
            true => vec![None; wanted.len()],
            false => grad_with(&roots, &wanted, &seeds, options)?,
        };
        let mut grads = grads.into_iter();
        let product = |x: &Tensor64| match x.requires_grad().then(|| grads.next().flatten()) {
            None => Ok(Vec::new()),
            Some(None) => Ok(vec![0.0; x.numel()]),
            Some(Some(grad)) => grad.try_to_vec(),
        };
        self.x.iter().map(product).collect()
    }

    /// [`Self::pull`] of all outputs.
    pub fn pull_all(&self, seed: &[f64]) -> Result<Product> {
        let mut rest = seed;
        let part = |y: &Tensor64| {
            let (part, behind) = rest.split_at(y.numel());
            rest = behind;
            Some(part)
        };
        let parts: Vec<_> = self.y.iter().map(part).collect();
        self.pull(&parts)
    }

    /// Every row of the Jacobian by a sweep of its own.
    pub fn jacobian(&self) -> Result<Jacobian> {
        let outputs = self.y.iter().map(|y| y.numel()).sum::<usize>();
        let size = |x: &Tensor64| if x.requires_grad() { x.numel() * outputs } else { 0 };
        let mut jacobian: Jacobian = self.x.iter().map(|x| vec![0.0; size(x)]).collect();
        let mut row = 0;
        for (k, y) in self.y.iter().enumerate() {
            for element in 0..y.numel() {
                let mut seed = vec![0.0; y.numel()];
                seed[element] = 1.0;
                let mut parts = vec![None; self.y.len()];
                parts[k] = Some(&seed[..]);
                for (jacobian, product) in jacobian.iter_mut().zip(self.pull(&parts)?) {
                    for (element, value) in product.into_iter().enumerate() {
                        jacobian[element * outputs + row] = value;
                    }
                }
                row += 1;
            }
        }
        Ok(jacobian)
    }
}

/// The Jacobian's columns along `directions` by forward mode: each direction names one input and moves nothing else. Only the inputs
/// that are `tracked` are differentiated, the others are constants.
pub(crate) fn push(
    subject: &Subject<'_>,
    tracked: &[bool],
    directions: impl IntoIterator<Item = (usize, Vec<f64>)>,
) -> Result<Vec<Vec<f64>>> {
    let _scope = Scope::enter();
    let x = subject.place(&subject.point(), &vec![false; tracked.len()], View::Contiguous)?;
    let smooth: Vec<usize> = (0..x.len()).filter(|&k| tracked[k]).collect();
    let mut failed = None;
    let f = |moving: Vec<Tensor64>| {
        let mut at = x.clone();
        smooth.iter().zip(moving).for_each(|(&k, moving)| at[k] = moving);
        subject.call(&at).unwrap_or_else(|error| {
            failed = Some(error);
            Vec::new()
        })
    };
    let (_, derivative) = try_linearize(f, smooth.iter().map(|&k| x[k]).collect::<Vec<_>>())?;
    if let Some(error) = failed {
        return Err(error);
    }
    let along = |(input, direction): (usize, Vec<f64>)| {
        let _scope = Scope::enter();
        let tangent = |&k: &usize| match k == input {
            true => Tensor64::try_from_slice(&direction, x[k].shape()),
            false => x[k].try_zeros_like(),
        };
        let tangents = smooth.iter().map(tangent).collect::<Result<Vec<_>>>()?;
        flat(&derivative.try_call(tangents)?)
    };
    directions.into_iter().map(along).collect()
}

/// Differences along a direction, for each element of the outputs.
pub(crate) struct Slopes {
    /// From below.
    pub left: Vec<f64>,
    /// From above.
    pub right: Vec<f64>,
    /// From both.
    pub central: Vec<f64>,
    /// What rounding can make of each.
    pub resolution: Vec<f64>,
}

/// Rounding errors of an output, in units of its last place, that differences are allowed.
const ROUNDINGS: f64 = 8.0;

/// The differences of `subject` along `direction` of `input`: by `eps`, or relative to the largest element that moves if it is above 1.
pub(crate) fn slopes(
    subject: &Subject<'_>,
    center: &[f64],
    input: usize,
    direction: &[f64],
    eps: f64,
) -> Result<Slopes> {
    let mut point = subject.point();
    let from = point[input].clone();
    let moving = from.iter().zip(direction).filter(|(_, d)| **d != 0.0);
    let length = eps * moving.fold(1.0, |most: f64, (x, _)| most.max(x.abs()));
    let mut at = |step: f64| {
        point[input] = from.iter().zip(direction).map(|(x, d)| x + step * d).collect();
        subject.values(&point)
    };
    let (above, below) = (at(length)?, at(-length)?);
    let over = |a: &[f64], b: &[f64], length: f64| a.iter().zip(b).map(|(a, b)| (a - b) / length).collect();
    let size = |(a, b): (&f64, &f64)| ROUNDINGS * f64::EPSILON * a.abs().max(b.abs()) / length;
    Ok(Slopes {
        left: over(center, &below, length),
        right: over(&above, center, length),
        central: over(&above, &below, 2.0 * length),
        resolution: above.iter().zip(&below).map(size).collect(),
    })
}

impl Slopes {
    /// The same for the number that `weights` make of the outputs.
    pub fn weighed(self, weights: &[f64]) -> Self {
        let sum = |slopes: &[f64]| vec![dot(slopes, weights)];
        let size = self.resolution.iter().zip(weights).map(|(r, w)| r * w.abs()).sum();
        Self { left: sum(&self.left), right: sum(&self.right), central: sum(&self.central), resolution: vec![size] }
    }
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
