//! Random bytes of the operating system's quality, for ids and nonces.

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works once the process has started");
    bytes
}
