//! From a 16-bit sequence number to the index it most likely stands for.

/// The packet index nearest to `highest` that ends in `sequence` (RFC 3711 §3.3.1 and appendix A). Where the nearest would lie before
/// index 0, the roll-over counter stays 0.
///
/// The caller moves `highest` only when the packet authenticated, and then to the greater of both.
pub fn estimate(highest: u64, sequence: u16) -> u64 {
    const HALF: u16 = 1 << 15;
    let newest = highest as u16;
    let roll_over = highest >> 16;
    // At a distance of exactly 2^15 the counter stays, on either side.
    let roll_over = if newest < HALF && sequence.saturating_sub(newest) > HALF {
        roll_over.saturating_sub(1)
    } else if newest >= HALF && newest - HALF > sequence {
        roll_over + 1
    } else {
        roll_over
    };
    (roll_over << 16) | u64::from(sequence)
}

#[cfg(test)]
mod tests;
