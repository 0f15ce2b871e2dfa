//! Random bytes: ids, ufrags, seeds.

/// `N` bytes of the operating system's randomness.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("aws-lc aborts the process rather than go without randomness");
    bytes
}
