//! What is said once, when all is ready: where to publish, and with what.

use std::{
    fmt,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

/// With `--json`, this is the line. Its fields are a contract with scripts.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Announcement {
    Standalone(Standalone),
    Gateway {
        whip_url: String,
        grpc: SocketAddr,
        admin_url: String,
    },
    Worker {
        media: Vec<SocketAddr>,
        recordings: Option<PathBuf>,
        grpc: SocketAddr,
        admin_url: String,
    },
    Controller {
        admin_url: String,
    },
}

#[derive(Debug, serde::Serialize)]
pub(crate) struct Standalone {
    pub(crate) whip_url: String,
    /// `None` if the operator's keys cannot sign tokens.
    pub(crate) token: Option<String>,
    pub(crate) media: Vec<SocketAddr>,
    pub(crate) recordings: Option<PathBuf>,
    pub(crate) admin_url: String,
}

/// For trying things out on one machine: a token that outlives a day of it would be forgotten about.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A stream to start with; any name will do.
const STREAM: &str = "live";

/// Where encoders publish. An unspecified address is none that an encoder could ask, so the first media address lends its host.
pub(crate) fn whip_url(public_url: Option<&str>, is_tls: bool, http: SocketAddr, media: &[SocketAddr]) -> String {
    if let Some(public_url) = public_url {
        return format!("{public_url}/whip/{STREAM}");
    }
    let host = if http.ip().is_unspecified() {
        media.first().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), SocketAddr::ip)
    } else {
        http.ip()
    };
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{}/whip/{STREAM}", SocketAddr::new(host, http.port()))
}

/// As a script finds it from anywhere. A folder that cannot be made absolute would not have been made.
pub(crate) fn recordings(folder: Option<&Path>) -> Option<PathBuf> {
    folder.map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()))
}

impl Announcement {
    pub(crate) fn print(&self, json: bool) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if json {
            serde_json::to_writer(&mut stdout, self)?;
            writeln!(stdout)?;
        } else {
            write!(stdout, "{self}")?;
        }
        stdout.flush()
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standalone(standalone) => standalone.fmt(f),
            Self::Gateway {
                whip_url,
                grpc,
                admin_url,
            } => {
                writeln!(f, "\nThe gateway is ready.\n")?;
                writeln!(
                    f,
                    "  WHIP URL    {whip_url}    (any stream name in place of \"{STREAM}\")"
                )?;
                writeln!(f, "  Workers     {grpc} (gRPC)")?;
                writeln!(f, "  Operators   {admin_url}/readyz")
            }
            Self::Worker {
                media,
                recordings,
                grpc,
                admin_url,
            } => {
                let media: Vec<String> = media.iter().map(ToString::to_string).collect();
                let media = if media.is_empty() {
                    "where whipcord controller says".to_owned()
                } else {
                    media.join(", ")
                };
                writeln!(
                    f,
                    "\nThe worker runs, and reports to a gateway as soon as there is one.\n"
                )?;
                writeln!(f, "  Media       {media} (UDP)")?;
                if let Some(recordings) = recordings {
                    writeln!(f, "  Recordings  {}", recordings.display())?;
                }
                writeln!(f, "  Gateways    {grpc} (gRPC)")?;
                writeln!(f, "  Operators   {admin_url}/readyz")
            }
            Self::Controller { admin_url } => {
                writeln!(f, "\nThe controller runs, and acts when it leads.\n")?;
                writeln!(f, "  Operators   {admin_url}/readyz")
            }
        }
    }
}

