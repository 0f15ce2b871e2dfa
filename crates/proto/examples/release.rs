//! Keeps the contracts as they are now, as those of a release: `make contract VERSION=0.1.0`.

#![allow(clippy::print_stdout, reason = "a command of the project")]

use std::{error::Error, fs::File, io::Write as _, path::Path};

use protox::Compiler;

fn main() -> Result<(), Box<dyn Error>> {
    let version = std::env::args()
        .nth(1)
        .ok_or("which version? make contract VERSION=0.1.0")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut compiler = Compiler::new([&root])?;
    compiler.include_source_info(false).open_files([
        "whipcord/worker/v1/worker.proto",
        "whipcord/directory/v1/directory.proto",
        "whipcord/controller/v1/controller.proto",
    ])?;
    let path = root.join("released").join(format!("{version}.binpb"));
    // What was released stays as it is.
    let mut file = File::create_new(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    file.write_all(&compiler.encode_file_descriptor_set())?;
    println!("{}", path.display());
    Ok(())
}
