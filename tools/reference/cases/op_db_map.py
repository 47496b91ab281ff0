"""PyTorch's operator database and wengert: which operation here is which entry there, and why the others are left out.

`MAPPED_TEXT` has one line per entry that is an operation here:

    entry [= operation here] [: names of the sample's input and positional arguments] [| keywords offered]

A sample with a keyword that its line does not name is dropped, and so is one for which `refused` gives a reason; both are counted in
`op_db.md`. `LEFT_OUT` has the reasons for whole entries. Together they must name every entry of `op_db`: a new one fails.
"""

import dataclasses

import torch
import torch.nn.functional as F

from . import networks


@dataclasses.dataclass
class Row:
    """How the samples of an entry are calls of an operation here."""

    op: str
    names: list
    keywords: set
    composed: bool


MAPPED_TEXT = """
neg
abs
sign
sgn = sign
floor
ceil
round
trunc
square
sqrt
rsqrt
reciprocal
exp
exp2
expm1
log = ln
log2
log10
log1p
sin
cos
tan
asin
acos
atan
sinh
cosh
tanh
asinh
acosh
atanh
sigmoid
erf
erfc
isnan = is_nan
isfinite = is_finite
nn.functional.relu = relu
nn.functional.selu = selu
nn.functional.silu = silu
nn.functional.mish = mish
nn.functional.logsigmoid = log_sigmoid
nn.functional.softplus = softplus | beta threshold
nn.functional.leaky_relu = leaky_relu | negative_slope
nn.functional.elu = elu | alpha
nn.functional.gelu = gelu | approximate
nn.functional.hardtanh = hardtanh | min_val max_val
nn.functional.relu6 = hardtanh

add: input other
sub: input other
rsub = sub: other input
mul: input other
div[no_rounding_mode] = div: input other
true_divide = div: input other
__radd__ = add: other input
__rmul__ = mul: other input
__rsub__ = sub: other input
__rdiv__ = div: other input
__rpow__ = pow: exponent input
__rmod__ = remainder: other input
pow: input exponent
atan2: input other
fmod: input other
remainder: input other
minimum: input other
maximum: input other
min[binary] = minimum: input other
max[binary] = maximum: input other
fmin: input other
fmax: input other
copysign: input other
hypot: input other
xlogy: input other
eq: input other
ne: input other
lt: input other
le: input other
gt: input other
ge: input other
logical_and: input other
logical_or: input other
logical_xor: input other
logical_not
clamp: input min max
clamp_min: input min
clamp_max: input max
lerp: input end weight
where = where_: input condition other

sum | dim keepdim
sum_to_size = sum_to: input size
mean | dim keepdim
prod: input dim keepdim
amax | dim keepdim
amin | dim keepdim
max[reduction_no_dim] = max
max[reduction_with_dim] = max: input dim keepdim
min[reduction_no_dim] = min
min[reduction_with_dim] = min: input dim keepdim
argmax | dim keepdim
argmin | dim keepdim
var | dim unbiased correction keepdim
var[unbiased] = var: input unbiased
std | dim unbiased correction keepdim
std[unbiased] = std: input unbiased
norm: input p dim keepdim
norm[fro] = norm: input p dim keepdim
norm[inf] = norm: input p dim keepdim
linalg.vector_norm = norm | ord dim keepdim
linalg.norm = norm: input ord dim keepdim
linalg.norm[subgradients_at_zero] = norm: input ord dim keepdim
logsumexp: input dim keepdim
any | dim keepdim
all | dim keepdim
count_nonzero | dim
cumsum: input dim
cumprod: input dim

reshape: input shape
view = reshape: input shape
reshape_as = reshape: input shape
view_as = reshape: input shape
ravel = flatten
flatten | start_dim end_dim
unflatten: input dim sizes
squeeze: input dim
squeeze[multiple] = squeeze: input dim
unsqueeze: input dim
transpose: input dim0 dim1
t
permute: input dims
movedim: input source destination
expand: input size
expand_as = expand: input size
broadcast_to: input size
repeat: input repeats
flip | dims
roll: input shifts dims
cat: tensors dim
stack: tensors dim
split: input split_size_or_sections dim
split[list_args] = split: input split_size_or_sections dim
split_with_sizes = split: input split_size_or_sections dim
chunk: input chunks dim
unbind: input dim
slice: input dim start end step
narrow: input dim start length
select: input dim index
nn.functional.pad[constant] = pad: input pad mode value
nn.functional.pad[reflect] = pad: input pad mode value
nn.functional.pad[replicate] = pad: input pad mode value
nn.functional.pad[replicate_negative] = pad: input pad mode value
nn.functional.pad[circular] = pad: input pad mode value
constant_pad_nd = pad: input pad value
tril: input diagonal
triu: input diagonal
diagonal: input offset dim1 dim2
linalg.diagonal = diagonal | offset dim1 dim2
diag: input diagonal
contiguous
clone = copy

gather: input dim index
scatter: input dim index src
scatter_add: input dim index src
index_select: input dim index
index_add: input dim index source | alpha
index_put: input indices values | accumulate
masked_fill: input mask value
masked_select: input mask
take_along_dim: input indices dim
sort: input dim descending | stable
msort = sort
argsort: input dim descending | stable
topk: input k dim largest sorted
nn.functional.one_hot = one_hot | num_classes
nn.functional.embedding = embedding: weight input | padding_idx

matmul: input other
__rmatmul__ = matmul: other input
mm = matmul: input other
mv = matmul: input other
dot: input tensor
vdot = dot: input tensor
outer: input vec2
bmm: input mat2
einsum: operands equation
nn.functional.linear = linear: input weight bias

softmax: input dim
log_softmax: input dim
nn.functional.layer_norm = layer_norm: input normalized_shape weight bias eps
nn.functional.batch_norm = batch_norm: input running_mean running_var weight bias | training momentum eps
nn.functional.conv1d = conv1d: input weight bias | stride padding dilation groups
nn.functional.conv2d = conv2d: input weight bias | stride padding dilation groups
nn.functional.max_pool2d = max_pool2d | kernel_size stride padding dilation ceil_mode return_indices
nn.functional.avg_pool2d = avg_pool2d: input kernel_size stride padding ceil_mode count_include_pad divisor_override
nn.functional.dropout = dropout | p training

nn.functional.mse_loss = mse: input target | reduction
nn.functional.l1_loss = l1: input target | reduction
nn.functional.smooth_l1_loss = smooth_l1: input target | beta reduction
nn.functional.huber_loss = huber: input target | delta reduction
nn.functional.cross_entropy = cross_entropy: input target | weight ignore_index label_smoothing reduction
nn.functional.nll_loss = nll: input target | weight ignore_index reduction
nn.functional.binary_cross_entropy = binary_cross_entropy: input target | weight reduction
nn.functional.binary_cross_entropy_with_logits = binary_cross_entropy_with_logits: input target | weight pos_weight reduction
nn.functional.kl_div = kl_div: input target | log_target reduction

zeros_like
ones_like
full_like: input fill_value
"""
# Entries that are no operation here, but a line of several, by the same grammar.
COMPOSED_TEXT = """
addmm: input mat1 mat2 | beta alpha
addmm[decomposed] = addmm: input mat1 mat2 | beta alpha
addmv: input mat vec | beta alpha
addbmm: input batch1 batch2 | beta alpha
baddbmm: input batch1 batch2 | beta alpha
addr: input vec1 vec2 | beta alpha
addcmul: input tensor1 tensor2 | value
addcdiv: input tensor1 tensor2 | value
inner: input other
kron: input other
linalg.vecdot: input other | dim
linalg.multi_dot: tensors
var_mean | dim unbiased correction keepdim
var_mean[unbiased] = var_mean: input unbiased
std_mean | dim unbiased correction keepdim
std_mean[unbiased] = std_mean: input unbiased
aminmax | dim keepdim
deg2rad
rad2deg
frac
div[trunc_rounding] = div_trunc: input other | rounding_mode
div[floor_rounding] = div_floor: input other | rounding_mode
floor_divide: input other
ldexp: input other
logaddexp: input other
logaddexp2: input other
logit: input eps
sinc
special.entr
special.xlog1py: input other
special.ndtr
nansum | dim keepdim
nanmean | dim keepdim
trace
dist: input other p
T
H
mT
mH
fliplr
flipud
tile: input dims
hstack: tensors
vstack: tensors
take: input index
nn.functional.pixel_shuffle = pixel_shuffle | upscale_factor
nn.functional.pixel_unshuffle = pixel_unshuffle | downscale_factor
nn.functional.softmin = softmin: input dim
nn.functional.glu = glu: input dim
nn.functional.prelu = prelu: input weight
nn.functional.celu = celu | alpha
nn.functional.hardswish = hardswish
nn.functional.hardsigmoid = hardsigmoid
nn.functional.softsign = softsign
nn.functional.tanhshrink = tanhshrink
nn.functional.threshold = threshold: input threshold value
nn.functional.softshrink = softshrink | lambd
nn.functional.hardshrink = hardshrink | lambd
nn.functional.normalize = normalize | p dim eps
nn.functional.cosine_similarity = cosine_similarity: x1 x2 | dim eps
nn.functional.pairwise_distance = pairwise_distance: x1 x2 | p eps keepdim
nn.functional.rms_norm = rms_norm: input normalized_shape weight | eps
nn.functional.scaled_dot_product_attention = scaled_dot_product_attention: query key value | attn_mask dropout_p is_causal scale enable_gqa
nn.functional.soft_margin_loss = soft_margin_loss: input target | reduction
nn.functional.margin_ranking_loss = margin_ranking_loss: input1 input2 target | margin reduction
nn.functional.hinge_embedding_loss = hinge_embedding_loss: input target | margin reduction
nn.functional.poisson_nll_loss = poisson_nll_loss: input target | log_input full eps reduction
nn.functional.triplet_margin_loss = triplet_margin_loss: anchor positive negative | margin p eps swap reduction
"""


