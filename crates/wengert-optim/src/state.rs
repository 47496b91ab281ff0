//! What an optimiser remembers, as plain data, in memory and in files.

use std::io::{self, BufRead, Read, Write};

use wengert::{DType, Error, ErrorKind, FloatElement, Result};

use crate::optimizer::{Optimizer, Param, unwrap};
use crate::options::{Algorithm, value_error};

/// What an [`Optimizer`] remembers, and its options: plain data, which can be saved by [`State::write`] or by other means.
///
/// A file is lines of ASCII; the elements of each buffer follow its line in binary:
///
/// ```text
/// wengert-optim 1 Adam f32 2                        format, algorithm, elements, groups
/// group 1 0.001 lr 0.0005 beta1 0.9 ..              parameters, rate before any schedule or `none`, options
/// param 50 2 4 3                                    steps, buffers, shape
/// exp_avg 12                                        name and elements of a buffer
/// <12 little-endian f32, and a line feed>
/// ..
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct State<E> {
    /// The algorithm's name, such as `Adam`.
    pub algorithm: String,
    /// One per group.
    pub groups: Vec<GroupState<E>>,
}

/// The options of one group, and what is remembered of its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupState<E> {
    /// Names and numbers; switches are 0 or 1.
    pub options: Vec<(String, f64)>,
    /// The learning rate before a schedule changed it, if one did.
    pub initial_lr: Option<f64>,
    /// One per parameter.
    pub params: Vec<ParamState<E>>,
}

/// What is remembered of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamState<E> {
    /// The parameter's shape.
    pub shape: Vec<usize>,
    /// How often it was changed.
    pub steps: u64,
    /// The buffers in use, named as in PyTorch, each with the parameter's elements, row-major.
    pub buffers: Vec<(String, Vec<E>)>,
}

impl<E: FloatElement, A: Algorithm> Optimizer<E, A> {
    /// A copy of what this optimiser remembers, and of its options.
    ///
    /// # Panics
    /// If a parameter is stale.
    #[track_caller]
    pub fn state(&self) -> State<E> {
        unwrap(self.try_state())
    }

    /// A copy of what this optimiser remembers, and of its options.
    ///
    /// # Errors
    /// A parameter is stale.
    pub fn try_state(&self) -> Result<State<E>> {
        self.check_params()?;
        let param = |param: &Param<E>| {
            let in_use = A::BUFFERS.iter().zip(&param.buffers.values).filter(|(_, values)| !values.is_empty());
            Ok(ParamState {
                shape: param.tensor.try_shape()?.to_vec(),
                steps: param.buffers.steps,
                buffers: in_use.map(|(name, values)| (name.to_string(), values.clone())).collect(),
            })
        };
        let groups = self.groups.iter().map(|group| {
            Ok(GroupState {
                options: A::FIELDS.iter().map(ToString::to_string).zip(group.options.numbers()).collect(),
                initial_lr: group.initial_lr,
                params: group.params.iter().map(param).collect::<Result<_>>()?,
            })
        });
        Ok(State { algorithm: A::NAME.to_string(), groups: groups.collect::<Result<_>>()? })
    }

    /// Goes on from `state`: its buffers, counts and options replace this optimiser's. Values of parameters are not part of it.
    ///
    /// # Errors
    /// A state of another algorithm, of other groups, shapes, buffers or options; the text names the difference. Nothing is
    /// changed then.
    pub fn load_state(&mut self, state: &State<E>) -> Result<()> {
        self.check_params()?;
        if state.algorithm != A::NAME {
            return Err(value_error(format!("{}: the state is one of {}", A::NAME, state.algorithm)));
        }
        if state.groups.len() != self.groups.len() {
            let (theirs, ours) = (state.groups.len(), self.groups.len());
            return Err(value_error(format!("{}: the state has {theirs} groups, the optimiser {ours}", A::NAME)));
        }
        let mut loaded = self.groups.clone();
        for (k, (group, state)) in loaded.iter_mut().zip(&state.groups).enumerate() {
            if group.params.len() != state.params.len() {
                let (theirs, ours) = (state.params.len(), group.params.len());
                return Err(value_error(format!(
                    "{}: group {k} of the state has {theirs} parameters, that of the optimiser {ours}",
                    A::NAME
                )));
            }
            for (name, number) in &state.options {
                if !group.options.set_number(name, *number) {
                    return Err(value_error(format!("{} has no option {name}", A::NAME)));
                }
            }
            group.options.check_ranges()?;
            group.options.check_together()?;
            group.initial_lr = state.initial_lr;
            for (place, (param, state)) in group.params.iter_mut().zip(&state.params).enumerate() {
                load_param::<E, A>(param, state, &format!("parameter {place} of group {k}"))?;
            }
        }
        self.groups = loaded;
        Ok(())
    }
}

