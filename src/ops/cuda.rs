//! Opening a GPU with all our kernels.
//!
//! Invariant: the kernels of all ops are compiled as one program, in this order; a struct that a kernel takes is declared in
//! its source and in Rust with the same fields, which a test compares.

use dfdx::prelude::{Cuda, CudaError};

use crate::device::Precision;
use crate::device::cuda::{self, GpuError, Source, to_dfdx};

/// All sources.
pub static SOURCES: &[Source] = &[
    ("ops/kernel/prelude.cuh", include_str!("kernel/prelude.cuh")),
    ("ops/kernel/project.cu", include_str!("kernel/project.cu")),
    ("ops/kernel/correlate.cu", include_str!("kernel/correlate.cu")),
    ("ops/kernel/mma.cuh", include_str!("kernel/mma.cuh")),
    ("ops/kernel/tile.cuh", include_str!("kernel/tile.cuh")),
    ("ops/kernel/parts.cu", include_str!("kernel/parts.cu")),
    ("ops/kernel/columns.cu", include_str!("kernel/columns.cu")),
    ("ops/conv2d/blocked.cu", include_str!("conv2d/blocked.cu")),
    ("ops/kernel/ceiling.cu", include_str!("kernel/ceiling.cu")),
    ("ops/concat/concat.cu", include_str!("concat/concat.cu")),
    ("ops/add/add.cu", include_str!("add/add.cu")),
    ("ops/average_pool/average_pool.cu", include_str!("average_pool/average_pool.cu")),
    ("ops/group_norm/group_norm.cu", include_str!("group_norm/group_norm.cu")),
    ("ops/norm_relu_pool/norm_relu_pool.cu", include_str!("norm_relu_pool/norm_relu_pool.cu")),
    ("ops/gru/gru.cu", include_str!("gru/gru.cu")),
    ("ops/lrtf/lrtf.cu", include_str!("lrtf/lrtf.cu")),
    (
        "ops/product_of_experts/product_of_experts.cu",
        include_str!("product_of_experts/product_of_experts.cu"),
    ),
    ("ops/product_of_experts/soft/soft.cu", include_str!("product_of_experts/soft/soft.cu")),
    ("ops/optimizer/optimizer.cu", include_str!("optimizer/optimizer.cu")),
    ("ops/gather/gather.cu", include_str!("gather/gather.cu")),
    ("ops/activate/activate.cu", include_str!("activate/activate.cu")),
    ("ops/add_scaled/add_scaled.cu", include_str!("add_scaled/add_scaled.cu")),
    ("ops/drop/drop.cu", include_str!("drop/drop.cu")),
    ("ops/layer_norm/layer_norm.cu", include_str!("layer_norm/layer_norm.cu")),
    ("ops/mean_tokens/mean_tokens.cu", include_str!("mean_tokens/mean_tokens.cu")),
    ("ops/normalize/normalize.cu", include_str!("normalize/normalize.cu")),
    ("ops/rows/rows.cu", include_str!("rows/rows.cu")),
    ("ops/token_linear/token_linear.cu", include_str!("token_linear/token_linear.cu")),
    ("ops/attention/tile.cuh", include_str!("attention/tile.cuh")),
    ("ops/attention/attention.cu", include_str!("attention/attention.cu")),
    ("ops/attention/backward.cu", include_str!("attention/backward.cu")),
];

/// What decides the bits of convolutions with many channels, which are too large for a canary: it enters keys as it is written.
pub const UNSEEN_BY_CANARIES: [&str; 6] = [
    include_str!("kernel/mma.cuh"),
    include_str!("kernel/tile.cuh"),
    include_str!("kernel/tile.rs"),
    include_str!("kernel/parts.cu"),
    include_str!("conv2d/blocked.cu"),
    include_str!("conv2d/blocked.rs"),
];

/// Opens a GPU for the calling thread.
///
/// # Errors
/// Whatever is missing, with its remedy.
pub fn open(index: usize, precision: Precision) -> Result<Cuda, GpuError> {
    cuda::open(index, precision, SOURCES)
}

/// The result of a launch as dfdx's.
pub(crate) fn launched(result: Result<(), GpuError>) -> Result<(), CudaError> {
    result.map_err(|error| to_dfdx(&error))
}

#[cfg(test)]
mod tests {
    use super::SOURCES;
    use crate::device::cuda::{Arguments, names};
    use crate::ops::{
        activate, add, add_scaled, attention, average_pool, concat, conv2d, drop, gather, group_norm, gru,
        kernel, layer_norm, lrtf, mean_tokens, norm_relu_pool, normalize, optimizer, product_of_experts,
        rows, token_linear,
    };

