//! One call of the reference data, as the families see it.

use serde_json::{Map, Value as Json};
use wengert::{BoolTensor, FloatElement, IndexTensor, Operand, TensorBase};

/// A tensor of any type.
#[derive(Clone, Copy)]
pub enum Value<E> {
    Float(TensorBase<E>),
    Index(IndexTensor),
    Mask(BoolTensor),
}

/// The outputs of a call, in PyTorch's order.
pub type Outputs<E> = Vec<Value<E>>;

/// An operation's name, its tensors and its keyword arguments.
pub struct Call<'a, E> {
    pub op: &'a str,
    pub inputs: &'a [(&'a str, Value<E>)],
    pub kwargs: &'a Map<String, Json>,
}

/// A number, or the name of one that is not finite.
pub fn number(json: &Json) -> f64 {
    match json {
        Json::String(name) => name.parse().expect("nan, inf or -inf"),
        Json::Bool(flag) => f64::from(u8::from(*flag)),
        number => number.as_f64().expect("a number"),
    }
}

#[allow(dead_code, reason = "each family of operations takes what it needs")]
impl<E: FloatElement> Call<'_, E> {
    /// The first input, which most operations are methods of.
    pub fn x(&self) -> TensorBase<E> {
        match self.inputs[0].1 {
            Value::Float(tensor) => tensor,
            _ => panic!("{}: the first input holds no floats", self.op),
        }
    }

    /// All inputs of floats, in order: the operands of `cat`, `stack`, `einsum`.
    pub fn tensors(&self) -> Vec<TensorBase<E>> {
        let float = |(_, value): &(&str, Value<E>)| if let Value::Float(tensor) = value { Some(*tensor) } else { None };
        self.inputs.iter().filter_map(float).collect()
    }

    /// The input of floats of that name, if the call has one.
    pub fn tensor(&self, name: &str) -> Option<TensorBase<E>> {
        self.inputs.iter().find_map(|(own, value)| match value {
            Value::Float(tensor) if *own == name => Some(*tensor),
            _ => None,
        })
    }

    /// All inputs of integers, in order.
    pub fn indices(&self) -> Vec<IndexTensor> {
        let index = |(_, value): &(&str, Value<E>)| if let Value::Index(tensor) = value { Some(*tensor) } else { None };
        self.inputs.iter().filter_map(index).collect()
    }

    /// The input of integers of that name.
    pub fn index(&self, name: &str) -> IndexTensor {
        let index = |(own, value): &(&str, Value<E>)| match value {
            Value::Index(tensor) if *own == name => Some(*tensor),
            _ => None,
        };
        self.inputs.iter().find_map(index).unwrap_or_else(|| panic!("{}: no integers `{name}`", self.op))
    }

    /// The input of truth values of that name, if the call has one.
    pub fn mask(&self, name: &str) -> Option<BoolTensor> {
        self.inputs.iter().find_map(|(own, value)| match value {
            Value::Mask(tensor) if *own == name => Some(*tensor),
            _ => None,
        })
    }

    /// An operand that is a tensor in some calls and a number in others.
    pub fn operand(&self, name: &str) -> Operand<E> {
        match self.tensor(name) {
            Some(tensor) => Operand::Tensor(tensor),
            None => Operand::Number(self.float(name).unwrap_or_else(|| panic!("{}: no operand `{name}`", self.op))),
        }
    }

    /// Whether the call has that keyword argument.
    pub fn has(&self, key: &str) -> bool {
        self.kwargs.get(key).is_some_and(|json| !json.is_null())
    }

    /// A number.
    pub fn float(&self, key: &str) -> Option<f64> {
        self.kwargs.get(key).map(number)
    }

    /// A dimension or another integer.
    pub fn int(&self, key: &str) -> Option<isize> {
        self.kwargs.get(key).and_then(Json::as_i64).map(|n| n as isize)
    }

    /// A list of integers; a single integer is a list of one.
    pub fn ints(&self, key: &str) -> Option<Vec<isize>> {
        match self.kwargs.get(key)? {
            Json::Array(list) => Some(list.iter().map(|n| n.as_i64().expect("an integer") as isize).collect()),
            Json::Null => None,
            single => Some(vec![single.as_i64().expect("an integer") as isize]),
        }
    }

    /// A shape or other lengths.
    pub fn sizes(&self, key: &str) -> Option<Vec<usize>> {
        Some(self.ints(key)?.into_iter().map(|n| usize::try_from(n).expect("a length")).collect())
    }

    /// A flag, false if absent.
    pub fn flag(&self, key: &str) -> bool {
        self.kwargs.get(key).and_then(Json::as_bool).unwrap_or(false)
    }

    /// A word such as a reduction.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.kwargs.get(key).and_then(Json::as_str)
    }
}
