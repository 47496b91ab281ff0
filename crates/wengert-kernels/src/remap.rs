//! Tensors whose every coordinate is a function of one coordinate of another: padded, repeated, rolled and reversed ones.

use crate::strided::MAX_RANK;

/// How coordinates outside of the source are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// They show the filling.
    Fill,
    /// Modulo the length.
    Wrap,
    /// The nearest end.
    Clamp,
    /// Mirrored at the ends, which are not repeated; at most one length away.
    Reflect,
    /// All are counted from the other end; none is outside.
    Reverse,
}

/// One dimension: coordinate `i` of the result shows coordinate `i + shift` of the source.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Its length in the source, at least 1 unless the result's is 0 or the rule is to fill.
    pub from: usize,
    /// Its length in the result.
    pub to: usize,
    /// The distance.
    pub shift: isize,
    /// What holds outside.
    pub rule: Rule,
}

/// Coordinates of the source in a row: the first, the distance to the next, and how many; or so many fillings.
type Run = (Option<usize>, isize, usize);

impl Axis {
    /// A dimension that stays as it is.
    pub fn same(length: usize) -> Self {
        Self { from: length, to: length, shift: 0, rule: Rule::Fill }
    }

    fn is_same(self) -> bool {
        self.from == self.to && self.shift == 0 && self.rule != Rule::Reverse
    }

    /// The run that begins at coordinate `i` of the result.
    #[inline]
    fn run(self, i: usize) -> Run {
        let (n, left) = (self.from as isize, self.to - i);
        let at = i as isize + self.shift;
        let until = |end: isize| left.min((end - at) as usize);
        match self.rule {
            Rule::Reverse => (Some((n - 1 - at) as usize), -1, left),
            Rule::Wrap => {
                let at = at.rem_euclid(n);
                (Some(at as usize), 1, left.min((n - at) as usize))
            }
            _ if (0..n).contains(&at) => (Some(at as usize), 1, until(n)),
            Rule::Fill => (None, 0, if at < 0 { until(0) } else { left }),
            Rule::Clamp => (Some(if at < 0 { 0 } else { self.from - 1 }), 0, if at < 0 { until(0) } else { left }),
            Rule::Reflect if at < 0 => (Some((-at) as usize), -1, until(0)),
            Rule::Reflect => (Some((2 * (n - 1) - at) as usize), -1, left),
        }
    }
}

/// A walk over the rows (runs along the last axis) of a result: where each begins in the source, if it shows any of it.
struct Rows<'a> {
    outer: &'a [Axis],
    index: [usize; MAX_RANK],
    /// How far one step along an axis is in the source.
    strides: [usize; MAX_RANK],
    /// What each axis has to say now.
    offsets: [Option<usize>; MAX_RANK],
}

impl<'a> Rows<'a> {
    fn new(outer: &'a [Axis], mut stride: usize) -> Self {
        let (mut strides, mut offsets) = ([0; MAX_RANK], [None; MAX_RANK]);
        for (d, axis) in outer.iter().enumerate().rev() {
            strides[d] = stride;
            offsets[d] = axis.run(0).0.map(|at| at * stride);
            stride *= axis.from;
        }
        Self { outer, index: [0; MAX_RANK], strides, offsets }
    }

    fn start(&self) -> Option<usize> {
        self.offsets[..self.outer.len()].iter().copied().sum()
    }

    /// Moves to the next row; `false` after the last.
    fn next(&mut self) -> bool {
        for (d, axis) in self.outer.iter().enumerate().rev() {
            self.index[d] = if self.index[d] + 1 == axis.to { 0 } else { self.index[d] + 1 };
            self.offsets[d] = axis.run(self.index[d]).0.map(|at| at * self.strides[d]);
            if self.index[d] > 0 {
                return true;
            }
        }
        false
    }
}

/// `axes` with neighbours that stay as they are made one, and their number.
fn merged(axes: &[Axis]) -> ([Axis; MAX_RANK], usize) {
    let (mut found, mut count) = ([Axis::same(1); MAX_RANK], 0);
    for &axis in axes {
        if count > 0 && axis.is_same() && found[count - 1].is_same() {
            found[count - 1] = Axis::same(found[count - 1].to * axis.to);
        } else {
            found[count] = axis;
            count += 1;
        }
    }
    (found, count)
}

/// How many runs of a row are kept from row to row: those of every padding.
const KEPT: usize = 4;

/// Calls `f(start in the result, (start in the source, distance to the next, count), block)` for each run of blocks that shows
/// something, where a block is the part of a tensor in which nothing changes; starts and distances are in elements.
fn runs(axes: &[Axis], mut f: impl FnMut(usize, (usize, isize, usize), usize)) {
    assert!(axes.len() <= MAX_RANK, "one axis per dimension");
    if axes.iter().any(|axis| axis.to == 0) {
        return;
    }
    let (axes, count) = merged(axes);
    let (axes, block) = match &axes[..count] {
        [rest @ .., last] if last.is_same() => (rest, last.to),
        all => (all, 1),
    };
    let Some((last, outer)) = axes.split_last() else { return f(0, (0, 0, 1), block) };
    let mut first = [(0, 0, 0, 0); KEPT];
    let (mut i, mut kept) = (0, 0);
    while i < last.to && kept < KEPT {
        let (at, distance, count) = last.run(i);
        if let Some(at) = at {
            first[kept] = (i * block, at * block, distance * block as isize, count);
            kept += 1;
        }
        i += count;
    }
    let mut rows = Rows::new(outer, block * last.from);
    let mut start = 0;
    loop {
        if let Some(base) = rows.start() {
            for &(to, at, distance, count) in &first[..kept] {
                f(start + to, (base + at, distance, count), block);
            }
            // The rest of a long row.
            let mut i = i;
            while i < last.to {
                let (at, distance, count) = last.run(i);
                if let Some(at) = at {
                    f(start + i * block, (base + at * block, distance * block as isize, count), block);
                }
                i += count;
            }
        }
        start += last.to * block;
        if !rows.next() {
            return;
        }
    }
}

