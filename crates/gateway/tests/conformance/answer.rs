//! What the gateway answers, read byte by byte.

use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The one header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut all = self.headers(name);
        assert!(all.len() < 2, "{name} comes {} times", all.len());
        all.pop()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let pairs = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        pairs
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    /// A well-formed problem with this status and reason.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, reason: &str) {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        let found = (self.status, problem["reason"].as_str().unwrap_or_default());
        assert_eq!(found, (status, reason), "{self:?}");
        assert_eq!(self.header("content-type").as_deref(), Some("application/problem+json"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        self.is_framed();
    }

    /// What every answer has. Never chunked; a length for every body, and for none where there cannot be one (RFC 9110 §8.6).
    #[track_caller]
    pub(crate) fn is_framed(&self) {
        assert_eq!(self.header("transfer-encoding"), None);
        let expected = (self.status != 204).then(|| self.body.len().to_string());
        assert_eq!(self.header("content-length"), expected);
        assert_eq!(self.header("access-control-allow-origin").as_deref(), Some("*"));
        assert_eq!(self.header("x-content-type-options").as_deref(), Some("nosniff"));
        assert!(
            self.header("access-control-expose-headers")
                .unwrap()
                .contains("Location, ETag, Link")
        );
    }
}

/// The length of the body, and what of it has come.
pub(crate) async fn read_head(stream: &mut TcpStream) -> (usize, Vec<u8>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "no head");
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    (length.unwrap().parse().unwrap(), bytes.split_off(end + 4))
}

pub(crate) async fn read_answer(stream: &mut (impl tokio::io::AsyncRead + Unpin), method: &str) -> Option<Answer> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = &bytes[..end];
            if !head.starts_with(b"HTTP/1.1 100") {
                break end;
            }
            bytes.drain(..end + 4);
            continue;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer {
        status,
        head,
        body: String::new(),
    };
    let length = match answer.header("content-length") {
        Some(length) if method != "HEAD" => length.parse().unwrap(),
        _ => 0,
    };
    while bytes.len() < head_end + 4 + length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    answer.body = String::from_utf8(bytes.split_off(head_end + 4)).unwrap();
    Some(answer)
}
