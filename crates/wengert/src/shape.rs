//! Shapes, layouts and dimensions: pure arithmetic on lengths and strides, with no tape and no data.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use crate::error::{Result, error};

/// The highest rank that a tensor can have.
pub const MAX_RANK: usize = 8;

/// The lengths of a tensor's dimensions, outermost first.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(SmallVec<[usize; MAX_RANK]>);

impl Shape {
    /// The shape with these lengths.
    ///
    /// # Errors
    /// More than [`MAX_RANK`] dimensions, or more elements than an `isize` counts.
    pub fn new(op: &str, dims: &[usize]) -> Result<Self> {
        if dims.len() > MAX_RANK {
            return Err(error!(Shape, "{op}: shape {dims:?} has {} dimensions; at most {MAX_RANK} fit", dims.len()));
        }
        let positive = dims.iter().filter(|&&d| d > 0).try_fold(1usize, |n, &d| n.checked_mul(d));
        match positive {
            Some(n) if n <= isize::MAX as usize / 8 => Ok(Self(SmallVec::from_slice(dims))),
            _ => Err(error!(Shape, "{op}: shape {dims:?} has more elements than memory can hold")),
        }
    }

    /// The shape with these lengths, of a layout that exists.
    pub(crate) fn of(dims: &[usize]) -> Self {
        Self(SmallVec::from_slice(dims))
    }

    /// The number of elements, 1 for rank 0.
    pub fn numel(&self) -> usize {
        self.0.iter().product()
    }

    /// The lengths, to change.
    pub(crate) fn dims_mut(&mut self) -> &mut SmallVec<[usize; MAX_RANK]> {
        &mut self.0
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0[..], f)
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        self.0[..] == other[..]
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(dims: I) -> Self {
        Self(dims.into_iter().collect())
    }
}

/// What can be given as a shape: `[2, 3]`, `&[2, 3]`, `&Shape`, a single length, `()` for rank 0.
pub trait IntoShape {
    /// The lengths.
    fn into_dims(self) -> SmallVec<[usize; MAX_RANK]>;
}

impl<const N: usize> IntoShape for [usize; N] {
    fn into_dims(self) -> SmallVec<[usize; MAX_RANK]> {
        SmallVec::from_slice(&self)
    }
}
impl<const N: usize> IntoShape for &[usize; N] {
    fn into_dims(self) -> SmallVec<[usize; MAX_RANK]> {
        SmallVec::from_slice(self)
    }
}
impl IntoShape for &[usize] {
    fn into_dims(self) -> SmallVec<[usize; MAX_RANK]> {
        SmallVec::from_slice(self)
    }
}
impl IntoShape for &Vec<usize> {
    fn into_dims(self) -> SmallVec<[usize; MAX_RANK]> {
        SmallVec::from_slice(self)
    }
}
impl IntoShape for &Shape {
    fn into_dims(self) -> SmallVec<[usize; MAX_RANK]> {
        self.0.clone()
    }
}
impl IntoShape for Shape {
    fn into_dims(self) -> SmallVec<[usize; MAX_RANK]> {
        self.0
    }
}
impl IntoShape for usize {
    fn into_dims(self) -> SmallVec<[usize; MAX_RANK]> {
        SmallVec::from_slice(&[self])
    }
}
impl IntoShape for () {
    fn into_dims(self) -> SmallVec<[usize; MAX_RANK]> {
        SmallVec::new()
    }
}

/// Checks what was given as a shape.
pub(crate) fn shape_of(op: &str, shape: impl IntoShape) -> Result<Shape> {
    Shape::new(op, &shape.into_dims())
}

/// A set of dimensions, for reductions: bit `d` stands for dimension `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DimSet(u8);

impl DimSet {
    pub(crate) fn all(rank: usize) -> Self {
        Self(((1u16 << rank) - 1) as u8)
    }

    pub(crate) fn none() -> Self {
        Self(0)
    }

    /// The dimensions `first ..= last`.
    pub(crate) fn range(first: usize, last: usize) -> Self {
        Self::of(first..=last)
    }

    pub(crate) fn of(dims: impl IntoIterator<Item = usize>) -> Self {
        Self(dims.into_iter().fold(0, |set, dim| set | 1 << dim))
    }

    /// The same dimensions of a tensor with one more leading dimension.
    pub(crate) fn later(self) -> Self {
        Self(self.0 << 1)
    }

    pub(crate) fn contains(self, dim: usize) -> bool {
        u16::from(self.0) >> dim & 1 == 1
    }

