//! Arrays outside of any library: what peers get as inputs and give back as results.
//!
//! A file of arrays is, little-endian: their number as `u32`; then for each a byte for the type (0 for `f32`, 1 for `i64`), a byte for
//! the rank, a `u32` per dimension, and the elements, row-major. `peers/protocol.py` reads and writes the same.

use std::fs;
use std::io;
use std::path::Path;

use wengert::{IndexTensor, Tensor, scope};

/// The elements of an [`Array`], row-major.
#[derive(Clone, Debug)]
pub enum Data {
    /// Numbers.
    F32(Vec<f32>),
    /// Labels.
    I64(Vec<i64>),
}

/// A shape and its elements.
#[derive(Clone, Debug)]
pub struct Array {
    /// Lengths of the dimensions, outermost first.
    pub shape: Vec<usize>,
    /// As many elements as the shape says.
    pub data: Data,
}

impl Array {
    /// The value of a tensor.
    pub fn of(tensor: Tensor) -> Self {
        Self { shape: tensor.shape().to_vec(), data: Data::F32(tensor.to_vec()) }
    }

    /// Normal numbers of deviation `scale`, by the thread's generator.
    pub fn normal(shape: &[usize], scale: f32) -> Self {
        let numbers = scope(|| (Tensor::randn(shape) * scale).to_vec());
        Self { shape: shape.to_vec(), data: Data::F32(numbers) }
    }

    /// A number.
    pub fn scalar(value: f32) -> Self {
        Self { shape: Vec::new(), data: Data::F32(vec![value]) }
    }

    /// Zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), data: Data::F32(vec![0.0; shape.iter().product()]) }
    }

    /// `count` labels below `classes`.
    pub fn labels(count: usize, classes: usize) -> Self {
        let labels = (0..count).map(|i| (i * 7 % classes) as i64).collect();
        Self { shape: vec![count], data: Data::I64(labels) }
    }

    /// The elements of an array of numbers.
    ///
    /// # Panics
    /// If it holds labels.
    pub fn numbers(&self) -> &[f32] {
        match &self.data {
            Data::F32(numbers) => numbers,
            Data::I64(_) => panic!("an array of labels, of shape {:?}, was used as one of numbers", self.shape),
        }
    }

    /// The elements of an array of labels, if it is one.
    pub fn as_labels(&self) -> Option<&[i64]> {
        match &self.data {
            Data::F32(_) => None,
            Data::I64(labels) => Some(labels),
        }
    }

    /// A matrix the other way round.
    pub fn transposed(&self) -> Self {
        let &[rows, columns] = self.shape.as_slice() else { panic!("a matrix, not shape {:?}", self.shape) };
        let numbers = self.numbers();
        let numbers = (0..columns).flat_map(|j| (0..rows).map(move |i| numbers[i * columns + j])).collect();
        Self { shape: vec![columns, rows], data: Data::F32(numbers) }
    }

    /// Labels as rows of `classes` numbers, 1 at the label; numbers as they are.
    pub fn one_hot(&self, classes: usize) -> Self {
        let Some(labels) = self.as_labels() else { return self.clone() };
        let mut rows = Self::zeros(&[labels.len(), classes]);
        if let Data::F32(numbers) = &mut rows.data {
            labels.iter().enumerate().for_each(|(i, &label)| numbers[i * classes + label as usize] = 1.0);
        }
        rows
    }

    /// A leaf with these numbers.
    pub fn tensor(&self) -> Tensor {
        Tensor::from_slice(self.numbers(), &self.shape)
    }

    /// A leaf with these numbers that wants a gradient.
    pub fn parameter(&self) -> Tensor {
        self.tensor().requires_grad_(true)
    }

    /// A leaf with these labels.
    pub fn indices(&self) -> IndexTensor {
        IndexTensor::from_slice(self.as_labels().expect("labels"), &self.shape)
    }
}

/// Writes a file of arrays.
pub fn write(path: &Path, arrays: &[Array]) -> io::Result<()> {
    let mut bytes = (arrays.len() as u32).to_le_bytes().to_vec();
    for array in arrays {
        bytes.extend([u8::from(array.as_labels().is_some()), array.shape.len() as u8]);
        array.shape.iter().for_each(|&length| bytes.extend((length as u32).to_le_bytes()));
        match &array.data {
            Data::F32(numbers) => numbers.iter().for_each(|x| bytes.extend(x.to_le_bytes())),
            Data::I64(labels) => labels.iter().for_each(|x| bytes.extend(x.to_le_bytes())),
        }
    }
    fs::write(path, bytes)
}

/// Reads a file of arrays of numbers.
pub fn read(path: &Path) -> io::Result<Vec<Array>> {
    let bytes = fs::read(path)?;
    let mut rest = bytes.as_slice();
    let count = take_u32(&mut rest)?;
    let mut arrays = Vec::with_capacity(count);
    for _ in 0..count {
        let &[kind, rank] = take::<2>(&mut rest)?;
        if kind != 0 {
            return Err(io::Error::other(format!("an array of type {kind}, expected numbers")));
        }
        let shape = (0..rank).map(|_| take_u32(&mut rest)).collect::<io::Result<Vec<_>>>()?;
        let numbers = (0..shape.iter().product()).map(|_| Ok(f32::from_le_bytes(*take(&mut rest)?)));
        let data = Data::F32(numbers.collect::<io::Result<_>>()?);
        arrays.push(Array { shape, data });
    }
    Ok(arrays)
}

fn take_u32(rest: &mut &[u8]) -> io::Result<usize> {
    Ok(u32::from_le_bytes(*take(rest)?) as usize)
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> io::Result<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = tail;
    Ok(head)
}
