//! Whether a derivative is right, by differences of two lengths: at a kink those from below and above differ, whatever their length.
//!
//! ```text
//! smooth      gap between left and right: shrinks with the step       the analytic value must be the central difference
//! kink        stays                                                  it must lie between left and right
//! kink near   is gone with the shorter step                          it must be the shorter central difference
//! jump        all slopes grow as the step shrinks                    anything: there is no slope to compare with
//! ```

use crate::check::GradCheck;
use crate::derivative::Slopes;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
    Kink,
}

/// How much shorter the second step is.
pub(crate) const SHORTER: f64 = 16.0;

impl GradCheck {
    /// The error that is allowed of a derivative of this size.
    pub(crate) fn allowed(&self, size: f64) -> f64 {
        self.atol + self.rtol * size.abs()
    }

    /// Whether the first step says enough: the function looks smooth, and the derivative is right.
    pub(crate) fn is_clearly_right(&self, analytic: f64, slopes: &Slopes, output: usize) -> bool {
        let central = slopes.central[output];
        let allowed = self.allowed(central) + slopes.resolution[output];
        let gap = (slopes.right[output] - slopes.left[output]).abs();
        (analytic - central).abs() <= allowed && gap <= 4.0 * allowed
    }

    /// What steps of both lengths say.
    pub(crate) fn judge(&self, analytic: f64, wide: &Slopes, narrow: &Slopes, output: usize) -> Verdict {
        let gap = |slopes: &Slopes| (slopes.right[output] - slopes.left[output]).abs();
        let allowed = |slopes: &Slopes| self.allowed(slopes.central[output]) + slopes.resolution[output];
        let is_close = |slopes: &Slopes| (analytic - slopes.central[output]).abs() <= allowed(slopes);
        let has_gap = gap(wide) > allowed(wide);
        if has_gap && gap(narrow) > 0.5 * gap(wide) && gap(narrow) > 2.0 * allowed(narrow) {
            let (left, right) = (narrow.left[output], narrow.right[output]);
            let between = left.min(right) - allowed(narrow)..=left.max(right) + allowed(narrow);
            return if between.contains(&analytic) { Verdict::Kink } else { Verdict::Wrong };
        }
        let grows = narrow.central[output].abs() > 0.5 * SHORTER * wide.central[output].abs();
        if grows && wide.central[output].abs() > allowed(wide) && !is_close(wide) {
            return Verdict::Kink;
        }
        match (is_close(wide), is_close(narrow)) {
            (true, _) => Verdict::Right,
            (false, true) if has_gap => Verdict::Kink,
            _ => Verdict::Wrong,
        }
    }
}
