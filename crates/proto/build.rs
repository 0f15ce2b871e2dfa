//! Compiles `proto/` without `protoc`: protox is a compiler in Rust.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const ROOT: &str = "../../proto";
    let files = protox::compile(
        [
            "whipcord/worker/v1/worker.proto",
            "whipcord/directory/v1/directory.proto",
            "whipcord/controller/v1/controller.proto",
        ],
        [ROOT],
    )?;
    tonic_prost_build::configure().compile_fds(files)?;
    println!("cargo:rerun-if-changed={ROOT}/whipcord");
    Ok(())
}
