//! Slices, selections and masks with hostile bounds, each against a computation on plain lists that looks at one element at a time.

use wengert::{ErrorKind, IndexTensor, Result, Source, Tensor64, grad_with, memory, scope};

use crate::bytes::Bytes;

pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    for _ in 0..20 {
        if bytes.is_empty() {
            return;
        }
        // Rank 0 has rules of its own.
        let mut shape = bytes.small_shape();
        shape.push(usize::from(bytes.byte() % 5));
        let count = shape.iter().product();
        // Every element is another one, so that a wrong place shows.
        let values: Vec<f64> = (0..count).map(|i| i as f64 + 1.0).collect();
        scope(|| {
            let x = bytes.whole(&values, &shape).requires_grad_(true);
            // Not all are contiguous.
            let x = if bytes.flag() && shape.len() > 1 { x.transpose(0, -1) } else { x };
            let case = Case { x, shape: x.shape().to_vec(), values: x.to_vec() };
            match bytes.below(4) {
                0 => case.cut(&mut bytes),
                1 => case.choose(&mut bytes),
                2 => case.write(&mut bytes),
                _ => case.mask(&mut bytes),
            }
        });
        // What one case took, the next may need.
        memory::trim();
    }
}

struct Case {
    x: Tensor64,
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// All index tuples of a shape, row-major.
fn places(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..shape.iter().product()).map(|mut flat: usize| {
        let mut place = vec![0; shape.len()];
        for d in (0..shape.len()).rev() {
            place[d] = flat % shape[d];
            flat /= shape[d];
        }
        place
    })
}

/// Indices, most of them within `n`.
fn indices(bytes: &mut Bytes<'_>, shape: &[usize], n: usize) -> (IndexTensor, Vec<i64>) {
    let list: Vec<i64> = (0..shape.iter().product())
        .map(|_| match bytes.byte() {
            byte @ 0..=200 if n > 0 => i64::from(byte) % n as i64,
            byte @ 201..=230 => i64::from(byte) - 215,
            _ => bytes.dim() as i64,
        })
        .collect();
    (bytes.whole(&list, shape), list)
}

/// The dimension that is meant, if there is one.
fn wrapped(dim: isize, rank: usize) -> Option<usize> {
    let rank = rank as isize;
    (-rank..rank).contains(&dim).then(|| dim.rem_euclid(rank) as usize)
}

impl Case {
    fn at(&self, place: &[usize]) -> f64 {
        let flat = place.iter().zip(&self.shape).fold(0, |flat, (i, n)| flat * n + i);
        self.values[flat]
    }

    /// Checks a result's shape and elements, and that its sum has a gradient of small whole numbers.
    fn check(&self, what: &str, y: Result<Tensor64>, wanted: Option<(Vec<usize>, Vec<f64>)>) {
        match (y, wanted) {
            (Ok(y), Some((shape, values))) => {
                assert_eq!((&y.shape()[..], y.to_vec()), (&shape[..], values), "{what} of {:?}", self.shape);
                let sum = y.try_sum().expect("a sum");
                if let Ok(grads) = grad_with(sum, &[self.x], None, Default::default()) {
                    let grad = grads[0].expect("a gradient, or an error").to_vec();
                    assert!(grad.iter().all(|g| g.fract() == 0.0 && (0.0..=4096.0).contains(g)), "{what}: {grad:?}");
                }
            }
            (Err(_), None) => {}
            (Ok(y), None) => panic!("{what} of {:?} is not refused, but has shape {:?}", self.shape, y.shape()),
            (Err(error), Some(_)) => panic!("{what} of {:?} is refused: {error}", self.shape),
        }
    }

    /// The elements whose index along `d` is each of `along` in turn.
    fn taken(&self, d: usize, along: &[usize]) -> (Vec<usize>, Vec<f64>) {
        let mut shape = self.shape.clone();
        shape[d] = along.len();
        let values = places(&shape).map(|mut place| {
            place[d] = along[place[d]];
            self.at(&place)
        });
        let values = values.collect();
        (shape, values)
    }

    fn cut(&self, bytes: &mut Bytes<'_>) {
        let dim = bytes.dim();
        let d = wrapped(dim, self.shape.len());
        match bytes.below(5) {
            0 => {
                let (start, end, step) = (bytes.dim(), bytes.dim(), bytes.length());
                let wanted = d.filter(|_| step > 0).map(|d| {
                    let n = self.shape[d] as isize;
                    let clamp = |at: isize| if at < 0 { at.saturating_add(n).max(0) } else { at.min(n) };
                    self.taken(d, &(clamp(start)..clamp(end)).step_by(step).map(|i| i as usize).collect::<Vec<_>>())
                });
                self.check("slice", self.x.try_slice(dim, start, end, step), wanted);
            }
            1 => {
                let (start, length) = (bytes.length(), bytes.length());
                let fits = |d: &usize| start.checked_add(length).is_some_and(|end| end <= self.shape[*d]);
                let wanted = d.filter(fits).map(|d| self.taken(d, &(start..start + length).collect::<Vec<_>>()));
                self.check("narrow", self.x.try_narrow(dim, start, length), wanted);
            }
            2 => {
                let index = bytes.dim();
                let wanted = d.and_then(|d| Some((d, wrapped(index, self.shape[d])?))).map(|(d, i)| {
                    let (mut shape, values) = self.taken(d, &[i]);
                    shape.remove(d);
                    (shape, values)
                });
                self.check("select", self.x.try_select(dim, index), wanted);
            }
            kind => {
                let count = bytes.length();
                let parts = if kind == 3 { self.x.try_chunk(count, dim) } else { self.x.try_split(count, dim) };
                let Ok(parts) = parts else { return };
                // A dimension of nothing has as many empty parts as one asks for, which may take all memory.
                let whole = match wengert::try_cat(&parts, dim) {
                    Err(error) if error.kind() == ErrorKind::Memory && parts.len() > 1000 => return,
                    whole => whole.expect("parts fit each other"),
                };
                assert_eq!((&whole.shape()[..], whole.to_vec()), (&self.shape[..], self.values.clone()));
            }
        }
    }

