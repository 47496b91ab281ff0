//! Replays PyTorch's trajectories, and counts allocations.

mod allocation;
mod reference;
