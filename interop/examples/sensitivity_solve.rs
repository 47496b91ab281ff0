//! Which bars carry a bridge: the sensitivity of a deflection that nalgebra solves for.
//!
//! A plane truss is loaded on its lower chord. Its deflection at mid-span is one component of `u = K⁻¹ f`, solved by nalgebra's
//! LU decomposition, which is generic over its scalar and knows nothing of wengert. One reverse sweep through the decomposition
//! gives the derivatives by all cross-sections and all loads. They are compared with those of the adjoint method, which needs
//! the matrix's derivative by hand: with `K λ = e` for the wanted component, `dJ/dA = -λᵀ (dK/dA) u` and `dJ/df = λ`
//! (Choi and Kim 2005, "Structural Sensitivity Analysis and Optimization 1", section 4.1).
//!
//!     cargo run --release -p wengert-interop --example sensitivity_solve
//!
//! The picture, `out/sensitivity_solve.png`, shows the truss as loaded, 60 times exaggerated: the thicker and bluer a bar, the
//! more the deflection falls if it gets more material.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use nalgebra::{DMatrix, DVector, RealField};
use wengert::{Tensor64, scope};

use self::picture::Picture;

#[allow(dead_code, reason = "what other examples draw")]
#[path = "../../crates/wengert/examples/common/picture.rs"]
mod picture;

/// Young's modulus of steel, in N/m².
const MODULUS: f64 = 2.1e11;
/// Length of a bay and height of the truss, in m.
const BAY: f64 = 4.0;
const HEIGHT: f64 = 5.0;
const BAYS: usize = 12;
/// Every bar's cross-section in m², and every load in N.
const AREA: f64 = 4e-3;
const LOAD: f64 = 4e4;

/// Pin-jointed bars in the plane.
struct Truss {
    /// In m: the lower chord from left to right, then the upper one.
    joints: Vec<[f64; 2]>,
    bars: Vec<[usize; 2]>,
    /// The degrees of freedom (x and y of each joint) that the supports leave.
    free: Vec<usize>,
    /// The free degrees of freedom that are loaded, downwards.
    loaded: Vec<usize>,
    /// The free degree of freedom whose displacement is asked for.
    wanted: usize,
}

impl Truss {
    fn bridge() -> Self {
        let lower = (0..=BAYS).map(|i| [i as f64 * BAY, 0.0]);
        let upper = (1..BAYS).map(|i| [i as f64 * BAY, HEIGHT]);
        let above = |i: usize| BAYS + i;
        let mut bars: Vec<_> = (0..BAYS).map(|i| [i, i + 1]).collect();
        bars.extend((1..BAYS - 1).map(|i| [above(i), above(i + 1)]));
        bars.extend((1..BAYS).map(|i| [i, above(i)]));
        bars.extend((1..BAYS - 1).flat_map(|i| [[i, above(i + 1)], [above(i), i + 1]]));
        bars.extend([[0, above(1)], [BAYS, above(BAYS - 1)]]);

        // A pin on the left, a roller on the right.
        let held = [0, 1, 2 * BAYS + 1];
        let joints: Vec<_> = lower.chain(upper).collect();
        let free: Vec<_> = (0..2 * joints.len()).filter(|dof| !held.contains(dof)).collect();
        let place = |dof: usize| free.binary_search(&dof).expect("a degree of freedom that no support holds");
        let loaded = (1..BAYS).map(|i| place(2 * i + 1)).collect();
        let wanted = place(BAYS + 1);
        Self { joints, bars, free, loaded, wanted }
    }

    /// The stiffness of bar `bar` by unit of area, and its four degrees of freedom.
    fn element(&self, bar: usize) -> ([[f64; 4]; 4], [Option<usize>; 4]) {
        let [a, b] = self.bars[bar];
        let along = [0, 1].map(|k| self.joints[b][k] - self.joints[a][k]);
        let length = along[0].hypot(along[1]);
        let [c, s] = along.map(|d| d / length);
        let direction = [-c, -s, c, s];
        let matrix = direction.map(|x| direction.map(|y| MODULUS / length * x * y));
        let places = [2 * a, 2 * a + 1, 2 * b, 2 * b + 1].map(|dof| self.free.binary_search(&dof).ok());
        (matrix, places)
    }