def read(text, composed):
    """Entry -> Row."""
    rows = {}
    for line in filter(None, text.splitlines()):
        head, _, keywords = line.partition("|")
        head, _, names = head.partition(":")
        entry, _, op = (part.strip() for part in head.partition("="))
        names = names.split() or ["input"]
        rows[entry] = Row(op or entry, names, set(keywords.split()) | set(names), composed)
    return rows


MAPPED = read(MAPPED_TEXT, False) | read(COMPOSED_TEXT, True)

# Entries whose samples are of a type other than floats.
DTYPES = {name: torch.bool for name in ("logical_and", "logical_or", "logical_xor", "logical_not")}
DTYPES["nn.functional.one_hot"] = torch.int64


def batch_norm(tensor, *args, **kwargs):
    """The normalised tensor, and what the running statistics have become."""
    names = ("running_mean", "running_var", "weight", "bias")
    return networks.batch_norm(tensor, **dict(zip(names, args)), **kwargs)


# Entries that are evaluated by another function than their own: those that write into an operand, and those whose ties nobody promises.
CALLS = {
    "nn.functional.batch_norm": batch_norm,
    "sort": lambda tensor, dim=-1, descending=False, stable=True: torch.sort(tensor, stable=True, dim=dim, descending=descending),
    "msort": lambda tensor: torch.sort(tensor, stable=True, dim=0),
    "argsort": lambda tensor, dim=-1, descending=False, stable=True: torch.argsort(tensor, stable=True, dim=dim, descending=descending),
}


