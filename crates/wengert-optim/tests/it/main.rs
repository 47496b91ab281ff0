//! Replays PyTorch's trajectories, saves and loads, counts allocations, and lists what is refused.

mod allocation;
mod misuse;
mod reference;
mod state;