    /// The shape that is left: reduced dimensions are 1 with `keepdim`, gone without.
    pub(crate) fn reduce(self, shape: &[usize], keepdim: bool) -> Shape {
        let kept = shape.iter().enumerate().filter(|&(d, _)| keepdim || !self.contains(d));
        kept.map(|(d, &n)| if self.contains(d) { 1 } else { n }).collect()
    }
}

/// What can be given as dimensions: `()` for all, one number, an array or slice; negative numbers count from the end.
pub trait IntoDims {
    /// The dimensions of a tensor of rank `rank`.
    ///
    /// # Errors
    /// A dimension out of range, or one that is named twice.
    fn into_dim_set(self, op: &str, rank: usize) -> Result<DimSet>;
}

impl IntoDims for () {
    fn into_dim_set(self, _: &str, rank: usize) -> Result<DimSet> {
        Ok(DimSet::all(rank))
    }
}
impl IntoDims for isize {
    fn into_dim_set(self, op: &str, rank: usize) -> Result<DimSet> {
        dim_set(op, &[self], rank)
    }
}
impl<const N: usize> IntoDims for [isize; N] {
    fn into_dim_set(self, op: &str, rank: usize) -> Result<DimSet> {
        dim_set(op, &self, rank)
    }
}
impl IntoDims for &[isize] {
    fn into_dim_set(self, op: &str, rank: usize) -> Result<DimSet> {
        dim_set(op, self, rank)
    }
}
impl IntoDims for DimSet {
    fn into_dim_set(self, _: &str, _: usize) -> Result<DimSet> {
        Ok(self)
    }
}

/// What can be given as dimensions whose order counts, or as distances along them: one number, an array or slice, `()` for none.
pub trait IntoDimList {
    /// The numbers.
    fn into_dim_list(self) -> SmallVec<[isize; MAX_RANK]>;
}

impl IntoDimList for () {
    fn into_dim_list(self) -> SmallVec<[isize; MAX_RANK]> {
        SmallVec::new()
    }
}
impl IntoDimList for isize {
    fn into_dim_list(self) -> SmallVec<[isize; MAX_RANK]> {
        SmallVec::from_slice(&[self])
    }
}
impl<const N: usize> IntoDimList for [isize; N] {
    fn into_dim_list(self) -> SmallVec<[isize; MAX_RANK]> {
        SmallVec::from_slice(&self)
    }
}
impl IntoDimList for &[isize] {
    fn into_dim_list(self) -> SmallVec<[isize; MAX_RANK]> {
        SmallVec::from_slice(self)
    }
}

fn dim_set(op: &str, dims: &[isize], rank: usize) -> Result<DimSet> {
    if dims.is_empty() {
        return Ok(DimSet::all(rank));
    }
    let mut set = DimSet(0);
    for &given in dims {
        let dim = wrap_dim(op, given, rank)?;
        if rank > 0 && set.contains(dim) {
            return Err(error!(Dim, "{op}: dimension {given} is named twice in {dims:?}"));
        }
        set.0 |= if rank > 0 { 1 << dim } else { 0 };
    }
    Ok(set)
}

/// The dimension that `dim` names in a tensor of rank `rank`; a rank-0 tensor takes 0 and -1, as in PyTorch.
pub(crate) fn wrap_dim(op: &str, dim: isize, rank: usize) -> Result<usize> {
    let bound = rank.max(1) as isize;
    if dim < -bound || dim >= bound {
        return Err(error!(
            Dim,
            "{op}: dimension {dim} is out of range for a tensor of {rank} dimensions; expected {} to {}",
            -bound,
            bound - 1
        ));
    }
    Ok(if dim < 0 { dim + bound } else { dim } as usize)
}

/// The shape that operands of shapes `a` and `b` broadcast to.
pub(crate) fn broadcast(op: &str, a: &[usize], b: &[usize]) -> Result<Shape> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], d: usize| if d + s.len() >= rank { s[d + s.len() - rank] } else { 1 };
    let mut out = Shape::default();
    for d in 0..rank {
        let (m, n) = (at(a, d), at(b, d));
        if m != n && m != 1 && n != 1 {
            return Err(error!(
                Shape,
                "{op}: shapes {a:?} and {b:?} do not broadcast: {m} is not {n} in dimension {d}; \
                 lengths must be equal or 1, counted from the last dimension"
            ));
        }
        out.0.push(if m == 1 { n } else { m });
    }
    // Operands that are expanded without a copy can broadcast beyond memory.
    Shape::new(op, &out)
}

