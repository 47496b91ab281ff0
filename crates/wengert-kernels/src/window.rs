//! Windows that slide over a plane: what convolutions and pooling have in common.

use std::ops::Range;

/// A window of `kernel` taps, `dilation` apart, that moves by `stride` over a plane with `padding` around it; each is
/// `[rows, columns]`.
///
/// Output place `o` and tap `t` meet at the input place `o stride + t dilation - padding`, which may lie in the padding, or, at the
/// last place, behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The plane's lengths.
    pub input: [usize; 2],
    /// How many places the window has.
    pub output: [usize; 2],
    /// How many taps it has.
    pub kernel: [usize; 2],
    /// How far it moves.
    pub stride: [usize; 2],
    /// How far it reaches over each edge.
    pub padding: [usize; 2],
    /// How far apart its taps are.
    pub dilation: [usize; 2],
}

impl Window {
    /// The output places, along one axis, at which tap `tap` lies inside of the plane.
    #[inline(always)]
    pub fn inside(&self, axis: usize, tap: usize) -> Range<usize> {
        let (reach, stride) = (tap * self.dilation[axis], self.stride[axis]);
        let last = self.output[axis].saturating_sub(1) * stride;
        if self.padding[axis] == 0 && last + reach < self.input[axis] {
            return 0..self.output[axis];
        }
        let start = self.padding[axis].saturating_sub(reach).div_ceil(stride);
        let end = (self.input[axis] + self.padding[axis]).saturating_sub(reach).div_ceil(stride);
        start..end.min(self.output[axis]).max(start)
    }

    /// Whether tap `tap` lies inside of the plane at the output place `place`: [`Window::inside`] without its divisions.
    #[inline(always)]
    pub fn is_inside(&self, axis: usize, place: usize, tap: usize) -> bool {
        let at = place * self.stride[axis] + tap * self.dilation[axis];
        at >= self.padding[axis] && at - self.padding[axis] < self.input[axis]
    }

    /// Where tap `tap` lies at the output place `place`, which is one of [`Window::inside`].
    #[inline(always)]
    pub fn at(&self, axis: usize, place: usize, tap: usize) -> usize {
        place * self.stride[axis] + tap * self.dilation[axis] - self.padding[axis]
    }

    /// The number of input places.
    #[inline(always)]
    pub fn plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// The number of output places.
    #[inline(always)]
    pub fn places(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// The number of taps.
    #[inline(always)]
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether the window is one tap on each place, so that input and output are the same.
    pub fn is_identity(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Windows of many forms.
    pub fn windows() -> Vec<Window> {
        // Input, kernel, stride, padding, dilation.
        let forms: [[[usize; 2]; 5]; 11] = [
            [[4, 4], [3, 3], [1, 1], [0, 0], [1, 1]],
            [[4, 5], [2, 3], [2, 2], [0, 0], [1, 1]],
            [[4, 4], [3, 3], [1, 1], [1, 1], [1, 1]],
            [[5, 6], [2, 2], [1, 1], [0, 0], [2, 2]],
            [[5, 7], [2, 3], [2, 1], [0, 2], [1, 2]],
            [[1, 70], [1, 3], [1, 1], [0, 1], [1, 1]],
            [[3, 150], [2, 2], [2, 2], [1, 1], [1, 1]],
            [[2, 2], [1, 1], [1, 1], [0, 0], [1, 1]],
            [[1, 1], [3, 3], [1, 1], [2, 2], [1, 1]],
            // No place at which all taps of a row lie inside.
            [[5, 1], [2, 2], [1, 1], [0, 1], [1, 1]],
            [[9, 3], [3, 4], [2, 2], [1, 2], [1, 2]],
        ];
        let make = |&[input, kernel, stride, padding, dilation]: &[[usize; 2]; 5]| {
            let places = |a: usize| (input[a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) / stride[a] + 1;
            Window { input, output: [places(0), places(1)], kernel, stride, padding, dilation }
        };
        let mut windows: Vec<Window> = forms.iter().map(make).collect();
        // One more place, at which the window reaches behind the plane.
        for (form, axis) in [(0, 0), (1, 1), (2, 1), (3, 0), (4, 1)] {
            let mut window = windows[form];
            window.output[axis] += 1;
            windows.push(window);
        }
        windows
    }

    /// Every output place with the input places of its taps, by the definition: `(place, tap, input place)`.
    pub fn meetings(window: &Window) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        let [oh, ow] = window.output;
        let [kh, kw] = window.kernel;
        for (place, tap) in (0..oh * ow).flat_map(|place| (0..kh * kw).map(move |tap| (place, tap))) {
            let along = |axis: usize, place: usize, tap: usize| {
                let at = place * window.stride[axis] + tap * window.dilation[axis];
                at.checked_sub(window.padding[axis]).filter(|&at| at < window.input[axis])
            };
            if let (Some(row), Some(column)) = (along(0, place / ow, tap / kw), along(1, place % ow, tap % kw)) {
                found.push((place, tap, row * window.input[1] + column));
            }
        }
        found
    }

    #[test]
    fn inside_is_the_definition() {
        for window in windows() {
            let mut found = Vec::new();
            for tap in 0..window.taps() {
                let (i, j) = (tap / window.kernel[1], tap % window.kernel[1]);
                for (row, column) in window.inside(0, i).flat_map(|r| window.inside(1, j).map(move |c| (r, c))) {
                    let at = window.at(0, row, i) * window.input[1] + window.at(1, column, j);
                    found.push((row * window.output[1] + column, tap, at));
                }
            }
            found.sort_unstable();
            let also = |&(place, tap, _): &(usize, usize, usize)| {
                window.is_inside(0, place / window.output[1], tap / window.kernel[1])
                    && window.is_inside(1, place % window.output[1], tap % window.kernel[1])
            };
            assert!(found.iter().all(also), "{window:?}");
            assert_eq!(found, meetings(&window), "{window:?}");
        }
    }
}
