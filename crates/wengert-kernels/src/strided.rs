//! Copies between strided views and flat slices.
//!
//! A view is `(data, shape, strides)`: the element at index `(i, j, ..)` is `data[i * strides[0] + j * strides[1] + ..]`. Its
//! elements are numbered row-major.

use crate::parallel;

/// The highest rank of a view.
pub const MAX_RANK: usize = 8;

/// A walk over the rows (runs along the last dimension) of a view, from element `start` on.
struct Rows<'a> {
    shape: &'a [usize],
    strides: &'a [usize],
    index: [usize; MAX_RANK],
    offset: usize,
}

impl<'a> Rows<'a> {
    fn new(shape: &'a [usize], strides: &'a [usize], start: usize) -> Self {
        assert!(shape.len() == strides.len() && shape.len() <= MAX_RANK, "one stride per dimension");
        let (mut index, mut offset, mut rest) = ([0; MAX_RANK], 0, start);
        for d in (0..shape.len()).rev() {
            let length = shape[d].max(1);
            index[d] = rest % length;
            rest /= length;
            offset += index[d] * strides[d];
        }
        Self { shape, strides, index, offset }
    }

    /// Offset, stride and length of the run from here to the end of the row, at most `most`; then moves past it.
    #[inline]
    fn next(&mut self, most: usize) -> (usize, usize, usize) {
        let Some(last) = self.shape.len().checked_sub(1) else { return (0, 0, 1) };
        let (from, stride) = (self.offset, self.strides[last]);
        let length = (self.shape[last] - self.index[last]).min(most);
        self.index[last] += length;
        self.offset += length * stride;
        let mut d = last;
        while self.index[d] == self.shape[d] && d > 0 {
            self.offset -= self.shape[d] * self.strides[d];
            self.index[d] = 0;
            d -= 1;
            self.index[d] += 1;
            self.offset += self.strides[d];
        }
        (from, stride, length)
    }
}

/// Copies the elements `start .. start + out.len()` of a view into `out`.
///
/// # Panics
/// If the view is not inside of `data`.
pub fn pack<T: Copy + Send + Sync>(data: &[T], shape: &[usize], strides: &[usize], start: usize, out: &mut [T]) {
    parallel::in_parts(out.len(), COST, 1, out, |range, out| pack_part(data, shape, strides, start + range.start, out));
}

/// What an element costs in vectorised additions.
const COST: usize = 2;

fn pack_part<T: Copy>(data: &[T], shape: &[usize], strides: &[usize], start: usize, out: &mut [T]) {
    let mut rows = Rows::new(shape, strides, start);
    let mut done = 0;
    while done < out.len() {
        let (from, stride, length) = rows.next(out.len() - done);
        let run = &mut out[done..done + length];
        match stride {
            1 => run.copy_from_slice(&data[from..from + length]),
            0 => run.fill(data[from]),
            _ => {
                for (to, &value) in run.iter_mut().zip(data[from..].iter().step_by(stride)) {
                    *to = value;
                }
            }
        }
        done += length;
    }
}

/// Calls `put(to, value)` for the elements of a view of `data` in order, with `values` as they come.
fn unpack_with<T: Copy>(
    data: &mut [T],
    shape: &[usize],
    strides: &[usize],
    values: &[T],
    put: impl Fn(&mut T, T) + Copy,
) {
    let mut rows = Rows::new(shape, strides, 0);
    let mut done = 0;
    while done < values.len() {
        let (from, stride, length) = rows.next(values.len() - done);
        let run = &values[done..done + length];
        match stride {
            0 => run.iter().for_each(|&value| put(&mut data[from], value)),
            // By itself, so that it is vectorised.
            1 => data[from..].iter_mut().zip(run).for_each(|(to, &value)| put(to, value)),
            _ => data[from..].iter_mut().step_by(stride).zip(run).for_each(|(to, &value)| put(to, value)),
        }
        done += length;
    }
}

/// Writes `value` to every element of a view.
///
/// # Panics
/// If the view is not inside of `data`.
pub fn fill<T: Copy>(data: &mut [T], shape: &[usize], strides: &[usize], value: T) {
    let mut rows = Rows::new(shape, strides, 0);
    let mut left = shape.iter().product::<usize>();
    while left > 0 {
        let (from, stride, length) = rows.next(left);
        match stride {
            0 => data[from] = value,
            _ => data[from..].iter_mut().step_by(stride).take(length).for_each(|to| *to = value),
        }
        left -= length;
    }
}

/// Writes `values` to the elements of a view, row-major.
///
/// # Panics
/// If the view is not inside of `data`.
pub fn unpack<T: Copy>(data: &mut [T], shape: &[usize], strides: &[usize], values: &[T]) {
    unpack_with(data, shape, strides, values, |to, value| *to = value);
}

/// Adds `values` to the elements of a view, row-major; an element that the view shows twice gets both.
///
/// # Panics
/// If the view is not inside of `data`.
pub fn unpack_add<T: Copy + std::ops::Add<Output = T>>(
    data: &mut [T],
    shape: &[usize],
    strides: &[usize],
    values: &[T],
) {
    unpack_with(data, shape, strides, values, |to, value| *to = *to + value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_view_packs_from_every_start_and_unpacks_again() {
        let data: Vec<i32> = (0..24).collect();
        let (shape, strides) = ([4, 3, 2], [1, 8, 4]);
        let all: Vec<i32> =
            (0..4).flat_map(|i| (0..3).flat_map(move |j| (0..2).map(move |k| i + 8 * j + 4 * k))).collect();
        for start in 0..24 {
            let mut out = vec![0; 24 - start];
            pack(&data, &shape, &strides, start, &mut out);
            assert_eq!(out, all[start..]);
        }
        let mut back = vec![0; 24];
        unpack(&mut back, &shape, &strides, &all);
        assert_eq!(back, data);
        fill(&mut back, &[2, 3], &[12, 2], 7);
        assert!(
            back.iter().enumerate().all(|(i, &x)| x == if [0, 2, 4, 12, 14, 16].contains(&i) { 7 } else { data[i] })
        );
    }

    #[test]
    fn broadcast_and_empty_views() {
        let mut out = [0; 6];
        pack(&[7, 8], &[3, 2], &[0, 1], 0, &mut out);
        assert_eq!(out, [7, 8, 7, 8, 7, 8]);
        pack(&[5], &[], &[], 0, &mut out[..1]);
        assert_eq!(out[0], 5);
        pack::<i32>(&[], &[0, 3], &[3, 1], 0, &mut []);
        let mut sums = [0, 0];
        unpack_add(&mut sums, &[3, 2], &[0, 1], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(sums, [9, 12]);
    }
}
