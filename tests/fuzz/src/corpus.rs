//! The stored inputs of a target, run one after the other.

use std::{fs, path::Path};

/// Runs every input of `corpus/<target>`. One that panics is the last that was printed.
#[expect(clippy::print_stdout, reason = "shown where an input fails")]
pub fn replay(target: &str, run: impl Fn(&[u8])) {
    // From crates/<crate>.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    assert!(!inputs.is_empty(), "{}: no inputs", folder.display());
    inputs.sort();
    for input in inputs {
        println!("{}", input.display());
        run(&fs::read(&input).expect("a readable input"));
    }
}
