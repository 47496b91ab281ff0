//! Replays the corpora: every input that a fuzz target keeps runs as an ordinary test.

use std::fs;
use std::path::Path;

#[test]
fn corpora_are_replayed_without_a_finding() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, _) in wengert_fuzz::TARGETS {
        let mut inputs: Vec<_> =
            fs::read_dir(root.join(name)).expect("a corpus").map(|file| file.expect("a file").path()).collect();
        inputs.sort();
        assert!(inputs.len() >= 20, "{name}: {} inputs", inputs.len());
        let mut bytes = 0;
        for input in &inputs {
            let input = fs::read(input).expect("a readable file");
            bytes += input.len();
            wengert_fuzz::run(name, &input);
        }
        println!("covered: inputs that fuzzing kept for `{name}`: {} of {bytes} bytes", inputs.len());
    }
}
