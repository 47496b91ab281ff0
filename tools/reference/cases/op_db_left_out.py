"""The entries of PyTorch's operator database that are no operation of wengert, by reason."""

REASONS = {
    "not offered: written as a few lines of what is": """
        positive diff expand_copy broadcast_tensors nn.functional.multilabel_soft_margin_loss
        nn.functional.triplet_margin_with_distance_loss rot90 tensor_split hsplit vsplit dsplit atleast_1d atleast_2d
        atleast_3d column_stack index_fill index_copy dstack trapz trapezoid tensordot nn.functional.cosine_embedding_loss
        nn.functional.gaussian_nll_loss nn.functional.pdist nn.functional.channel_shuffle diagflat diag_embed linalg.cross
        cross linalg.vander linalg.matrix_power linalg.matrix_norm norm[nuc] block_diag cartesian_prod combinations
        meshgrid[variadic_tensors] meshgrid[list_of_tensors] corrcoef cov cdist repeat_interleave unfold
        nn.functional.group_norm nn.functional.instance_norm nn.functional.local_response_norm nn.functional.bilinear
        nn.functional.multi_head_attention_forward nn.functional.avg_pool1d nn.functional.max_pool1d cumulative_trapezoid
        nan_to_num heaviside isclose allclose equal isinf isposinf isneginf signbit select_scatter slice_scatter
        diagonal_scatter nn.functional.adaptive_avg_pool1d nn.functional.adaptive_avg_pool2d""",
    "not offered: the operations of networks beyond those of wengert": """
        nn.functional.adaptive_avg_pool3d nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool2d
        nn.functional.adaptive_max_pool3d nn.functional.avg_pool3d nn.functional.conv_transpose1d
        nn.functional.conv_transpose2d nn.functional.conv_transpose3d nn.functional.conv3d nn.functional.unfold
        nn.functional.interpolate[nearest] nn.functional.interpolate[nearest-exact] nn.functional.interpolate[linear]
        nn.functional.interpolate[bilinear] nn.functional.interpolate[bicubic] nn.functional.interpolate[trilinear]
        nn.functional.interpolate[area] nn.functional.upsample_bilinear nn.functional.upsample_nearest
        _upsample_bilinear2d_aa nn.functional.multi_margin_loss nn.functional.multilabel_margin_loss
        nn.functional.max_pool3d nn.functional.max_unpool1d nn.functional.max_unpool1d[grad] nn.functional.max_unpool2d
        nn.functional.max_unpool2d[grad] nn.functional.max_unpool3d nn.functional.max_unpool3d[grad]
        nn.functional.embedding_bag nn.functional.grid_sample grid_sampler_2d grid_sampler_3d nn.functional.ctc_loss
        nn.functional.linear_cross_entropy nn.functional.linear_cross_entropy[chunked]
        nn.functional.linear_cross_entropy[chunked_none]""",
    "not offered: other ways of choosing and writing elements": """
        __getitem__ cummax cummin kthvalue median nanmedian mode quantile nanquantile masked_scatter index_reduce[mean]
        index_reduce[prod] index_reduce[amin] index_reduce[amax] put renorm scatter_reduce[sum] scatter_reduce[prod]
        scatter_reduce[mean] scatter_reduce[amin] scatter_reduce[amax] logcumsumexp unique unique_consecutive nonzero
        nonzero_static argwhere isin histogram histogramdd histc bincount bucketize searchsorted gradient as_strided
        as_strided[partial_views] as_strided_copy as_strided_scatter unravel_index triu_indices tril_indices frexp
        nextafter round[decimals_0] round[decimals_3] round[decimals_neg_3]""",
    "not offered: decompositions and functions of matrices": """
        cholesky_inverse cholesky_solve geqrf lu_unpack lu lu_solve matrix_exp ormqr triangular_solve svd svd_lowrank
        pca_lowrank pinverse logdet linalg.det linalg.matrix_sqrth linalg.cholesky linalg.cholesky_ex linalg.cond
        linalg.eig linalg.eigvals linalg.eigh linalg.eigvalsh linalg.householder_product linalg.ldl_factor
        linalg.ldl_factor_ex linalg.ldl_solve linalg.lstsq linalg.lstsq[grad_oriented] linalg.qr linalg.polar
        linalg.slogdet linalg.lu_factor linalg.lu_factor_ex linalg.lu linalg.lu_solve linalg.inv linalg.inv_ex
        linalg.solve linalg.solve_ex linalg.solve_triangular linalg.matrix_rank linalg.matrix_rank[hermitian] linalg.pinv
        linalg.pinv[singular] linalg.pinv[hermitian] linalg.svd linalg.svdvals linalg.tensorinv linalg.tensorsolve""",
    "not offered: special functions, Fourier transforms, windows": """
        i0 igamma igammac mvlgamma[mvlgamma_p_1] mvlgamma[mvlgamma_p_3] mvlgamma[mvlgamma_p_5] polygamma[polygamma_n_0]
        polygamma[polygamma_n_1] polygamma[polygamma_n_2] polygamma[polygamma_n_3] polygamma[polygamma_n_4] digamma erfinv
        lgamma stft istft fft.fft fft.fft2 fft.fftn fft.hfft fft.hfft2 fft.hfftn fft.rfft fft.rfft2 fft.rfftn fft.ifft
        fft.ifft2 fft.ifftn fft.ihfft fft.ihfft2 fft.ihfftn fft.irfft fft.irfft2 fft.irfftn fft.fftshift fft.ifftshift
        signal.windows.hamming signal.windows.hann signal.windows.bartlett signal.windows.blackman signal.windows.cosine
        signal.windows.exponential signal.windows.gaussian signal.windows.kaiser signal.windows.general_cosine
        signal.windows.general_hamming signal.windows.nuttall special.i0e special.i1 special.i1e
        special.polygamma[special_polygamma_n_0] special.zeta special.ndtri special.log_ndtr special.erfcx special.airy_ai
        special.bessel_j0 special.bessel_j1 special.bessel_y0 special.bessel_y1 special.chebyshev_polynomial_t
        special.chebyshev_polynomial_u special.chebyshev_polynomial_v special.chebyshev_polynomial_w
        special.hermite_polynomial_h special.hermite_polynomial_he special.laguerre_polynomial_l
        special.legendre_polynomial_p special.modified_bessel_i0 special.modified_bessel_i1 special.modified_bessel_k0
        special.modified_bessel_k1 special.scaled_modified_bessel_k0 special.scaled_modified_bessel_k1
        special.shifted_chebyshev_polynomial_t special.shifted_chebyshev_polynomial_u
        special.shifted_chebyshev_polynomial_v special.shifted_chebyshev_polynomial_w special.spherical_bessel_j0""",
    "not offered: sparse, masked and segmented tensors": """
        sparse.sampled_addmm sparse.mm[reduce] to_sparse _segment_reduce[lengths] _segment_reduce[offsets] masked.sum
        masked.prod masked.cumsum masked.cumprod masked.amax masked.amin masked.argmax masked.argmin masked.mean
        masked.median masked.norm masked.var masked.std masked.softmax masked.log_softmax masked.softmin masked.normalize
        masked.logaddexp masked.logsumexp""",
    "complex numbers: wengert has none": """
        conj conj_physical resolve_conj resolve_neg view_as_real view_as_complex complex polar real imag angle isreal
        cdouble cfloat chalf nn.functional.silu[complex]""",
    "arithmetic of integers: tensors of integers are indices here": """
        bitwise_not bitwise_left_shift bitwise_right_shift bitwise_and bitwise_or bitwise_xor lcm gcd __rand__ __ror__
        __rxor__""",
    "another type: `cast`, `to_float` and `to_index`, tested in `ops/movement/cast.rs`, have one output type each": """
        float_power to bfloat16 bool byte char double float half int long short softmax[with_dtype]
        log_softmax[with_dtype] nn.functional.softmin[with_dtype]""",
    "random numbers: another generator": """
        cauchy exponential geometric log_normal normal[in_place] uniform nn.functional.fractional_max_pool2d
        nn.functional.fractional_max_pool3d nn.functional.rrelu randn randn_like rand_like randint randint_like
        multinomial normal normal[number_mean] bernoulli nn.functional.dropout2d nn.functional.dropout3d
        nn.functional.alpha_dropout nn.functional.feature_alpha_dropout[with_train]
        nn.functional.feature_alpha_dropout[without_train]""",
    "makes a tensor from nothing, so has no derivative: the documentation of `tensor/create.rs` tests those that are offered": """
        arange linspace linspace[tensor_overload] logspace logspace[tensor_overload] empty_like new_zeros new_ones ones
        zeros full new_empty new_empty_strided empty_strided empty eye empty_permuted scalar_tensor new_full""",
    "writes in place or answers with no tensor": """
        item broadcast_shapes fill resize_ resize_as_ zero_ hash_tensor""",
    "twin of an entry that is mapped, for PyTorch's own machinery": """
        unsafe_chunk diagonal_copy alias_copy narrow_copy view_copy permute_copy unsafe_split split_with_sizes_copy
        unbind_copy unfold_copy squeeze_copy unsqueeze_copy transpose_copy t_copy _chunk_cat _softmax_backward_data
        native_group_norm native_layer_norm native_batch_norm _native_batch_norm_legit _batch_norm_with_update
        nn.functional.batch_norm[without_cudnn] max_pool2d_with_indices_backward torch._scaled_mm_v2 torch._scaled_mm
        torch.ops.aten._safe_softmax.default torch.ops.aten._flash_attention_forward
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu torch.ops.aten._efficient_attention_forward
        native_dropout_backward _unsafe_masked_index _unsafe_masked_index_put_accumulate jiterator_unary jiterator_binary
        jiterator_4inputs_with_extra_args jiterator_binary_return_by_ref jiterator_2inputs_2outputs bmm[triton_optimized]""",
}
LEFT_OUT = {entry: reason for reason, entries in REASONS.items() for entry in entries.split()}
