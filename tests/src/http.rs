//! As much of an HTTP/1.1 client as the tests need: one request per connection, nothing hidden, nothing repaired.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// No answer of Whipcord takes longer.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The status line and the headers, as they came.
    pub head: String,
    pub body: String,
}

impl Response {
    /// A header's value, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields
            .into_iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// Sends one request and reads its response.
///
/// # Panics
/// When there is no well-formed response.
#[track_caller]
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Response {
    attempt(method, url, headers, body).unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// The same, of a server that may be away or overloaded.
///
/// # Errors
/// When there is no well-formed response.
pub fn attempt(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Response> {
    let mut connection = send(method, url, headers, body)?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let malformed = || io::Error::other(format!("answered {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Response {
        status: status.ok_or_else(malformed)?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// Sends one request, and leaves its response to be read.
///
/// # Errors
/// When it cannot be sent.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> io::Result<TcpStream> {
    let (host, path) = split(url);
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let mut connection = TcpStream::connect(host)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.write_all(text.as_bytes())?;
    Ok(connection)
}

/// The host with its port, and the path, of an `http:` URL.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("{url} is no http: URL"));
    rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash))
}
