//! The two classifiers: a perceptron with one hidden layer, and a small convolutional network.

use std::fmt;

use wengert::Tensor;
use wengert::options::Conv2d;

/// Which classifier.
#[derive(Clone, Copy)]
pub enum Kind {
    Mlp,
    Cnn,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mlp => "mlp",
            Self::Cnn => "cnn",
        })
    }
}

/// A weight and a bias.
#[derive(Clone, Copy)]
struct Layer {
    weight: Tensor,
    bias: Tensor,
}

impl Layer {
    /// Random weights of variance 2 / inputs (He et al. 2015, "Delving Deep into Rectifiers"), and a bias of zeros.
    fn new<const N: usize>(shape: [usize; N]) -> Self {
        let inputs: usize = shape[1..].iter().product();
        let scale = (2.0 / inputs as f32).sqrt();
        let weight = (Tensor::randn(shape) * scale).requires_grad_(true);
        Self { weight, bias: Tensor::zeros([shape[0]]).requires_grad_(true) }
    }

    fn linear(self, x: Tensor) -> Tensor {
        x.linear(self.weight, self.bias)
    }

    /// A convolution by 3 x 3 kernels that keeps the size of the picture.
    fn convolve(self, x: Tensor) -> Tensor {
        x.conv2d(self.weight, Conv2d { bias: Some(self.bias), padding: [1, 1], ..Conv2d::default() })
    }
}

/// A classifier of pictures `[n, 64]`.
pub struct Model {
    kind: Kind,
    layers: Vec<Layer>,
}

impl Model {
    pub fn new(kind: Kind) -> Self {
        let layers = match kind {
            Kind::Mlp => vec![Layer::new([128, 64]), Layer::new([10, 128])],
            Kind::Cnn => vec![
                Layer::new([16, 1, 3, 3]),
                Layer::new([32, 16, 3, 3]),
                Layer::new([64, 32 * 4 * 4]),
                Layer::new([10, 64]),
            ],
        };
        Self { kind, layers }
    }

    pub fn parameters(&self) -> Vec<Tensor> {
        self.layers.iter().flat_map(|layer| [layer.weight, layer.bias]).collect()
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.parameters().iter().map(|p| p.numel()).sum()
    }

    /// The scores of the ten digits, `[n, 10]`.
    pub fn forward(&self, pixels: Tensor, training: bool) -> Tensor {
        let layers = &self.layers;
        match self.kind {
            Kind::Mlp => {
                let hidden = layers[0].linear(pixels).relu().dropout(0.2, training);
                layers[1].linear(hidden)
            }
            Kind::Cnn => {
                let pictures = pixels.reshape([pixels.size(0), 1, 8, 8]);
                let edges = layers[0].convolve(pictures).relu();
                let parts = layers[1].convolve(edges).relu().max_pool2d(2);
                let hidden = layers[2].linear(parts.flatten(1, -1).dropout(0.3, training)).relu();
                layers[3].linear(hidden.dropout(0.3, training))
            }
        }
    }
}