fn load_param<E: FloatElement, A: Algorithm>(param: &mut Param<E>, state: &ParamState<E>, what: &str) -> Result<()> {
    let shape = param.tensor.try_shape()?;
    if *state.shape != *shape {
        let text = format!("{}: the state of {what} is for shape {:?}, and it has {shape:?}", A::NAME, state.shape);
        return Err(Error::new(ErrorKind::Shape, text));
    }
    param.buffers.steps = state.steps;
    param.buffers.values.iter_mut().for_each(Vec::clear);
    for (name, values) in &state.buffers {
        let Some(k) = A::BUFFERS.iter().position(|known| known == name) else {
            return Err(value_error(format!("{}: the state of {what} has an unknown buffer {name}", A::NAME)));
        };
        if values.len() != shape.numel() {
            let (theirs, ours) = (values.len(), shape.numel());
            let text = format!("{}: {name} of {what} has {theirs} elements instead of {ours}", A::NAME);
            return Err(Error::new(ErrorKind::Shape, text));
        }
        param.buffers.values[k].clone_from(values);
    }
    Ok(())
}

impl<E: FloatElement> State<E> {
    /// Writes the state: a line of ASCII for each thing, the elements of buffers in binary. [`State`] shows the format.
    ///
    /// ```
    /// use wengert::Tensor;
    /// use wengert_optim::{Adam, State};
    ///
    /// let w = Tensor::ones([2, 3]).requires_grad_(true);
    /// w.sum().backward();
    /// let mut adam = Adam::new([w], 0.1);
    /// adam.step();
    /// let mut file = Vec::new();
    /// adam.state().write(&mut file)?;
    /// let mut again = Adam::new([w], 0.5);
    /// again.load_state(&State::read(&file[..])?)?;
    /// assert_eq!(again.state(), adam.state());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        writeln!(out, "wengert-optim 1 {} {} {}", self.algorithm, E::DTYPE, self.groups.len())?;
        for group in &self.groups {
            let initial_lr = group.initial_lr.map_or("none".to_string(), |lr| lr.to_string());
            write!(out, "group {} {initial_lr}", group.params.len())?;
            group.options.iter().try_for_each(|(name, number)| write!(out, " {name} {number}"))?;
            writeln!(out)?;
            for param in &group.params {
                write!(out, "param {} {}", param.steps, param.buffers.len())?;
                param.shape.iter().try_for_each(|n| write!(out, " {n}"))?;
                writeln!(out)?;
                for (name, values) in &param.buffers {
                    writeln!(out, "{name} {}", values.len())?;
                    write_elements(&mut out, values)?;
                    writeln!(out)?;
                }
            }
        }
        Ok(())
    }

    /// Reads what [`State::write`] has written.
    ///
    /// # Errors
    /// Those of `input`; of kind `InvalidData` for anything else than a state of these elements, with the line.
    pub fn read(mut input: impl BufRead) -> io::Result<Self> {
        let header = Line::read(&mut input)?;
        let mut words = header.words();
        if (words.next(), words.next()) != (Some("wengert-optim"), Some("1")) {
            return Err(header.invalid("the state of an optimiser, in format 1"));
        }
        let algorithm = words.next().ok_or_else(|| header.invalid("an algorithm"))?.to_string();
        if words.next() != Some(E::DTYPE.to_string().as_str()) {
            return Err(header.invalid(&format!("elements of {}", E::DTYPE)));
        }
        let groups: usize = header.number(words.next())?;
        let groups = (0..groups).map(|_| read_group(&mut input)).collect::<io::Result<_>>()?;
        Ok(Self { algorithm, groups })
    }
}