/// Where the elements of a tensor lie in its storage: lengths, strides in elements, and the first element's place.
///
/// Invariant: every index reached lies inside of the storage that the layout was made for.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    rank: u8,
    contiguous: bool,
    dims: [usize; MAX_RANK],
    strides: [usize; MAX_RANK],
    numel: usize,
    offset: usize,
}

impl Layout {
    /// Row-major without gaps, from the start of its storage.
    pub fn contiguous(shape: &[usize]) -> Self {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for d in (0..shape.len()).rev() {
            strides[d] = step;
            step *= shape[d].max(1);
        }
        Self::strided(shape, &strides[..shape.len()], 0)
    }

    /// Any strides; the caller vouches that every index lies inside of the storage.
    pub fn strided(shape: &[usize], strides: &[usize], offset: usize) -> Self {
        let rank = shape.len();
        let mut layout =
            Self { rank: rank as u8, contiguous: true, dims: [1; MAX_RANK], strides: [0; MAX_RANK], numel: 1, offset };
        for d in (0..rank).rev() {
            (layout.dims[d], layout.strides[d]) = (shape[d], strides[d]);
            layout.contiguous &= shape[d] == 1 || strides[d] == layout.numel;
            layout.numel *= shape[d];
        }
        if layout.numel == 0 {
            // There is nothing to reach, and the offset of a part of an empty block would lie behind its end.
            (layout.contiguous, layout.offset) = (true, 0);
        }
        layout
    }

    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    pub fn shape(&self) -> &[usize] {
        &self.dims[..self.rank()]
    }

    pub fn strides(&self) -> &[usize] {
        &self.strides[..self.rank()]
    }

    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn numel(&self) -> usize {
        self.numel
    }

    /// Whether the elements lie row-major without gaps.
    pub fn is_contiguous(&self) -> bool {
        self.contiguous
    }

    /// Whether the elements are the storage from its start on.
    pub fn is_plain(&self) -> bool {
        self.contiguous && self.offset == 0
    }

    /// Whether one element in memory stands for all, of which there are several.
    pub fn is_uniform(&self) -> bool {
        self.numel() > 1 && self.strides().iter().zip(self.shape()).all(|(&stride, &n)| stride == 0 || n == 1)
    }

    /// The same elements seen as `shape`, to which this layout broadcasts.
    pub fn broadcast_to(&self, shape: &[usize]) -> Self {
        let lead = shape.len() - self.rank();
        let mut strides = [0; MAX_RANK];
        for d in 0..self.rank() {
            if self.dims[d] != 1 || shape[lead + d] == 1 {
                strides[lead + d] = self.strides[d];
            }
        }
        Self::strided(shape, &strides[..shape.len()], self.offset)
    }

    /// The same elements, row-major, in `shape`, which has as many; `None` if no strides reach them in that order.
    ///
    /// Runs of dimensions that lie without gaps in each other are cut anew; every dimension of `shape` must fall into one run.
    pub fn viewed_as(&self, shape: &[usize]) -> Option<Self> {
        if self.numel == 0 || self.rank() == 0 {
            let strides = Self::contiguous(shape).strides;
            return Some(Self::strided(shape, &strides[..shape.len()], self.offset));
        }
        let mut strides = [0; MAX_RANK];
        let mut to = shape.len();
        let (mut step, mut run, mut done) = (self.strides[self.rank() - 1], 1, 1);
        for d in (0..self.rank()).rev() {
            run *= self.dims[d];
            let ends = d == 0 || (self.dims[d - 1] != 1 && self.strides[d - 1] != run * step);
            if !ends {
                continue;
            }
            while to > 0 && (done < run || shape[to - 1] == 1) {
                to -= 1;
                strides[to] = done * step;
                done *= shape[to];
            }
            if done != run {
                return None;
            }
            if d > 0 {
                (step, run, done) = (self.strides[d - 1], 1, 1);
            }
        }
        (to == 0).then(|| Self::strided(shape, &strides[..shape.len()], self.offset))
    }

    /// The length of the storage from the offset to the last element reached.
    pub fn extent(&self) -> usize {
        if self.numel == 0 {
            return 0;
        }
        1 + self.shape().iter().zip(self.strides()).map(|(n, s)| (n - 1) * s).sum::<usize>()
    }
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with strides {:?} from {}", self.shape(), self.strides(), self.offset)
    }
}
