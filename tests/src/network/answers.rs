//! The HTTP relay: passes requests and responses on as they are, but for the port of the candidates in a response.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use crate::http;

/// Starts the relay for the gateway at `origin` and returns its address. Candidates with the first address of `port`
/// get the second.
pub(super) fn relay(origin: &str, port: (SocketAddr, SocketAddr)) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port can be bound");
    let address = listener.local_addr().expect("a bound listener has an address");
    let gateway = http::split(origin).0.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let gateway = gateway.clone();
            // Either side may close at any time, which ends the connection on the other side too.
            thread::spawn(move || serve(client, &gateway, port));
        }
    });
    address
}

fn serve(client: TcpStream, gateway: &str, (from, to): (SocketAddr, SocketAddr)) -> std::io::Result<()> {
    let mut requests = BufReader::new(client.try_clone()?);
    let mut client = client;
    while let Some(request) = Message::read(&mut requests)? {
        // A connection for each: the gateway closes one that idles while a client publishes.
        let mut gateway = TcpStream::connect(gateway)?;
        gateway.write_all(&request.bytes())?;
        let Some(mut answer) = Message::read(&mut BufReader::new(gateway))? else {
            break;
        };
        let (from, to) = (
            format!("{} {} typ", from.ip(), from.port()),
            format!("{} {} typ", to.ip(), to.port()),
        );
        answer.body = String::from_utf8_lossy(&answer.body).replace(&from, &to).into_bytes();
        client.write_all(&answer.bytes())?;
        if request.closes() || answer.closes() {
            break;
        }
    }
    Ok(())
}

/// A request or a response.
struct Message {
    /// The first line and the headers, but for Content-Length.
    head: Vec<String>,
    /// Whether there was a Content-Length, so whether a body may follow.
    has_body: bool,
    body: Vec<u8>,
}

impl Message {
    /// The next message, or `None` when the other side has closed.
    fn read(connection: &mut impl BufRead) -> std::io::Result<Option<Self>> {
        let (mut head, mut length) = (Vec::new(), None);
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse::<u64>().ok();
                }
                _ if line.trim_end().is_empty() => break,
                _ => head.push(line),
            }
        }
        let mut body = Vec::new();
        connection.take(length.unwrap_or(0)).read_to_end(&mut body)?;
        Ok(Some(Self {
            head,
            has_body: length.is_some(),
            body,
        }))
    }

    /// Whether the connection ends after this exchange.
    fn closes(&self) -> bool {
        self.head
            .iter()
            .any(|line| line.trim_end().eq_ignore_ascii_case("connection: close"))
    }

    fn bytes(&self) -> Vec<u8> {
        let length = if self.has_body {
            format!("content-length: {}\r\n", self.body.len())
        } else {
            String::new()
        };
        [self.head.concat().as_bytes(), length.as_bytes(), b"\r\n", &self.body].concat()
    }
}
