//! NAL units behind their lengths, and parameter sets by their ids: what H.264 and H.265 have in common.

/// No parameter set is larger. With all scaling lists and VUI it has some 300 bytes; the sample entry has 16 bits for it.
pub const PARAMETER_SET_MAX: usize = 4096;

/// How many sets of a kind are remembered. Encoders use one or two of the 16 to 256 ids.
pub(super) const SETS_MAX: usize = 16;

/// The parameter sets of one kind, newest content per id.
#[derive(Debug, Default)]
pub(super) struct Sets(Vec<ParameterSet>);

#[derive(Debug)]
struct ParameterSet {
    id: u32,
    nal: Vec<u8>,
}

impl Sets {
    pub(super) fn learn(&mut self, id: u32, nal: &[u8]) {
        if let Some(set) = self.0.iter_mut().find(|set| set.id == id) {
            if set.nal != nal {
                set.nal = nal.to_vec();
            }
            return;
        }
        if self.0.len() == SETS_MAX {
            self.0.remove(0);
        }
        self.0.push(ParameterSet { id, nal: nal.to_vec() });
    }

    /// Itself, unless a frame `has` sets of the kind: then none are missing. No value where they are missing and unknown.
    pub(super) fn unless(&self, has: bool) -> Option<Missing<'_>> {
        match (has, self.0.is_empty()) {
            (true, _) => Some(Missing(&[])),
            (false, false) => Some(Missing(&self.0)),
            (false, true) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn ids(&self) -> Vec<u32> {
        self.0.iter().map(|set| set.id).collect()
    }
}

/// Sets that a frame lacks, until they are put into it.
pub(super) struct Missing<'a>(&'a [ParameterSet]);

impl Missing<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends them, once.
    pub(super) fn append_to(&mut self, data: &mut Vec<u8>) {
        for set in std::mem::take(&mut self.0) {
            append(&set.nal, data);
        }
    }
}

/// The NAL units of a frame in which each stands behind its length in 4 bytes.
pub(crate) fn nals(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (size, rest) = data.split_first_chunk::<4>()?;
        let (nal, rest) = rest.split_at_checked(u32::from_be_bytes(*size) as usize)?;
        data = rest;
        Some(nal)
    })
}

/// Puts a NAL unit behind its length.
pub(super) fn append(nal: &[u8], data: &mut Vec<u8>) {
    data.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    data.extend_from_slice(nal);
}

/// An unsigned Exp-Golomb value of less than 16 bits (§9.1) at the beginning of `bytes`.
pub(super) fn exp_golomb(bytes: &[u8]) -> Option<u32> {
    let mut word = [0; 4];
    let taken = bytes.len().min(4);
    word[..taken].copy_from_slice(&bytes[..taken]);
    let word = u32::from_be_bytes(word);
    let zeros = word.leading_zeros();
    (zeros < 16).then(|| (word >> (31 - 2 * zeros)) - 1)
}
