//! The tutorials print what PyTorch printed, to the character.

#[allow(dead_code, reason = "the example's `main`")]
#[path = "../../examples/autograd_basics.rs"]
mod autograd_basics;
#[allow(dead_code, reason = "the example's `main`")]
#[path = "../../examples/beginner_autograd.rs"]
mod beginner_autograd;
#[allow(dead_code, reason = "the example's `main`")]
#[path = "../../examples/gradient_calculation.rs"]
mod gradient_calculation;

fn check(run: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>, expected: &str) {
    let mut printed = Vec::new();
    run(&mut printed).expect("memory takes all writes");
    let printed = String::from_utf8(printed).expect("text");
    for (line, (printed, expected)) in printed.lines().zip(expected.lines()).enumerate() {
        assert_eq!(printed, expected, "line {}", line + 1);
    }
    assert_eq!(printed, expected);
}

#[test]
fn autograd_basics_prints_what_pytorch_printed() {
    check(autograd_basics::run, include_str!("../data/tutorials/autograd_basics.txt"));
}

#[test]
fn gradient_calculation_prints_what_pytorch_printed() {
    check(gradient_calculation::run, include_str!("../data/tutorials/gradient_calculation.txt"));
}

#[test]
fn beginner_autograd_prints_what_pytorch_printed() {
    check(beginner_autograd::run, include_str!("../data/tutorials/beginner_autograd.txt"));
}