impl fmt::Display for Standalone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.whip_url;
        let token = self.token.as_deref().unwrap_or("TOKEN");
        let whipcord = std::env::args().next().unwrap_or_else(|| "whipcord".to_owned());
        let media: Vec<String> = self.media.iter().map(ToString::to_string).collect();
        writeln!(f, "\nWhipcord is ready.\n")?;
        writeln!(f, "  WHIP URL    {url}    (any stream name in place of \"{STREAM}\")")?;
        match &self.token {
            Some(token) => {
                writeln!(f, "  Token       {token}")?;
                writeln!(
                    f,
                    "              (for all streams, for {} hours)",
                    TOKEN_LIFETIME.as_secs() / 3600
                )?;
            }
            None => writeln!(f, "  Token       by your own keys; put it in place of TOKEN below")?,
        }
        writeln!(f, "  Media       {} (UDP)", media.join(", "))?;
        if let Some(recordings) = &self.recordings {
            writeln!(f, "  Recordings  {}", recordings.display())?;
        }
        let page = url.strip_suffix(&format!("whip/{STREAM}")).unwrap_or(url);
        writeln!(f, "  Page        {page}    (publishes from a browser)")?;
        writeln!(f, "  Operators   {}/readyz", self.admin_url)?;
        write!(
            f,
            "
A test picture, from this program:
  {whipcord} publish {url} test --token {token}

OBS Studio 30 or newer:
  Settings > Stream: Service WHIP, Server {url}, Bearer Token as above
  Settings > Output > Streaming: Keyframe Interval 1 or 2 s, no B-frames

FFmpeg 8 or newer:
  ffmpeg -re -i in.mp4 -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -bf 0 -g 60 \\
    -c:a libopus -ar 48000 -ac 2 -f whip -authorization {token} {url}

GStreamer with gst-plugins-rs (not run here: Debian has no package of these plugins):
  gst-launch-1.0 whipclientsink name=whip signaller::whip-endpoint={url} signaller::auth-token={token} \\
    videotestsrc is-live=true ! videoconvert ! x264enc tune=zerolatency bframes=0 key-int-max=60 ! h264parse ! whip. \\
    audiotestsrc is-live=true ! audioconvert ! audioresample ! opusenc ! whip.

"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_names_a_host_that_an_encoder_can_ask() {
        let media = ["192.0.2.7:8189".parse().unwrap()];
        let cases = [
            (None, "127.0.0.1:8080", "http://127.0.0.1:8080/whip/live"),
            (None, "[::1]:8080", "http://[::1]:8080/whip/live"),
            (None, "0.0.0.0:8080", "http://192.0.2.7:8080/whip/live"),
            (None, "[::]:8080", "http://192.0.2.7:8080/whip/live"),
            (
                Some("https://ingest.example.com"),
                "0.0.0.0:8080",
                "https://ingest.example.com/whip/live",
            ),
        ];
        for (public_url, http, expected) in cases {
            assert_eq!(whip_url(public_url, false, http.parse().unwrap(), &media), expected);
        }
    }

    #[test]
    fn it_says_where_to_publish_with_what_and_how() {
        let announcement = Standalone {
            whip_url: "http://192.0.2.7:8080/whip/live".to_owned(),
            token: Some("a.b.c".to_owned()),
            media: vec!["192.0.2.7:8189".parse().unwrap()],
            recordings: Some("recordings".into()),
            admin_url: "http://127.0.0.1:9090".to_owned(),
        };
        let text = announcement.to_string();
        for line in [
            "  WHIP URL    http://192.0.2.7:8080/whip/live    (any stream name in place of \"live\")",
            "  Token       a.b.c",
            "              (for all streams, for 24 hours)",
            "  Media       192.0.2.7:8189 (UDP)",
            "  Recordings  recordings",
            "  Page        http://192.0.2.7:8080/    (publishes from a browser)",
            "  Settings > Stream: Service WHIP, Server http://192.0.2.7:8080/whip/live, Bearer Token as above",
        ] {
            assert!(text.lines().any(|said| said == line), "{line}\n{text}");
        }
        assert!(
            text.contains(" publish http://192.0.2.7:8080/whip/live test --token a.b.c\n"),
            "{text}"
        );
        let without = Standalone {
            token: None,
            recordings: None,
            ..announcement
        };
        let text = without.to_string();
        assert!(
            text.contains("by your own keys") && !text.contains("Recordings"),
            "{text}"
        );
    }

    /// docs/clients.md is what was tried; a line copied from elsewhere is the same.
    #[test]
    fn the_lines_to_copy_are_the_same_everywhere() {
        let clients = one_line_each(include_str!("../../../docs/clients.md"));
        let readme = include_str!("../../../README.md");
        let page = include_str!("../../gateway/page/encoders.js");
        let announcement = Standalone {
            whip_url: "http://192.0.2.7:8080/whip/live".to_owned(),
            token: Some("a.b.c".to_owned()),
            media: Vec::new(),
            recordings: None,
            admin_url: String::new(),
        };
        let announced = one_line_each(&announcement.to_string());
        for (program, section) in [("ffmpeg ", "## FFmpeg"), ("gst-launch-1.0 ", "## GStreamer")] {
            let (_, section) = clients.split_once(section).unwrap();
            let line = section.lines().find(|line| line.starts_with(program)).unwrap();
            let with = |url: &str, token: &str| line.replace("URL", url).replace("TOKEN", token);
            let said = with("http://192.0.2.7:8080/whip/live", "a.b.c");
            assert!(announced.lines().any(|line| line == said), "{said}\n{announced}");
            assert!(
                page.contains(&format!("`{}`", with("${u}", "${t}"))),
                "the page: {line}"
            );
            assert!(readme.contains(&format!("`{line}`")), "the README: {line}");
        }
    }

    /// Without indentation, and lines that go on put together.
    fn one_line_each(text: &str) -> String {
        let text: Vec<&str> = text.lines().map(str::trim).collect();
        text.join("\n").replace(" \\\n", " ")
    }
}
