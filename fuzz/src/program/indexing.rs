//! Making tensors, and operations that take indices or masks.

use wengert::{IndexTensor, Source, TensorBase};

use super::{Float, Values};
use crate::bytes::Bytes;

pub fn make<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) {
    let x = match bytes.below(12) {
        0 => TensorBase::try_zeros(&bytes.small_shape()),
        1 => TensorBase::try_full(&bytes.small_shape(), E::of(bytes.number())),
        2 => TensorBase::try_randn(&bytes.small_shape()),
        3 => TensorBase::try_scalar(E::of(bytes.number())),
        4 => TensorBase::try_eye(bytes.below(6)),
        5 => TensorBase::<E>::try_arange(bytes.number(), bytes.number(), bytes.number()),
        6 => TensorBase::try_bernoulli(values.float(bytes)),
        7 => values.float::<E>(bytes).try_rand_like(),
        8 => values.float::<E>(bytes).try_dropout(bytes.number(), bytes.flag()),
        9 => return values.keep_index(IndexTensor::try_randint(-2, 3, &bytes.small_shape())),
        10 => {
            let list = bytes.list(6, |bytes| bytes.dim() as i64);
            return values.keep_index(IndexTensor::try_from_slice(&list, [list.len()]));
        }
        _ => Ok(bytes.tensor()),
    };
    values.keep(x.and_then(|x| if bytes.flag() { x.try_requires_grad_(true) } else { Ok(x) }));
}

fn source<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) -> Source<E> {
    if bytes.flag() { Source::Tensor(values.float(bytes)) } else { Source::Number(E::of(bytes.number())) }
}

pub fn index<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) {
    let (x, index): (TensorBase<E>, _) = (values.float(bytes), values.index(bytes));
    let y = match bytes.below(17) {
        0 => x.try_gather(bytes.dim(), index),
        1 => x.try_index_select(bytes.dim(), index),
        2 => x.try_take_along_dim(index, bytes.dim()),
        3 => x.try_take_along_dim(index, None),
        4 => index.try_embedding(x, bytes.flag().then(|| bytes.dim())),
        5 => x.try_scatter(bytes.dim(), index, source(bytes, values)),
        6 => x.try_scatter_add(bytes.dim(), index, values.float(bytes)),
        7 => x.try_index_put(&[index], source(bytes, values), bytes.flag()),
        8 => x.try_index_put(&[index, values.index(bytes)], source(bytes, values), bytes.flag()),
        9 => x.try_index_add(bytes.dim(), index, values.float(bytes), bytes.number()),
        10 => x.try_masked_fill(values.mask(bytes), source(bytes, values)),
        11 => x.try_masked_select(values.mask(bytes)),
        12 => return values.keep_index(index.try_one_hot(bytes.flag().then(|| bytes.length()))),
        13 => return values.keep_index(index.try_reshape(&bytes.shape())),
        14 => return values.keep_index(index.try_slice(bytes.dim(), bytes.dim(), bytes.dim(), bytes.length())),
        15 => return values.keep_index(x.try_argsort(bytes.dim(), bytes.flag())),
        _ => return values.keep_mask(values.mask(bytes).try_expand(&bytes.shape())),
    };
    values.keep(y);
}
