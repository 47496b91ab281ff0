//! What networks do beside their formulas: random masks, running statistics, and labels that count for nothing.

use wengert::options::{BatchNorm, CrossEntropy, MaxPool, Reduction};
use wengert::{IndexTensor, Tensor, Tensor64, manual_seed, no_grad, scope};

#[test]
fn dropout_keeps_the_mean_and_its_mask_is_the_gradient() {
    manual_seed(1);
    let x = Tensor::ones(100_001).requires_grad_(true);
    let y = x.dropout(0.2, true);
    y.sum().backward();
    let (y, kept) = (y.to_vec(), x.grad().unwrap().to_vec());
    assert_eq!(y, kept);
    assert!(y.iter().all(|&y| y == 0.0 || y == 1.25));
    let share = y.iter().filter(|&&y| y > 0.0).count() as f64 / y.len() as f64;
    // Five standard deviations of the share of 100,001 draws.
    assert!((share - 0.8).abs() < 5.0 * (0.16f64 / 100_001.0).sqrt(), "{share}");
    let neighbours = y.windows(2).filter(|pair| pair[0] > 0.0 && pair[1] > 0.0).count() as f64 / 100_000.0;
    assert!((neighbours - 0.64).abs() < 0.01, "{neighbours}");
    manual_seed(1);
    assert_eq!(Tensor::ones(100_001).dropout(0.2, true).to_vec(), y);
    assert_ne!(Tensor::ones(100_001).dropout(0.2, true).to_vec(), y);
    assert_eq!(Tensor::ones(9).dropout(1.0, true).to_vec(), [0.0; 9]);
}

#[test]
fn running_statistics_are_updated_in_place_and_have_no_history() {
    let x = Tensor64::new([[1.0, 10.0], [3.0, 10.0]]).requires_grad_(true);
    let (mean, var) = (Tensor64::zeros(2), Tensor64::ones(2));
    let (running_mean, running_var) = (Some(mean), Some(var));
    let options = BatchNorm { running_mean, running_var, training: true, momentum: 0.5, ..BatchNorm::default() };
    scope(|| x.batch_norm(options).sum().backward());
    assert_eq!((mean.to_vec(), var.to_vec()), (vec![1.0, 5.0], vec![1.5, 0.5]));
    assert!(!mean.requires_grad() && !var.requires_grad());
    // What evaluation normalised by may change before it is differentiated.
    let y = x.batch_norm(BatchNorm { training: false, eps: 0.0, ..options });
    mean.zero_();
    x.zero_grad();
    y.sum().backward();
    let r = 1.0 / 1.5f64.sqrt();
    assert!((x.grad().unwrap().to_vec()[0] - r).abs() < 1e-15);
}

#[test]
fn ignored_labels_have_no_loss_and_no_gradient_even_where_logits_are_nan() {
    let logits = Tensor::new([[f32::NAN, 1.0], [0.0, 0.0]]).requires_grad_(true);
    let options = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
    let loss = logits.cross_entropy_with(IndexTensor::new([-100, 1]), options);
    loss.backward();
    assert_eq!(loss.item(), std::f32::consts::LN_2);
    assert_eq!(logits.grad().unwrap().to_vec(), [0.0, 0.0, 0.5, -0.5]);
    assert!(no_grad(|| logits.cross_entropy(IndexTensor::new([-100, -100])).item()).is_nan());
}

#[test]
fn pooling_tells_where_the_largest_lie() {
    let x = Tensor::new([[[1.0, 5.0, 2.0, 2.0], [0.0, 3.0, 2.0, 1.0]]]);
    let (values, indices) = x.max_pool2d_with_indices(2, MaxPool::default());
    assert_eq!((values.to_vec(), indices.to_vec()), (vec![5.0, 2.0], vec![1, 2]));
    let (_, indices) = x.max_pool2d_with_indices([1, 3], MaxPool { padding: [0, 1], ..MaxPool::default() });
    assert_eq!(indices.to_vec(), [1, 2, 5, 6]);
}
