//! How many places a window has, and pairs of lengths.

use wengert_kernels::window::Window;

use crate::error::{Result, error};

/// What can be given as `[rows, columns]`: a pair, or one number for both.
pub trait IntoPair {
    /// The pair.
    fn into_pair(self) -> [usize; 2];
}

impl IntoPair for usize {
    fn into_pair(self) -> [usize; 2] {
        [self; 2]
    }
}
impl IntoPair for [usize; 2] {
    fn into_pair(self) -> [usize; 2] {
        self
    }
}

/// The number of places along each axis at which `window` lies inside of its padded plane; with `ceil` also one at which it begins
/// inside of the plane or the padding before it, and ends behind.
///
/// # Errors
/// There is none, or a stride, a dilation or a length of the kernel is 0.
pub(super) fn places(op: &str, window: &Window, ceil: bool) -> Result<[usize; 2]> {
    let Window { input, kernel, stride, padding, dilation, .. } = *window;
    if [kernel, stride, dilation].iter().flatten().any(|&n| n == 0) {
        return Err(error!(
            Value,
            "{op}: kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} must be at least 1"
        ));
    }
    let mut output = [0; 2];
    for axis in 0..2 {
        // Padding is added on both sides; what overflows is larger than any plane.
        let padded = padding[axis].checked_mul(2).and_then(|both| both.checked_add(input[axis]));
        let reach = dilation[axis].checked_mul(kernel[axis] - 1).and_then(|last| last.checked_add(1));
        let room = padded.zip(reach).and_then(|(padded, reach)| padded.checked_sub(reach));
        let Some(room) = room else {
            return Err(error!(
                Shape,
                "{op}: a kernel of {kernel:?} with dilation {dilation:?} is larger than the plane {input:?} with padding \
                 {padding:?}"
            ));
        };
        output[axis] = room / stride[axis] + 1;
        let next = output[axis].saturating_mul(stride[axis]);
        output[axis] += usize::from(ceil && room % stride[axis] > 0 && next < input[axis] + padding[axis]);
    }
    Ok(output)
}
