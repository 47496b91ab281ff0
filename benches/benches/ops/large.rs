//! Structured operations at sizes that networks have.

use wengert::options::{BatchNorm, Conv2d, LayerNorm};
use wengert::{IndexTensor, PadMode, Tensor, cat};

/// A name, the shapes of the operands, and the call.
type Call = (&'static str, &'static [&'static [usize]], fn(&[Tensor]) -> Tensor);

const MATRIX: &[usize] = &[256, 256];
const IMAGES: &[usize] = &[8, 16, 32, 32];

/// What is called.
pub const CALLS: &[Call] = &[
    ("sum", &[MATRIX], |x| x[0].sum()),
    ("sum/rows", &[MATRIX], |x| x[0].sum_dims(1, false)),
    ("sum/columns", &[MATRIX], |x| x[0].sum_dims(0, false)),
    ("mean", &[MATRIX], |x| x[0].mean()),
    ("var/rows", &[MATRIX], |x| x[0].var_dims(1, 1, false)),
    ("std", &[MATRIX], |x| x[0].std()),
    ("norm", &[MATRIX], |x| x[0].norm()),
    ("prod/rows", &[MATRIX], |x| x[0].prod_dims(1, false)),
    ("amax/rows", &[MATRIX], |x| x[0].amax(1, false)),
    ("logsumexp/rows", &[MATRIX], |x| x[0].logsumexp(1, false)),
    ("cumsum", &[MATRIX], |x| x[0].cumsum(1)),
    ("cumprod", &[MATRIX], |x| x[0].cumprod(1)),
    ("matmul", &[MATRIX, MATRIX], |x| x[0].matmul(x[1])),
    ("matmul/batches", &[&[32, 64, 32], &[32, 32, 64]], |x| x[0].matmul(x[1])),
    ("linear", &[&[64, 256], MATRIX, &[256]], |x| x[0].linear(x[1], x[2])),
    ("dot", &[&[65_536], &[65_536]], |x| x[0].dot(x[1])),
    ("conv2d", &[IMAGES, &[32, 16, 3, 3], &[32]], |x| {
        x[0].conv2d(x[1], Conv2d { bias: Some(x[2]), padding: [1, 1], ..Conv2d::default() })
    }),
    ("max_pool2d", &[IMAGES], |x| x[0].max_pool2d(2)),
    ("avg_pool2d", &[IMAGES], |x| x[0].avg_pool2d(2)),
    ("softmax", &[MATRIX], |x| x[0].softmax(-1)),
    ("log_softmax", &[MATRIX], |x| x[0].log_softmax(-1)),
    ("cross_entropy", &[MATRIX], |x| x[0].cross_entropy(IndexTensor::full([256], 3))),
    ("mse_loss", &[MATRIX, MATRIX], |x| x[0].mse_loss(x[1])),
    ("layer_norm", &[MATRIX, &[256], &[256]], |x| {
        x[0].layer_norm(256, LayerNorm { weight: Some(x[1]), bias: Some(x[2]), ..LayerNorm::default() })
    }),
    ("batch_norm", &[IMAGES, &[16], &[16]], |x| {
        x[0].batch_norm(BatchNorm { weight: Some(x[1]), bias: Some(x[2]), training: true, ..BatchNorm::default() })
    }),
    ("cat", &[MATRIX, MATRIX], |x| cat(&[x[0], x[1]], 1)),
    ("contiguous/transposed", &[MATRIX], |x| x[0].transpose(0, 1).contiguous()),
    ("add/transposed", &[MATRIX, MATRIX], |x| x[0] + x[1].transpose(0, 1)),
    ("add/row", &[MATRIX, &[256]], |x| x[0] + x[1]),
    ("add/column", &[MATRIX, &[256, 1]], |x| x[0] + x[1]),
    ("slice/strided", &[MATRIX], |x| x[0].slice(1, 0, 256, 2).contiguous()),
    ("pad", &[MATRIX], |x| x[0].pad([2, 2], PadMode::Constant(0.0))),
    ("tril", &[MATRIX], |x| x[0].tril(0)),
    ("index_select", &[MATRIX], |x| x[0].index_select(0, reversed())),
    ("index_add", &[MATRIX, MATRIX], |x| x[0].index_add(0, reversed(), x[1], 1.0)),
    ("masked_fill", &[MATRIX], |x| x[0].masked_fill(x[0].gt(1.0), 0.0)),
];

/// Every row once, from the last to the first.
fn reversed() -> IndexTensor {
    IndexTensor::from_iter((0..256).rev())
}