fn read_group<E: FloatElement>(input: &mut impl BufRead) -> io::Result<GroupState<E>> {
    let line = Line::read(input)?;
    let mut words = line.words();
    if words.next() != Some("group") {
        return Err(line.invalid("a group"));
    }
    let params: usize = line.number(words.next())?;
    let initial_lr = match words.next() {
        Some("none") => None,
        word => Some(line.number(word)?),
    };
    let mut options = Vec::new();
    while let Some(name) = words.next() {
        options.push((name.to_string(), line.number(words.next())?));
    }
    let params = (0..params).map(|_| read_param(input)).collect::<io::Result<_>>()?;
    Ok(GroupState { options, initial_lr, params })
}

fn read_param<E: FloatElement>(input: &mut impl BufRead) -> io::Result<ParamState<E>> {
    let line = Line::read(input)?;
    let mut words = line.words();
    if words.next() != Some("param") {
        return Err(line.invalid("a parameter"));
    }
    let steps = line.number(words.next())?;
    let count: usize = line.number(words.next())?;
    let shape = words.map(|word| line.number(Some(word))).collect::<io::Result<_>>()?;
    let buffers = (0..count).map(|_| {
        let line = Line::read(input)?;
        let mut words = line.words();
        let name = words.next().ok_or_else(|| line.invalid("a buffer"))?.to_string();
        let values = read_elements(input, line.number(words.next())?, &line)?;
        Ok((name, values))
    });
    let buffers = buffers.collect::<io::Result<_>>()?;
    Ok(ParamState { shape, steps, buffers })
}

/// A line of a file.
struct Line(String);

impl Line {
    /// # Errors
    /// The file ends, or the line is not ASCII.
    fn read(input: &mut impl BufRead) -> io::Result<Self> {
        // A line that goes on for long is not one of ours.
        let mut text = String::new();
        input.take(1 << 16).read_line(&mut text)?;
        match text.pop() {
            Some('\n') => Ok(Self(text)),
            _ => Err(Self(text).invalid("a line")),
        }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split_ascii_whitespace()
    }

    fn number<T: std::str::FromStr>(&self, word: Option<&str>) -> io::Result<T> {
        word.and_then(|word| word.parse().ok()).ok_or_else(|| self.invalid("a number"))
    }

    fn invalid(&self, expected: &str) -> io::Error {
        let start: String = self.0.chars().take(60).collect();
        io::Error::new(io::ErrorKind::InvalidData, format!("expected {expected} in the line {start:?}"))
    }
}

fn write_elements<E: FloatElement>(out: &mut impl Write, values: &[E]) -> io::Result<()> {
    values.iter().try_for_each(|&value| {
        let value: f64 = value.into();
        match E::DTYPE {
            DType::F32 => out.write_all(&(value as f32).to_le_bytes()),
            _ => out.write_all(&value.to_le_bytes()),
        }
    })
}

fn read_elements<E: FloatElement>(input: &mut impl BufRead, count: usize, line: &Line) -> io::Result<Vec<E>> {
    let size = E::DTYPE.size();
    let bytes = count.checked_mul(size).ok_or_else(|| line.invalid("a smaller buffer"))?;
    // The count may be wrong: memory is taken for what is there.
    let mut data = Vec::new();
    input.take(bytes as u64 + 1).read_to_end(&mut data)?;
    if data.len() != bytes + 1 || data.pop() != Some(b'\n') {
        return Err(line.invalid(&format!("{count} elements and a line feed after what is")));
    }
    let elements = data.chunks_exact(size).map(|bytes| match E::DTYPE {
        DType::F32 => E::of(f64::from(f32::from_le_bytes(bytes.try_into().expect("four bytes")))),
        _ => E::of(f64::from_le_bytes(bytes.try_into().expect("eight bytes"))),
    });
    Ok(elements.collect())
}
