//! `Hello.sessions_digest`: one value for all sessions of a worker, so that they need not be named to those who know them.

use aws_lc_rs::digest::{Context, SHA256};
use whipcord_identity::{Epoch, SessionId, StreamName};

/// Of sessions in the order of their ids.
pub fn sessions<'a>(sessions: impl Iterator<Item = (SessionId, Epoch, &'a StreamName)>) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for (sid, epoch, stream) in sessions {
        context.update(sid.as_bytes());
        context.update(&epoch.0.to_be_bytes());
        // A name has at most 255 bytes; its length parts it from the next id.
        context.update(&(stream.as_str().len() as u16).to_be_bytes());
        context.update(stream.as_str().as_bytes());
    }
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Listed = (u8, u32, &'static str);

    fn of(listed: &[Listed]) -> Vec<u8> {
        let named: Vec<_> = listed
            .iter()
            .map(|(n, epoch, stream)| (SessionId::new([*n; 16]), Epoch(*epoch), stream.parse().unwrap()))
            .collect();
        sessions(named.iter().map(|(sid, epoch, stream)| (*sid, *epoch, stream)))
    }

    #[test]
    fn it_tells_apart_whatever_differs() {
        let lists: [&[Listed]; 6] = [
            &[],
            &[(1, 1, "cam")],
            &[(2, 1, "cam")],
            &[(1, 2, "cam")],
            &[(1, 1, "cam2")],
            &[(1, 1, "cam"), (2, 1, "cam")],
        ];
        for (n, list) in lists.iter().enumerate() {
            for (m, other) in lists.iter().enumerate() {
                assert_eq!(of(list) == of(other), n == m, "{list:?} {other:?}");
            }
        }
    }

    /// Worker and gateway may be of different versions.
    #[test]
    fn it_stays_as_it_is() {
        let hex: String = of(&[(1, 1, "cam"), (2, 7, "live/cam")])
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "422e87dd7a7accbcec2887aa0202c2988cb0856fa0f89eee6e935a3e5251e493");
    }
}
