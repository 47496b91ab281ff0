//! Tensors of one element beside arrays: `&array * x`. As elements of arrays they need no more than `num_traits`.

use crate::element::FloatElement;
use crate::tensor::TensorBase;

impl<E: FloatElement> ndarray::ScalarOperand for TensorBase<E> {}