    /// The stiffness matrix of the free degrees of freedom, in N/m.
    fn stiffness<T: RealField + Copy>(&self, areas: &[T]) -> DMatrix<T> {
        let mut total = DMatrix::zeros(self.free.len(), self.free.len());
        for (bar, &area) in areas.iter().enumerate() {
            let (element, places) = self.element(bar);
            for (row, i) in places.iter().enumerate().filter_map(|(row, place)| place.map(|i| (row, i))) {
                for (column, j) in places.iter().enumerate().filter_map(|(column, place)| place.map(|j| (column, j))) {
                    total[(i, j)] += area * nalgebra::convert(element[row][column]);
                }
            }
        }
        total
    }

    /// Displacements of the free degrees of freedom in m, under `loads`.
    fn displacements<T: RealField + Copy>(&self, areas: &[T], loads: &[T]) -> DVector<T> {
        let mut force = DVector::zeros(self.free.len());
        self.loaded.iter().zip(loads).for_each(|(&place, &load)| force[place] = -load);
        self.stiffness(areas).lu().solve(&force).expect("a truss that stands")
    }

    /// The deflection at mid-span in m, by the parameters: all areas, then all loads. The one function that is differentiated.
    fn deflection<T: RealField + Copy>(&self, parameters: &[T]) -> T {
        let (areas, loads) = parameters.split_at(self.bars.len());
        -self.displacements(areas, loads)[self.wanted]
    }

