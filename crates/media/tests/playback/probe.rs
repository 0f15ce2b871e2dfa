//! What FFmpeg sees in a file.

use std::path::PathBuf;

use crate::fixture::run;

pub(crate) struct Probed {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

/// One packet as the demuxer gives it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) time: f64,
    pub(crate) duration: f64,
    pub(crate) size: usize,
    pub(crate) keyframe: bool,
}

impl Probed {
    pub(crate) fn new(bytes: &[u8], extension: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(format!("recording.{extension}"));
        std::fs::write(&file, bytes).unwrap();
        Self { _folder: folder, file }
    }

    /// Decodes everything and fails on the least complaint.
    pub(crate) fn decodes(&self) {
        let input = ["-v", "error", "-nostdin", "-xerror", "-i", self.path()];
        // Frames keep their own times: at a guessed constant rate, two can round to the same one, which is an error.
        let output = ["-vsync", "passthrough", "-enc_time_base", "-1", "-f", "null", "-"];
        run("ffmpeg", &[&input[..], &output].concat());
    }

    pub(crate) fn frames(&self, stream: &str) -> u64 {
        let text = self.show(stream, &["-count_frames"], "stream=nb_read_frames");
        text.trim()
            .parse()
            .unwrap_or_else(|_| panic!("no frame count in {text:?}"))
    }

    /// The same for a file that may end within a frame, of which FFmpeg complains.
    pub(crate) fn frames_of_cut_file(&self, stream: &str) -> u64 {
        let args = [
            "-v",
            "quiet",
            "-select_streams",
            stream,
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
        ];
        let text = run("ffprobe", &[&args[..], &["-of", "csv=p=0", self.path()]].concat());
        text.trim()
            .parse()
            .unwrap_or_else(|_| panic!("no frame count in {text:?}"))
    }

    /// The width of each decoded picture.
    pub(crate) fn widths(&self) -> Vec<u32> {
        let text = self.show("v", &[], "frame=width");
        text.lines()
            .filter_map(|line| line.trim_end_matches(',').parse().ok())
            .collect()
    }

    pub(crate) fn packets(&self, stream: &str) -> Vec<Packet> {
        let text = self.show(stream, &[], "packet=pts_time,duration_time,size,flags");
        text.lines()
            .map(|line| {
                let fields: Vec<_> = line.split(',').collect();
                Packet {
                    time: fields[0].parse().unwrap(),
                    duration: fields[1].parse().unwrap_or(0.0),
                    size: fields[2].parse().unwrap(),
                    keyframe: fields[3].starts_with('K'),
                }
            })
            .collect()
    }

    pub(crate) fn stream(&self, stream: &str, entries: &str) -> String {
        self.show(stream, &[], &format!("stream={entries}")).trim().to_owned()
    }

    pub(crate) fn duration(&self) -> f64 {
        let args = [
            "-v",
            "error",
            "-show_entries",
            "format=duration",
            "-of",
            "csv=p=0",
            self.path(),
        ];
        run("ffprobe", &args).trim().parse().unwrap()
    }

    fn show(&self, stream: &str, more: &[&str], entries: &str) -> String {
        let mut args = vec![
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            entries,
            "-of",
            "csv=p=0",
        ];
        args.extend(more);
        args.push(self.path());
        run("ffprobe", &args)
    }

    fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }
}
