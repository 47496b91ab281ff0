//! The profile of a step names its operations, forward and backward.

use std::time::Duration;

use wengert::options::Conv2d;
use wengert::tape::{Limits, Phase, Profile, ProfileRow, defer_from, profile};
use wengert::{Tensor, checkpoint, scope};

fn calls(profile: &Profile, op: &str, phase: Phase) -> u64 {
    profile.rows.iter().find(|row| row.op == op && row.phase == phase).map_or(0, |row| row.calls)
}

#[test]
fn counts_what_a_step_does() {
    let w = Tensor::rand([16, 8]).requires_grad_(true);
    let x = Tensor::rand([4, 16]);
    let step = || scope(|| (x.matmul(w).tanh() + 1.0).sum().backward());
    let ((), profile) = profile(|| (0..3).for_each(|_| step()));
    for (op, forward, backward) in [("matmul", 3, 3), ("tanh", 3, 3), ("add", 3, 3), ("sum", 3, 3), ("mul", 0, 0)] {
        assert_eq!(calls(&profile, op, Phase::Forward), forward, "{op}");
        assert_eq!(calls(&profile, op, Phase::Backward), backward, "{op}");
    }
    let matmul = profile.rows.iter().filter(|row| row.op == "matmul");
    // The gradient of x is not needed, so both directions are one product.
    assert!(matmul.clone().all(|row| row.flops == 3 * 2 * 4 * 16 * 8), "{profile}");
    assert!(matmul.clone().all(|row| row.time > Duration::ZERO), "{profile}");
    assert_eq!(matmul.map(|row| row.bytes).max(), Some(3 * 4 * (4 * 8 + 4 * 16 + 2 * 16 * 8)));
    assert!(profile.rows.iter().map(|row| row.time).sum::<std::time::Duration>() <= profile.total);
    assert!(profile.rows.is_sorted_by(|a, b| a.time >= b.time));
    let text = profile.to_string();
    assert!(text.lines().count() == profile.rows.len() + 2 && text.contains("matmul"), "{text}");
    let mut trace = Vec::new();
    profile.write_chrome_trace(&mut trace).unwrap();
    let trace = String::from_utf8(trace).unwrap();
    // A derivative shows what it records.
    assert!(
        trace.starts_with("{\"traceEvents\":[\n{\"name\":\"matmul\",\"cat\":\"forward\",\"ph\":\"X\",\"ts\":"),
        "{trace}"
    );
    assert!(trace.contains("\"name\":\"expand\"") && trace.ends_with("}\n]}\n"), "{trace}");
}

#[test]
fn counts_what_is_computed_together_and_what_is_computed_again() {
    let before = defer_from(1);
    let x = Tensor::rand([1000]).requires_grad_(true);
    let (_, deferred) = profile(|| (x * x + 2.0).tanh().sum().backward());
    for op in ["mul", "add", "tanh"] {
        for phase in [Phase::Forward, Phase::Backward] {
            assert_eq!(calls(&deferred, op, phase), 1, "{op} {phase}: {deferred}");
        }
    }
    defer_from(before);
    let (_, again) = profile(|| checkpoint(|x: Tensor| x.exp(), x).sum().backward());
    let counted =
        [("exp", Phase::Forward), ("checkpoint", Phase::Backward)].map(|(op, phase)| calls(&again, op, phase));
    assert_eq!(counted, [1, 1], "{again}");
    let (_, numbers) = profile(|| (Tensor::scalar(2.0).requires_grad_(true) * 3.0).backward());
    assert_eq!(calls(&numbers, "numbers", Phase::Backward), 1, "{numbers}");
    assert!(numbers.rows.iter().all(|row| row.op != "numbers" || row.bytes == 0), "{numbers}");
    let image = Tensor::rand([2, 1, 5, 5]);
    let (_, conv) = profile(|| image.conv2d(Tensor::rand([3, 1, 2, 2]), Conv2d::default()));
    let flops: u64 = conv.rows.iter().map(|row| row.flops).sum();
    assert_eq!(flops, 2 * 2 * 3 * 16 * 4);
}

#[test]
fn a_share_is_the_least_time_of_what_limits_by_the_time_it_took() {
    let (_, mut profile) = profile(|| Tensor::ones([2]).exp().to_vec());
    profile.limits = Limits { bandwidth: 100.0, flops: 10.0 };
    let time = Duration::from_secs(4);
    profile.rows.truncate(1);
    (profile.rows[0].time, profile.total) = (time, time);
    assert!(profile.to_string().contains("  100.0 %  "), "{profile}");
    for (bytes, flops, share) in
        [(200, 0, 0.5), (0, 20, 0.5), (200, 10, 0.5), (100, 20, 0.5), (0, 0, 0.0), (800, 0, 2.0)]
    {
        let row = ProfileRow { bytes, flops, time, ..profile.rows[0].clone() };
        assert!((profile.share(&row) - share).abs() < 1e-12, "{bytes} bytes, {flops} operations");
    }
}

#[test]
fn ends_with_a_panic_and_is_not_begun_twice() {
    let failed = std::panic::catch_unwind(|| profile(|| profile(|| ())));
    assert!(failed.is_err());
    let (_, after) = profile(|| Tensor::ones([2]).exp().to_vec());
    assert_eq!(after.rows.len(), 1, "{after}");
    assert_eq!(
        profile(|| std::thread::spawn(|| Tensor::ones([2]).exp().to_vec().len()).join().unwrap()).1.rows.len(),
        0
    );
}