    /// The gradient of [`Self::deflection`] by the adjoint method.
    fn adjoint(&self, parameters: &[f64]) -> Vec<f64> {
        let (areas, loads) = parameters.split_at(self.bars.len());
        let u = self.displacements(areas, loads);
        let mut wanted = DVector::zeros(self.free.len());
        wanted[self.wanted] = -1.0;
        let lambda = self.stiffness(areas).transpose().lu().solve(&wanted).expect("a truss that stands");
        let by_area = (0..self.bars.len()).map(|bar| {
            let (element, places) = self.element(bar);
            let at = |v: &DVector<f64>, k: usize| places[k].map_or(0.0, |i: usize| v[i]);
            let products = (0..16).map(|k| at(&lambda, k / 4) * element[k / 4][k % 4] * at(&u, k % 4));
            -products.sum::<f64>()
        });
        by_area.chain(self.loaded.iter().map(|&place| -lambda[place])).collect()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let truss = Truss::bridge();
    let bars = truss.bars.len();
    let parameters: Vec<f64> = [vec![AREA; bars], vec![LOAD; truss.loaded.len()]].concat();

    let start = Instant::now();
    let (deflection, gradient, entries) = scope(|| {
        let leaves: Vec<_> = parameters.iter().map(|&p| Tensor64::scalar(p).requires_grad_(true)).collect();
        let deflection = truss.deflection(&leaves);
        deflection.backward();
        let gradient: Vec<f64> = leaves.iter().map(|leaf| leaf.grad().map_or(0.0, |g| g.item())).collect();
        (deflection.item(), gradient, wengert::memory::stats().entries)
    });
    let elapsed = start.elapsed();

    let expected = truss.adjoint(&parameters);
    let scale = |from: usize, to: usize| expected[from..to].iter().fold(0.0, |m: f64, e| m.max(e.abs()));
    let error = |from: usize, to: usize| {
        let worst = (from..to).map(|i| (gradient[i] - expected[i]).abs()).fold(0.0, f64::max);
        worst / scale(from, to)
    };
    println!("{bars} bars, {} unknowns, {} parameters", truss.free.len(), parameters.len());
    println!("deflection at mid-span: {:.3} mm", 1e3 * deflection);
    println!("value and gradient through nalgebra's LU: {entries} entries, {:.1} ms", 1e3 * elapsed.as_secs_f64());
    println!("largest error against the adjoint formula, of the largest derivative:");
    println!("  by the areas: {:.1e}", error(0, bars));
    println!("  by the loads: {:.1e}", error(bars, parameters.len()));
    let total = error(0, bars).max(error(bars, parameters.len()));
    if total > 1e-9 {
        return Err(format!("the two gradients differ by {total:.1e}").into());
    }

    // More material in every bar by the same share makes the truss stiffer by that share: a check by Euler's theorem.
    let homogeneous: f64 = gradient[..bars].iter().zip(&parameters).map(|(g, p)| g * p).sum();
    println!("sum of area times derivative: {:.6} of the deflection (exactly -1)", homogeneous / deflection);

    let mut order: Vec<usize> = (0..bars).collect();
    order.sort_by(|&a, &b| gradient[a].total_cmp(&gradient[b]));
    println!("where 1 cm² more helps most:");
    for &bar in &order[..3] {
        let [from, to] = truss.bars[bar].map(|joint| truss.joints[joint]);
        println!("  {from:?} m to {to:?} m: {:.4} mm", 1e3 * 1e-4 * gradient[bar]);
    }

    std::fs::create_dir_all("out")?;
    let path = Path::new("out/sensitivity_solve.png");
    draw(&truss, &parameters, &gradient).write(path)?;
    println!("picture: {}", path.display());
    Ok(())
}

/// The truss at rest in grey and, exaggerated, as loaded: bars by their share of the deflection.
fn draw(truss: &Truss, parameters: &[f64], gradient: &[f64]) -> Picture {
    let bars = truss.bars.len();
    let u = truss.displacements(&parameters[..bars], &parameters[bars..]);
    let moved = |joint: usize, exaggeration: f64| {
        [0, 1].map(|k| {
            let displacement = truss.free.binary_search(&(2 * joint + k)).map_or(0.0, |place| u[place]);
            truss.joints[joint][k] + exaggeration * displacement
        })
    };
    let mut picture = Picture::new(1200, 360);
    let at = |[x, y]: [f64; 2]| (60.0 + x * 1080.0 / (BAY * BAYS as f64), 190.0 - y * 22.5);
    for [a, b] in &truss.bars {
        picture.line(at(moved(*a, 0.0)), at(moved(*b, 0.0)), 1.0, [205, 205, 205]);
    }
    let most = gradient[..bars].iter().fold(0.0, |m: f64, g| m.max(g.abs()));
    for (bar, [a, b]) in truss.bars.iter().enumerate() {
        let share = gradient[bar] / most;
        let fade = |full: f64| (170.0 + (full - 170.0) * share.abs().sqrt()) as u8;
        // Red where more material would raise the deflection.
        let colour =
            if share <= 0.0 { [fade(20.0), fade(70.0), fade(190.0)] } else { [fade(200.0), fade(40.0), fade(30.0)] };
        picture.line(at(moved(*a, 60.0)), at(moved(*b, 60.0)), 1.5 + 8.0 * share.abs().sqrt(), colour);
    }
    for joint in 0..truss.joints.len() {
        picture.disc(at(moved(joint, 60.0)), 4.0, [40, 40, 40]);
    }
    for joint in 1..BAYS {
        let (x, y) = at(moved(joint, 60.0));
        picture.line((x, y + 10.0), (x, y + 34.0), 2.0, [120, 120, 120]);
        picture.line((x - 5.0, y + 27.0), (x, y + 34.0), 2.0, [120, 120, 120]);
        picture.line((x + 5.0, y + 27.0), (x, y + 34.0), 2.0, [120, 120, 120]);
    }
    for joint in [0, BAYS] {
        // The roller follows its joint.
        let (x, y) = at(moved(joint, 60.0));
        picture.line((x, y + 4.0), (x - 14.0, y + 26.0), 3.0, [40, 40, 40]);
        picture.line((x, y + 4.0), (x + 14.0, y + 26.0), 3.0, [40, 40, 40]);
        picture.line((x - 20.0, y + 27.0), (x + 20.0, y + 27.0), 3.0, [40, 40, 40]);
    }
    picture
}