    fn choose(&self, bytes: &mut Bytes<'_>) {
        let dim = bytes.dim();
        let d = wrapped(dim, self.shape.len());
        let n = d.map_or(3, |d| self.shape[d]);
        if bytes.flag() {
            let (index, list) = indices(bytes, &[bytes.clone().below(5)], n);
            let within = |list: &[i64]| list.iter().all(|&i| (0..n as i64).contains(&i));
            let along = || list.iter().map(|&i| i as usize).collect::<Vec<_>>();
            let wanted = d.filter(|_| within(&list)).map(|d| self.taken(d, &along()));
            return self.check("index_select", self.x.try_index_select(dim, index), wanted);
        }
        let mut shape = self.shape.clone();
        shape.iter_mut().for_each(|n| *n = bytes.below(*n + 1));
        if let Some(d) = d {
            shape[d] = bytes.below(4);
        }
        let (index, list) = indices(bytes, &shape, n);
        let y = self.x.try_gather(dim, index);
        let is_within = list.iter().all(|&i| (0..n as i64).contains(&i));
        let wanted = d.filter(|_| is_within).map(|d| {
            let values = places(&shape).zip(&list).map(|(mut place, &i)| {
                place[d] = i as usize;
                self.at(&place)
            });
            (shape.clone(), values.collect())
        });
        self.check("gather", y, wanted);
    }

    fn write(&self, bytes: &mut Bytes<'_>) {
        let dim = bytes.dim();
        let d = wrapped(dim, self.shape.len());
        let n = d.map_or(3, |d| self.shape[d]);
        let mut shape = self.shape.clone();
        shape.iter_mut().for_each(|n| *n = bytes.below(*n + 1));
        if let Some(d) = d {
            shape[d] = bytes.below(4);
        }
        let (index, list) = indices(bytes, &shape, n);
        let adds = bytes.flag();
        let source: Vec<f64> = (0..list.len()).map(|i| 100.0 + i as f64).collect();
        let from = bytes.whole(&source, &shape);
        let y = if adds { self.x.try_scatter_add(dim, index, from) } else { self.x.try_scatter(dim, index, from) };
        let is_within = list.iter().all(|&i| (0..n as i64).contains(&i));
        let wanted = d.filter(|_| is_within).map(|d| {
            let mut values = self.values.clone();
            for ((mut place, &i), &from) in places(&shape).zip(&list).zip(&source) {
                place[d] = i as usize;
                let flat = place.iter().zip(&self.shape).fold(0, |flat, (i, n)| flat * n + i);
                values[flat] = if adds { values[flat] + from } else { from };
            }
            (self.shape.clone(), values)
        });
        self.check(if adds { "scatter_add" } else { "scatter" }, y, wanted);
        // These have a rule of their own for the shapes of indices; they must not read or write elsewhere.
        let (index, _) = indices(bytes, &[bytes.clone().below(4)], n);
        let source = if bytes.flag() { Source::Tensor(bytes.tensor()) } else { Source::Number(bytes.number()) };
        _ = self.x.try_index_put(&[index], source, bytes.flag());
        _ = self.x.try_index_add(dim, index, bytes.tensor(), 2.0);
        _ = self.x.try_take_along_dim(index, bytes.flag().then_some(dim));
        _ = index.try_embedding(self.x, bytes.flag().then(|| bytes.dim()));
    }

    fn mask(&self, bytes: &mut Bytes<'_>) {
        let shape = if bytes.byte() > 40 { self.shape.clone() } else { bytes.small_shape() };
        let list: Vec<bool> = (0..shape.iter().product()).map(|_| bytes.flag()).collect();
        let mask = bytes.whole(&list, &shape);
        let (chosen, filled) = (self.x.try_masked_select(mask), self.x.try_masked_fill(mask, -5.0));
        if shape == self.shape {
            let wanted: Vec<f64> =
                self.values.iter().zip(&list).filter(|(_, holds)| **holds).map(|(x, _)| *x).collect();
            self.check("masked_select", chosen, Some((vec![wanted.len()], wanted)));
            let wanted = self.values.iter().zip(&list).map(|(x, holds)| if *holds { -5.0 } else { *x }).collect();
            self.check("masked_fill", filled, Some((shape, wanted)));
        }
        _ = self.x.try_topk(bytes.length(), bytes.dim(), bytes.flag());
        _ = mask.try_where_(self.x, bytes.number());
        if let Ok((sorted, order)) = self.x.try_sort(bytes.dim(), bytes.flag()) {
            assert_eq!(sorted.shape(), order.shape());
        }
    }
}
