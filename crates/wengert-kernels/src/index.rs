//! Reading and writing at places that integers name.
//!
//! A place is made of a walk and an index: element `(i, j, ..)` of a call lies at
//! `i * strides[0] + j * strides[1] + .. + index(i, j, ..) * step`, where the index has strides of its own. With a walk that stands
//! still along one dimension and `step` as its stride this is PyTorch's `gather`; with an index that stands still along all
//! dimensions but one it is `index_select`; with a walk that stands still everywhere it is a list of places.

use crate::strided::MAX_RANK;

/// The places of one call.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// How many elements there are, per dimension.
    pub shape: &'a [usize],
    /// The walk.
    pub strides: &'a [usize],
    /// The integers, none negative.
    pub index: &'a [i64],
    /// How they are read.
    pub index_strides: &'a [usize],
    /// By how much one integer moves the place.
    pub step: usize,
}

/// Calls `f(offsets, strides, length)` for each row (run along the last dimension) of a shape that is walked with several sets of
/// strides at once.
fn rows<const N: usize>(shape: &[usize], strides: [&[usize]; N], mut f: impl FnMut([usize; N], [usize; N], usize)) {
    assert!(shape.len() <= MAX_RANK && strides.iter().all(|s| s.len() == shape.len()), "one stride per dimension");
    let Some((&length, outer)) = shape.split_last() else { return f([0; N], [0; N], 1) };
    if shape.contains(&0) {
        return;
    }
    let (mut at, mut offsets) = ([0; MAX_RANK], [0; N]);
    let steps = strides.map(|strides| strides[outer.len()]);
    loop {
        f(offsets, steps, length);
        let mut d = outer.len();
        loop {
            let Some(next) = d.checked_sub(1) else { return };
            d = next;
            at[d] += 1;
            offsets.iter_mut().zip(strides).for_each(|(offset, strides)| *offset += strides[d]);
            if at[d] < outer[d] {
                break;
            }
            offsets.iter_mut().zip(strides).for_each(|(offset, strides)| *offset -= at[d] * strides[d]);
            at[d] = 0;
        }
    }
}

/// Copies the elements of `data` at the places into `out`, row-major.
///
/// # Panics
/// If a place is outside of `data`.
pub fn gather<T: Copy>(data: &[T], places: Places<'_>, out: &mut [T]) {
    let Places { shape, strides, index, index_strides, step } = places;
    let mut rest = out;
    rows(shape, [strides, index_strides], |[from, at], [stride, index_stride], length| {
        let (row, later) = std::mem::take(&mut rest).split_at_mut(length);
        rest = later;
        if index_stride == 0 && stride == 1 {
            let from = from + index[at] as usize * step;
            row.copy_from_slice(&data[from..from + length]);
        } else if index_stride == 1 && stride == 0 {
            let data = &data[from..];
            row.iter_mut().zip(&index[at..at + length]).for_each(|(to, &i)| *to = data[i as usize * step]);
        } else {
            for (i, to) in row.iter_mut().enumerate() {
                *to = data[from + i * stride + index[at + i * index_stride] as usize * step];
            }
        }
    });
}

/// Calls `put(to, value)` for the places of `out` in order, with `values`, read with `value_strides`.
///
/// # Panics
/// If a place is outside of `out`.
pub fn scatter_with<T: Copy>(
    out: &mut [T],
    places: Places<'_>,
    values: &[T],
    value_strides: &[usize],
    put: impl Fn(&mut T, T),
) {
    let Places { shape, strides, index, index_strides, step } = places;
    let all = [strides, index_strides, value_strides];
    rows(shape, all, |[to, at, from], [stride, index_stride, value_stride], length| {
        if index_stride == 0 && stride == 1 && value_stride == 1 {
            let to = to + index[at] as usize * step;
            out[to..to + length].iter_mut().zip(&values[from..from + length]).for_each(|(to, &value)| put(to, value));
        } else {
            for i in 0..length {
                let place = to + i * stride + index[at + i * index_stride] as usize * step;
                put(&mut out[place], values[from + i * value_stride]);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `gather` along dimension 1 of a 2 x 3 matrix.
    const ALONG: Places<'_> =
        Places { shape: &[2, 2], strides: &[3, 0], index: &[2, 0, 1, 1], index_strides: &[2, 1], step: 1 };
    /// Rows 1 and 1 of it.
    const ROWS: Places<'_> =
        Places { shape: &[2, 3], strides: &[0, 1], index: &[1, 1], index_strides: &[1, 0], step: 3 };

    #[test]
    fn gathers_along_a_dimension_and_whole_rows() {
        let data = [0, 1, 2, 3, 4, 5];
        let mut out = [0; 4];
        gather(&data, ALONG, &mut out);
        assert_eq!(out, [2, 0, 4, 4]);
        let mut out = [0; 6];
        gather(&data, ROWS, &mut out);
        assert_eq!(out, [3, 4, 5, 3, 4, 5]);
        gather::<i32>(&[], Places { shape: &[0, 3], ..ROWS }, &mut []);
        let mut out = [0];
        gather(&data, Places { shape: &[], strides: &[], index: &[4], index_strides: &[], step: 1 }, &mut out);
        assert_eq!(out, [4]);
    }

    #[test]
    fn scatters_the_last_value_or_the_sum() {
        let mut out = [0; 6];
        scatter_with(&mut out, ALONG, &[1, 2, 3, 4], &[2, 1], |to, value| *to = value);
        assert_eq!(out, [2, 0, 1, 0, 4, 0]);
        scatter_with(&mut out, ROWS, &[10, 20, 30], &[0, 1], |to, value| *to += value);
        assert_eq!(out, [2, 0, 1, 20, 44, 60]);
    }
}