/// Writes to `out` what `axes` show of `data`, and `fill` where they show nothing.
///
/// # Panics
/// If the lengths are not those of the axes.
pub fn remap<T: Copy>(data: &[T], axes: &[Axis], fill: T, out: &mut [T]) {
    // The fillings of a border are short: one pass over all is quicker than a call for each.
    if axes.iter().any(|axis| axis.rule == Rule::Fill && !axis.is_same()) {
        out.fill(fill);
    }
    runs(axes, |start, (from, distance, count), block| {
        let run = &mut out[start..start + count * block];
        match distance {
            _ if distance == block as isize || count == 1 => run.copy_from_slice(&data[from..from + count * block]),
            0 if block == 1 => run.fill(data[from]),
            -1 => {
                let first = from + 1 - count;
                run.iter_mut().zip(data[first..=from].iter().rev()).for_each(|(to, &value)| *to = value);
            }
            _ => {
                for (i, to) in run.chunks_exact_mut(block).enumerate() {
                    let from = from.wrapping_add_signed(distance * i as isize);
                    to.copy_from_slice(&data[from..from + block]);
                }
            }
        }
    });
}

/// The adjoint of [`remap`]: adds each element of `values` to the element of `out` that it shows.
///
/// # Panics
/// If the lengths are not those of the axes.
pub fn remap_add<T: Copy + std::ops::Add<Output = T>>(values: &[T], axes: &[Axis], out: &mut [T]) {
    let add = |to: &mut [T], values: &[T]| to.iter_mut().zip(values).for_each(|(to, &value)| *to = *to + value);
    runs(axes, |start, (from, distance, count), block| {
        let run = &values[start..start + count * block];
        match distance {
            _ if distance == block as isize || count == 1 => add(&mut out[from..from + count * block], run),
            -1 => {
                let first = from + 1 - count;
                out[first..=from].iter_mut().rev().zip(run).for_each(|(to, &value)| *to = *to + value);
            }
            _ => {
                for (i, values) in run.chunks_exact(block).enumerate() {
                    let from = from.wrapping_add_signed(distance * i as isize);
                    add(&mut out[from..from + block], values);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(from: usize, to: usize, shift: isize, rule: Rule) -> Axis {
        Axis { from, to, shift, rule }
    }

    #[test]
    fn every_rule_along_one_dimension() {
        let rows: [(Axis, &[i32]); 8] = [
            (one(3, 7, -2, Rule::Fill), &[9, 9, 1, 2, 3, 9, 9]),
            (one(3, 1, 1, Rule::Fill), &[2]),
            (one(3, 8, -1, Rule::Wrap), &[3, 1, 2, 3, 1, 2, 3, 1]),
            (one(3, 7, -2, Rule::Clamp), &[1, 1, 1, 2, 3, 3, 3]),
            (one(3, 7, -2, Rule::Reflect), &[3, 2, 1, 2, 3, 2, 1]),
            (one(3, 3, 0, Rule::Reverse), &[3, 2, 1]),
            (one(3, 3, 0, Rule::Fill), &[1, 2, 3]),
            (one(3, 0, 0, Rule::Wrap), &[]),
        ];
        for (axis, expected) in rows {
            let mut out = vec![0; axis.to];
            remap(&[1, 2, 3], &[axis], 9, &mut out);
            assert_eq!(out, expected, "{axis:?}");
            // The adjoint counts how often each element is shown.
            let mut counts = [0; 3];
            remap_add(&vec![1; axis.to], &[axis], &mut counts);
            let shown = |x: i32| expected.iter().filter(|&&y| y == x).count();
            assert_eq!(counts.map(|count| count as usize), [shown(1), shown(2), shown(3)], "{axis:?}");
        }
    }

    #[test]
    fn dimensions_combine() {
        let data: Vec<i32> = (1..=12).collect();
        let mut out = [0; 12];
        remap(&data, &[one(2, 2, 0, Rule::Reverse), one(3, 3, 1, Rule::Wrap), Axis::same(2)], 0, &mut out);
        assert_eq!(out, [9, 10, 11, 12, 7, 8, 3, 4, 5, 6, 1, 2]);
        let mut out = [0; 8];
        remap(&data[..2], &[one(1, 2, -1, Rule::Fill), one(2, 4, -1, Rule::Clamp)], 7, &mut out);
        assert_eq!(out, [7, 7, 7, 7, 1, 1, 2, 2]);
        let mut out = [0; 2];
        remap(&[5, 6], &[Axis::same(1), Axis::same(2)], 7, &mut out);
        assert_eq!(out, [5, 6]);
        let mut out = [0];
        remap(&[5], &[], 7, &mut out);
        assert_eq!(out, [5]);
    }
}
