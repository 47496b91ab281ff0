//! 10,000 training steps in flat memory: a binary of its own, because it watches the whole process.

#[allow(dead_code, reason = "the example's `main`")]
#[path = "../examples/flat_memory.rs"]
mod flat_memory;

use flat_memory::Progress;

#[test]
fn ten_thousand_steps_neither_reserve_nor_touch_more_memory() {
    let mut seen: Vec<Progress> = Vec::with_capacity(10);
    flat_memory::run(10_000, |progress| seen.push(progress));
    assert_eq!(seen.len(), 10);
    let (first, last) = (seen[0], seen[9]);
    assert!(last.loss < first.loss && last.loss < 0.01, "it learns: {seen:?}");
    assert!(seen.iter().all(|progress| progress.reserved == first.reserved), "{seen:?}");
    if let (Some(first), Some(last)) = (first.resident, last.resident) {
        // The test harness has a few pages of its own.
        assert!(last <= first + (256 << 10), "{seen:?}");
    }
}