def translated(entry, named):
    """The arguments as the operation here has them; `named` is name -> value."""
    named = dict(named)
    shape = lambda value: list(value.shape) if isinstance(value, torch.Tensor) else value
    if entry in ("reshape_as", "view_as", "expand_as"):
        key = "size" if entry == "expand_as" else "shape"
        named[key] = shape(named[key])
    if "unbiased" in named:
        named["correction"] = int(named.pop("unbiased"))
    if "ord" in named:
        named["p"] = named.pop("ord")
    if named.get("p") == "fro":
        named["p"] = 2.0
    if entry == "nn.functional.relu6":
        named |= {"min_val": 0.0, "max_val": 6.0}
    if entry == "linalg.diagonal":
        named = {"dim1": -2, "dim2": -1} | named
    if entry == "msort":
        named["dim"] = 0
    if entry == "scatter" and not isinstance(named["src"], torch.Tensor):
        named["value"] = named.pop("src")
    return {k: v for k, v in named.items() if v is not None}


def refused(entry, named):
    """Why wengert does not offer that call, or None; `named` is as PyTorch has it."""
    tensors = {k: v for k, v in named.items() if isinstance(v, torch.Tensor)}
    types = {t.dtype for t in tensors.values()}
    if types - {torch.float32, torch.float64, torch.int64, torch.bool}:
        return "a type that is none here"
    if len({t for t in types if t.is_floating_point}) > 1:
        return "two float types"
    if entry == "index_put" and any(t.dtype == torch.bool for t in named["indices"]):
        return "a mask among the indices: `masked_fill` and `where_` are for masks"
    if entry == "narrow" and "start" in tensors:
        return "a start that is a tensor"
    correction = named.get("correction") or 0
    if MAPPED[entry].op in ("var", "std", "var_mean", "std_mean") and (correction % 1 or correction < 0):
        return "a correction that is negative or no integer"
    if entry == "nn.functional.batch_norm" and named["input"].dim() < 2:
        return "no channels"
    if named.get("padding") == "same":
        return "padding by the word `same`"
    if entry == "nn.functional.scaled_dot_product_attention" and (named.get("dropout_p") or named.get("enable_gqa") or mask_of(named)):
        return "random numbers, shared heads or a mask of truth values"
    if named.get("full"):
        return "`full`"
    if entry in ("addbmm", "baddbmm") and named.get("beta") == 0:
        return "`beta=0`, which ignores NaN"
    if entry == "logit" and (named.get("eps") or 0) > 0.5:
        return "bounds that cross"
    if entry == "take" and (named["index"] < 0).any():
        return "negative indices"
    if not named.get("sorted", True):
        return "`sorted=False`"
    if entry == "nn.functional.dropout" and named.get("training", True) and named.get("p", 0.5) not in (0.0, 1.0):
        return "random numbers"
    if entry == "full_like" and isinstance(named["fill_value"], bool):
        return "a truth value"
    if entry.startswith("linalg.norm") and is_matrix_norm(named):
        return "a norm of matrices: `norm` is that of vectors"
    return None


def mask_of(named):
    mask = named.get("attn_mask")
    return mask is not None and mask.dtype == torch.bool


def is_matrix_norm(named):
    """Whether `torch.linalg.norm` is one of matrices other than Frobenius'."""
    dim = named.get("dim")
    rank = named["input"].dim() if dim is None else len(dim) if isinstance(dim, (tuple, list)) else 1
    return rank == 2 and named.get("ord") not in (None, "fro")
