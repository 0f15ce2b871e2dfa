//! Lists parted so that each request keeps within [`REPORT_BYTES_MAX`].

use prost::{Message as _, length_delimiter_len};

use crate::{directory::SessionEntry, limits::REPORT_BYTES_MAX};

/// What a request has besides: its sequence (1 + 10 bytes), the report's tag and length (1 + 4) and a flag (2).
const ENVELOPE_BYTES: usize = 18;

/// For snapshots, and for what deltas add.
pub fn entries(entries: Vec<SessionEntry>) -> Vec<Vec<SessionEntry>> {
    part(entries, SessionEntry::encoded_len)
}

/// For what deltas remove.
pub fn ids(ids: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    part(ids, Vec::len)
}

/// Each item is written with a tag of one byte and its length.
fn part<T>(items: Vec<T>, len: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut chunks = Vec::new();
    let mut left = 0;
    for item in items {
        let len = len(&item);
        let cost = 1 + length_delimiter_len(len) + len;
        if cost > left {
            chunks.push(Vec::new());
            left = REPORT_BYTES_MAX - ENVELOPE_BYTES;
        }
        left = left.saturating_sub(cost);
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(item);
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Delta, ReportRequest, Snapshot, report_request::Report};

    fn entry(n: u32, stream: usize) -> SessionEntry {
        SessionEntry {
            session_id: n.to_be_bytes().repeat(4),
            stream: "s".repeat(stream),
            epoch: u32::MAX,
            heard: true,
        }
    }

    fn encoded(report: Report) -> usize {
        let request = ReportRequest {
            sequence: u64::MAX,
            report: Some(report),
        };
        request.encoded_len()
    }

    #[test]
    fn requests_are_full_and_none_is_over_the_limit() {
        for stream in [1, 100, 255] {
            let all: Vec<SessionEntry> = (0..100_000).map(|n| entry(n, stream)).collect();
            let chunks = entries(all.clone());
            let sizes: Vec<usize> = chunks
                .iter()
                .map(|chunk| {
                    encoded(Report::Snapshot(Snapshot {
                        sessions: chunk.clone(),
                        last: true,
                    }))
                })
                .collect();
            assert!(
                sizes.len() > 2 && sizes.iter().all(|size| *size <= REPORT_BYTES_MAX),
                "{sizes:?}"
            );
            let (_, full) = sizes.split_last().unwrap();
            assert!(full.iter().all(|size| *size > REPORT_BYTES_MAX - 400), "{sizes:?}");
            assert_eq!(chunks.concat(), all);
        }
    }

    #[test]
    fn ids_are_parted_as_well() {
        let all: Vec<Vec<u8>> = (0..100_000_u32).map(|n| n.to_be_bytes().repeat(4)).collect();
        let chunks = ids(all.clone());
        assert_eq!(chunks.len(), 2);
        for chunk in &chunks {
            let delta = Delta {
                added: Vec::new(),
                removed: chunk.clone(),
            };
            assert!(encoded(Report::Delta(delta)) <= REPORT_BYTES_MAX);
        }
        assert_eq!(chunks.concat(), all);
        assert!(ids(Vec::new()).is_empty());
    }
}