    #[test]
    fn every_kernel_is_declared_once_and_no_float_is_added_atomically() {
        let mut found: Vec<&str> = names(SOURCES).collect();
        let count = found.len();
        assert!(count > 20, "{found:?}");
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), count);
        for (name, text) in SOURCES {
            for line in text.lines().filter(|line| line.contains("atomic")) {
                assert!(
                    line.trim_start().starts_with("//") || line.contains("atomicInc(ticket"),
                    "{name}: {line}: only the tickets of blocks may be counted atomically"
                );
            }
        }
    }

    /// Name, offset and size of each field of a struct in the sources.
    fn declared(name: &str) -> Vec<(String, usize, usize)> {
        let all: String = SOURCES.iter().map(|(_, text)| *text).collect();
        let begin = all.find(&format!("\nstruct {name} {{")).unwrap_or_else(|| panic!("no struct {name}"));
        let body = &all[begin..][..all[begin..].find("};").unwrap()];
        let body = body.split_once('{').unwrap().1;
        let lines: String = body.lines().map(|line| line.split("//").next().unwrap()).collect();
        let (mut fields, mut offset) = (Vec::new(), 0);
        for declaration in lines.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let (base, names) = match declaration.rsplit_once('*') {
                Some((_, names)) => (8, names.to_owned()),
                None => {
                    let (kind, names) = declaration.split_once(' ').unwrap();
                    let size = match kind {
                        "u32" | "int" | "float" => 4,
                        "double" => 8,
                        other => panic!("{name}: {other}"),
                    };
                    (size, names.to_owned())
                }
            };
            for field in names.split(',').map(str::trim) {
                let (field, count) = match field.split_once('[') {
                    Some((field, "MOST_EXPERTS]" | "KEY_WORDS]")) => (field, 8),
                    Some((_, other)) => panic!("{name}: [{other}"),
                    None => (field, 1),
                };
                offset = usize::next_multiple_of(offset, base);
                fields.push((field.to_owned(), offset, base * count));
                offset += base * count;
            }
        }
        fields
    }

    fn same<A: Arguments>() {
        let here: Vec<_> =
            A::LAYOUT.iter().map(|&(name, offset, size)| (name.to_owned(), offset, size)).collect();
        assert_eq!(declared(A::NAME), here, "{}", A::NAME);
    }

    #[test]
    fn kernels_and_host_agree_about_every_field() {
        same::<kernel::cuda::Project>();
        same::<kernel::cuda::Correlate>();
        same::<conv2d::blocked::PackWeights>();
        same::<conv2d::blocked::BlockedProject>();
        same::<conv2d::blocked::BlockedCorrelate>();
        same::<kernel::tile::AddParts>();
        same::<kernel::columns::Columns>();
        same::<kernel::ceiling::Ceiling>();
        same::<concat::cuda::Concat>();
        same::<concat::cuda::AddTo>();
        same::<norm_relu_pool::cuda::NormStatistics>();
        same::<norm_relu_pool::cuda::NormPool>();
        same::<norm_relu_pool::cuda::NormBackward>();
        same::<gru::cuda::GruForward>();
        same::<gru::cuda::GruBackward>();
        same::<gru::cuda::GruWeights>();
        same::<lrtf::cuda::Fuse>();
        same::<lrtf::cuda::FuseBackward>();
        same::<product_of_experts::cuda::Product>();
        same::<product_of_experts::cuda::ProductBackward>();
        same::<optimizer::cuda::Slot>();
        same::<optimizer::cuda::State>();
        same::<optimizer::cuda::UpdateAll>();
        same::<gather::cuda::Gather>();
        same::<add::cuda::AddMaps>();
        same::<average_pool::cuda::AveragePool>();
        same::<group_norm::cuda::GroupNorm>();
        same::<product_of_experts::cuda::HeadsProduct>();
        same::<product_of_experts::cuda::HeadsBackward>();
        same::<product_of_experts::soft::cuda::SoftForward>();
        same::<product_of_experts::soft::cuda::SoftBackward>();
        same::<activate::cuda::Activate>();
        same::<add_scaled::cuda::AddScaled>();
        same::<add_scaled::cuda::AddScaledBackward>();
        same::<attention::cuda::Attention>();
        same::<drop::cuda::DrawUnits>();
        same::<drop::cuda::DropUnits>();
        same::<layer_norm::cuda::LayerNorm>();
        same::<mean_tokens::cuda::MeanTokens>();
        same::<normalize::cuda::Normalize>();
        same::<rows::cuda::GatherRows>();
        same::<rows::cuda::AddRows>();
        same::<token_linear::cuda::TokenLinear>();
    }
}
