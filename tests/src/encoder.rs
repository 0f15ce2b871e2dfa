//! Real encoders, each started by a script in `tests/interop/clients`.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{eventually, pattern, root, whipcord::Whipcord};

/// A client that has not ended so long after what it was told to send hangs: Chromium's start on a loaded machine, a
/// DTLS handshake through heavy loss and a DELETE fit in.
const OVERTIME: Duration = Duration::from_secs(60);

/// One client with one setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoder {
    /// FFmpeg, DTLS server: its default.
    FfmpegPassive,
    /// FFmpeg, DTLS client.
    FfmpegActive,
    ChromiumH264,
    ChromiumVp8,
    ChromiumVp9,
    ChromiumAv1,
    /// Three VP8 layers, the largest of which stops at half time.
    ChromiumSimulcast,
    /// The same in H.264.
    ChromiumSimulcastH264,
    ChromiumSimulcastVp9,
    ChromiumSimulcastAv1,
    /// VP8, with an ICE restart after 3 s.
    ChromiumRestart,
    /// The same, with 400 ms until the restart's answer.
    ChromiumRestartSlow,
    /// VP8, and a data channel whose messages come back.
    ChromiumDataChannel,
    FirefoxVp8,
    /// The gateway's own page.
    FirefoxPage,
    AiortcH264,
    AiortcVp8,
    /// The FFmpeg of PyAV's wheel, with an EC certificate of P-224.
    PyavPassive,
    PyavActive,
    /// GStreamer's webrtcbin of Debian 12, with an RSA certificate.
    SimpleWhipClient,
    /// That of sid, with an EC certificate.
    SimpleWhipClientSid,
    GstreamerDebian12,
    GstreamerSid,
    /// npm's `whip-whep` in Chromium.
    WhipWhep,
    /// npm's `@eyevinn/whip-web-client` in Chromium.
    Eyevinn,
    /// libdatachannel on Mbed TLS, which has no SRTP profile with GCM: what OBS is made of on Windows and macOS.
    Libdatachannel,
    /// The same as DTLS server.
    LibdatachannelPassive,
    /// `examples/browser.html` in Chromium.
    ExampleBrowser,
    /// `examples/publish.py`.
    ExampleAiortc,
}

/// A client at work, with all processes that it started. They are killed when this is dropped.
#[derive(Debug)]
pub struct Publishing {
    encoder: Encoder,
    seconds: f64,
    child: Child,
    /// Holds what the client writes: it may be more than a pipe takes before anyone reads.
    output: TempDir,
}

/// What a client says that it sent.
#[derive(Debug, Clone, Deserialize)]
pub struct Sent {
    /// From connected to stopped.
    pub seconds: f64,
    /// Pictures encoded in that time. `None` for a client that does not say; it leaves none out.
    pub frames: Option<u32>,
    /// Chromium: the number of the last picture drawn.
    pub last: Option<u32>,
    /// Chromium, each 100 ms: milliseconds since connected, bytes of video sent, pictures encoded.
    #[serde(default)]
    pub samples: Vec<(f64, f64, u32)>,
    /// Of a data channel: messages that came back as they were sent.
    #[serde(default)]
    pub echoes: u32,
}

impl Encoder {
    /// The client's script and its first argument.
    pub(crate) fn script(self) -> (&'static str, &'static str) {
        match self {
            Self::FfmpegPassive => ("ffmpeg.sh", "passive"),
            Self::FfmpegActive => ("ffmpeg.sh", "active"),
            Self::ChromiumH264 => ("chromium.py", "h264"),
            Self::ChromiumVp8 => ("chromium.py", "vp8"),
            Self::ChromiumVp9 => ("chromium.py", "vp9"),
            Self::ChromiumAv1 => ("chromium.py", "av1"),
            Self::ChromiumSimulcast => ("chromium.py", "simulcast"),
            Self::ChromiumSimulcastH264 => ("chromium.py", "simulcast-h264"),
            Self::ChromiumSimulcastVp9 => ("chromium.py", "simulcast-vp9"),
            Self::ChromiumSimulcastAv1 => ("chromium.py", "simulcast-av1"),
            Self::ChromiumRestart => ("chromium.py", "restart"),
            Self::ChromiumRestartSlow => ("chromium.py", "restart-slow"),
            Self::ChromiumDataChannel => ("chromium.py", "datachannel"),
            Self::FirefoxVp8 => ("firefox.py", "vp8"),
            Self::FirefoxPage => ("firefox.py", "page"),
            Self::AiortcH264 => ("aiortc.py", "h264"),
            Self::AiortcVp8 => ("aiortc.py", "vp8"),
            Self::PyavPassive => ("pyav.py", "passive"),
            Self::PyavActive => ("pyav.py", "active"),
            Self::SimpleWhipClient => ("simple-whip-client.sh", "12"),
            Self::SimpleWhipClientSid => ("simple-whip-client.sh", "sid"),
            Self::GstreamerDebian12 => ("gstreamer.sh", "12"),
            Self::GstreamerSid => ("gstreamer.sh", "sid"),
            Self::WhipWhep => ("sdk.py", "whip-whep"),
            Self::Eyevinn => ("sdk.py", "eyevinn"),
            Self::Libdatachannel => ("libdatachannel.py", "actpass"),
            Self::LibdatachannelPassive => ("libdatachannel.py", "passive"),
            Self::ExampleBrowser => ("example.py", "browser"),
            Self::ExampleAiortc => ("example.py", "aiortc"),
        }
    }

