//! Arbitrary bytes into the parsers of the first line.

use proptest::prelude::*;

use crate::dtls::{
    hello,
    reassembly::Reassembly,
    record::{self, Content},
};

/// A handshake message in fragments at the given cuts, each as a record body.
fn fragments(sequence: u16, body: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut edges: Vec<usize> = cuts
        .iter()
        .map(|cut| cut % (body.len() + 1))
        .chain([0, body.len()])
        .collect();
    edges.sort_unstable();
    edges
        .windows(2)
        .map(|edge| fragment(sequence, body.len(), edge[0], &body[edge[0]..edge[1]]))
        .collect()
}

fn fragment(sequence: u16, length: usize, offset: usize, data: &[u8]) -> Vec<u8> {
    let three = |number: usize| u32::try_from(number).expect("small").to_be_bytes()[1..].to_vec();
    [
        &[11][..],
        &three(length),
        &sequence.to_be_bytes(),
        &three(offset),
        &three(data.len()),
        data,
    ]
    .concat()
}

proptest! {
    #[test]
    fn records_never_panic_and_never_overlap(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
        let total: usize = record::records(&datagram).map(|record| record.bytes.len()).sum();
        prop_assert!(total <= datagram.len());
    }

    #[test]
    fn written_records_are_read_back(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..5)) {
        let mut datagram = Vec::new();
        for body in &bodies {
            record::write(Content::Handshake, 7, &[body], &mut datagram);
        }
        let mut next = 40;
        record::renumber(&mut datagram, &mut next);
        prop_assert_eq!(next, 40 + bodies.len() as u64);
        let read: Vec<_> = record::records(&datagram).map(|record| record.body().to_vec()).collect();
        prop_assert_eq!(read, bodies);
    }

    #[test]
    fn reassembly_never_panics(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..20)) {
        let mut reassembly = Reassembly::default();
        for record in records {
            reassembly.push(&record);
            while reassembly.pop().is_some() {}
        }
    }

    #[test]
    fn any_order_and_repetition_of_fragments_gives_the_messages_in_order(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6),
        cuts in prop::collection::vec(any::<usize>(), 0..10),
        order in any::<u64>(),
    ) {
        let mut pieces: Vec<_> = bodies.iter().enumerate()
            .flat_map(|(sequence, body)| fragments(sequence as u16, body, &cuts))
            .collect();
        pieces.extend(pieces.clone());
        let mut chance = super::wire::Chance(order);
        for index in (1..pieces.len()).rev() {
            pieces.swap(index, chance.below(index + 1));
        }
        let mut reassembly = Reassembly::default();
        let mut whole = Vec::new();
        for piece in &pieces {
            reassembly.push(piece);
            whole.extend(std::iter::from_fn(|| reassembly.pop()).map(|message| message.body));
        }
        prop_assert_eq!(whole, bodies);
    }

    #[test]
    fn a_client_hello_of_any_bytes_never_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        hello::choose_profile(&body);
    }
}

#[test]
fn what_was_handed_out_before_counts_as_repeated() {
    let mut reassembly = Reassembly::default();
    let message = fragment(0, 3, 0, &[1, 2, 3]);
    assert!(!reassembly.push(&message));
    assert!(reassembly.pop().is_some());
    assert!(reassembly.push(&message));
    assert!(reassembly.pop().is_none());
}

#[test]
fn a_message_too_long_or_too_far_ahead_is_ignored() {
    let mut reassembly = Reassembly::default();
    reassembly.push(&fragment(0, 17 * 1024, 0, &[0; 100]));
    reassembly.push(&fragment(8, 1, 0, &[1]));
    reassembly.push(&fragment(0, 1, 0, &[9]));
    assert_eq!(reassembly.pop().map(|message| message.body), Some(vec![9]));
    for sequence in 1..8 {
        reassembly.push(&fragment(sequence, 1, 0, &[0]));
    }
    assert_eq!(std::iter::from_fn(|| reassembly.pop()).count(), 7);
    assert!(reassembly.pop().is_none());
}
