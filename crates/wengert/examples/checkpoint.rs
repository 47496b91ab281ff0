//! Checkpoints: memory against time.
//!
//! A network of 64 residual layers is trained for a few steps plain, in segments of several numbers, and within budgets of memory. Its
//! gradients are the same bits each time.
//!
//!     cargo run --release --example checkpoint

use std::rc::Rc;
use std::time::Instant;

use wengert::options::{LayerNorm, Segments};
use wengert::{Tensor, checkpoint_sequential, manual_seed, memory, scope};

const LAYERS: usize = 64;
const WIDTH: usize = 64;
const BATCH: usize = 128;
const STEPS: usize = 5;

type Layer = Box<dyn Fn(Tensor) -> Tensor>;

/// `x + tanh(norm(x) w + b) v`, with its parameters.
fn layer(params: &mut Vec<Tensor>) -> Layer {
    let matrix = || (Tensor::randn([WIDTH, WIDTH]) * (0.5 / (WIDTH as f32).sqrt())).detach().requires_grad_(true);
    let (w, b, v) = (matrix(), Tensor::zeros([WIDTH]).requires_grad_(true), matrix());
    params.extend([w, b, v]);
    Box::new(move |x| {
        let h = x.layer_norm([WIDTH], LayerNorm::default());
        x + (h.matmul(w) + b).tanh().dropout(0.1, true).matmul(v)
    })
}

/// What training in one way took.
struct Run {
    name: String,
    /// The most bytes of a step, above what stays between steps.
    bytes: usize,
    seconds: f64,
    gradients: Vec<Vec<f32>>,
}

fn run(name: &str, layers: &Rc<[Layer]>, params: &[Tensor], x: Tensor, segments: Segments) -> Run {
    let step = || {
        manual_seed(1);
        params.iter().for_each(|w| w.zero_grad());
        scope(|| checkpoint_sequential(layers.clone(), segments.clone(), x).square().mean().backward());
    };
    // The first step makes room that the others use again.
    step();
    memory::trim();
    let stays = memory::stats().used;
    let mut seconds = f64::INFINITY;
    for _ in 0..STEPS {
        let start = Instant::now();
        step();
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    let bytes = memory::stats().high_water - stays;
    let gradients = params.iter().map(|w| w.grad().expect("every layer has a part in the loss").to_vec()).collect();
    Run { name: name.to_owned(), bytes, seconds, gradients }
}

fn largest_difference(a: &Run, b: &Run) -> f32 {
    let pairs = a.gradients.iter().flatten().zip(b.gradients.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn bar(share: f64) -> String {
    "#".repeat((share * 24.0).round().max(1.0) as usize)
}

fn main() {
    manual_seed(0);
    let mut params = Vec::new();
    let layers: Rc<[Layer]> = (0..LAYERS).map(|_| layer(&mut params)).collect();
    let x = Tensor::randn([BATCH, WIDTH]);
    // Gradients have memory of their own, which stays.
    scope(|| layers.iter().fold(x, |x, f| f(x)).sum().backward());

    let mut runs = vec![run("plain", &layers, &params, x, Segments::Count(1))];
    for count in [2, 4, 8, 16, 64] {
        runs.push(run(&format!("{count} segments"), &layers, &params, x, Segments::Count(count)));
    }
    for part in [2, 3] {
        let budget = runs[0].bytes / part;
        let segments = Segments::within(budget, &layers, x).expect("a budget that a chain of 64 layers fits into");
        let Segments::Lengths(lengths) = &segments else { unreachable!("within gives lengths") };
        let name = format!("1/{part} of plain: {}", lengths.len());
        let run = run(&name, &layers, &params, x, segments);
        assert!(run.bytes <= budget / 100 * 105, "{} bytes in a budget of {budget}", run.bytes);
        runs.push(run);
    }

    println!("{LAYERS} residual layers of width {WIDTH}, batch {BATCH}: peak of the tape and best of {STEPS} steps\n");
    println!("{:<16} {:>8} {:>8}  {:<24}  {:<24}  gradients differ by", "", "KB", "ms", "memory", "time");
    let most = runs.iter().map(|run| run.bytes).max().unwrap_or(1) as f64;
    let longest = runs.iter().map(|run| run.seconds).fold(0.0, f64::max);
    for run in &runs {
        let difference = largest_difference(run, &runs[0]);
        println!(
            "{:<16} {:>8} {:>8.2}  {:<24}  {:<24}  {difference}",
            run.name,
            run.bytes / 1000,
            run.seconds * 1e3,
            bar(run.bytes as f64 / most),
            bar(run.seconds / longest),
        );
        assert_eq!(difference, 0.0, "a checkpoint computes the same bits");
    }
}