    /// What has to be installed.
    fn program(self) -> PathBuf {
        let cache = root().join(".cache/interop");
        match self {
            Self::FfmpegPassive | Self::FfmpegActive => cache.join("bin/ffmpeg"),
            Self::ChromiumH264
            | Self::ChromiumVp8
            | Self::ChromiumVp9
            | Self::ChromiumAv1
            | Self::ChromiumSimulcast
            | Self::ChromiumSimulcastH264
            | Self::ChromiumSimulcastVp9
            | Self::ChromiumSimulcastAv1
            | Self::ChromiumRestart
            | Self::ChromiumRestartSlow
            | Self::ChromiumDataChannel
            | Self::ExampleBrowser => "/usr/bin/chromium".into(),
            Self::FirefoxVp8 | Self::FirefoxPage => "/usr/bin/firefox-esr".into(),
            Self::AiortcH264 | Self::AiortcVp8 | Self::PyavPassive | Self::PyavActive | Self::ExampleAiortc => {
                cache.join("aiortc/requirements.txt")
            }
            Self::SimpleWhipClient => "/usr/bin/whip-client".into(),
            Self::GstreamerDebian12 => "/usr/lib/python3/dist-packages/gi/overrides/Gst.py".into(),
            Self::SimpleWhipClientSid | Self::GstreamerSid => cache.join("bin/sid"),
            Self::WhipWhep | Self::Eyevinn => cache.join("npm/installed.json"),
            Self::Libdatachannel | Self::LibdatachannelPassive => cache.join("libdatachannel/libdatachannel.so"),
        }
    }

    /// Whether it sends nothing to a loopback address: libnice does not, from the address of an interface.
    pub fn needs_lan(self) -> bool {
        matches!(
            self,
            Self::SimpleWhipClient | Self::SimpleWhipClientSid | Self::GstreamerDebian12 | Self::GstreamerSid
        )
    }

    /// Whether it prints a summary when it ends.
    fn summarises(self) -> bool {
        !matches!(
            self,
            Self::FfmpegPassive
                | Self::FfmpegActive
                | Self::PyavPassive
                | Self::PyavActive
                | Self::SimpleWhipClient
                | Self::SimpleWhipClientSid
                | Self::ExampleAiortc
        )
    }

    /// Starts to publish `seconds` of the pattern to a stream.
    ///
    /// # Panics
    /// When the client is not installed.
    pub fn publish(self, whipcord: &Whipcord, stream: &str, seconds: u32) -> Publishing {
        self.publish_to(&whipcord.whip_url(stream), whipcord, seconds, &[])
    }

    /// The same by another URL, with environment variables for the script.
    pub fn publish_to(self, url: &str, whipcord: &Whipcord, seconds: u32, environment: &[(&str, &str)]) -> Publishing {
        let program = self.program();
        assert!(
            program.exists(),
            "{}: not there; run `make interop`, which installs it",
            program.display()
        );
        let (script, variant) = self.script();
        let output = tempfile::tempdir().expect("a temporary folder can be made");
        let file = |name| File::create(output.path().join(name)).expect("a file can be made");
        let mut command = whipcord.neighbour(&root().join("tests/interop/clients").join(script));
        command
            .args([variant, url, whipcord.token(), &seconds.to_string()])
            .arg(pattern::file());
        command.envs(environment.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"));
        // A group of its own, so that the signals reach all that a script started.
        let child = command.process_group(0).spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Publishing {
            encoder: self,
            seconds: f64::from(seconds),
            child,
            output,
        }
    }
}

impl Publishing {
    /// Waits for the client's own end.
    ///
    /// # Panics
    /// When it fails, or does not end.
    #[track_caller]
    pub fn sent(mut self) -> Sent {
        let status = self.end();
        let stdout = self.written("stdout");
        assert!(
            status.success(),
            "{:?}: {status}\n{stdout}\n{}",
            self.encoder,
            self.written("stderr")
        );
        if self.encoder.summarises() {
            let summary = stdout.lines().last().unwrap_or_default();
            serde_json::from_str(summary).unwrap_or_else(|error| panic!("{:?}: {error}: {summary}", self.encoder))
        } else {
            Sent {
                seconds: self.seconds,
                frames: None,
                last: None,
                samples: Vec::new(),
                echoes: 0,
            }
        }
    }

    /// Waits for an end that has to be a failure, and returns what the client wrote to stderr.
    ///
    /// # Panics
    /// When it succeeds, or does not end.
    #[track_caller]
    pub fn failed(mut self) -> String {
        let status = self.end();
        let stderr = self.written("stderr");
        assert!(!status.success(), "{:?} did not fail\n{stderr}", self.encoder);
        stderr
    }

    #[track_caller]
    fn end(&mut self) -> ExitStatus {
        let limit = Duration::from_secs_f64(self.seconds) + OVERTIME;
        eventually("the encoder ended", limit, || {
            self.child.try_wait().expect("a child can be waited for")
        })
    }

    /// SIGKILL to the client and all that it started.
    pub fn kill(self) {
        drop(self);
    }

    /// Whether the client is still at work.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// What it wrote so far.
    fn written(&self, name: &str) -> String {
        let bytes = std::fs::read(Path::join(self.output.path(), name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
