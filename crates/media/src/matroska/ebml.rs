//! EBML elements (RFC 8794): an ID, the size of the data, the data.

/// An element whose data is given in pieces.
pub(super) fn element(out: &mut Vec<u8>, id: u32, data: &[&[u8]]) {
    put_id(out, id);
    put_size(out, data.iter().map(|piece| piece.len()).sum());
    for piece in data {
        out.extend_from_slice(piece);
    }
}

/// An element of elements.
pub(super) fn master(out: &mut Vec<u8>, id: u32, children: impl FnOnce(&mut Vec<u8>)) {
    let mut data = Vec::new();
    children(&mut data);
    element(out, id, &[&data]);
}

/// The beginning of a master element that lasts to the end of the file (§6.2): all data bits of the size are 1.
pub(super) fn unknown_size(out: &mut Vec<u8>, id: u32) {
    put_id(out, id);
    out.extend_from_slice(&[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
}

pub(super) fn uint(out: &mut Vec<u8>, id: u32, value: u64) {
    let bytes = value.to_be_bytes();
    let skipped = (value.leading_zeros() / 8).min(7) as usize;
    element(out, id, &[&bytes[skipped..]]);
}

pub(super) fn float(out: &mut Vec<u8>, id: u32, value: f64) {
    element(out, id, &[&value.to_be_bytes()]);
}

pub(super) fn string(out: &mut Vec<u8>, id: u32, value: &str) {
    element(out, id, &[value.as_bytes()]);
}

fn put_id(out: &mut Vec<u8>, id: u32) {
    let skipped = (id.leading_zeros() / 8).min(3) as usize;
    out.extend_from_slice(&id.to_be_bytes()[skipped..]);
}

/// A variable-size integer (§4) of as few bytes as hold it: n bytes carry 7n bits, and all ones is reserved.
fn put_size(out: &mut Vec<u8>, size: usize) {
    let size = size as u64;
    let length = (1..=8).find(|length| size < (1 << (7 * length)) - 1).unwrap_or(8);
    let marked = size | 1 << (7 * length);
    out.extend_from_slice(&marked.to_be_bytes()[8 - length..]);
}
