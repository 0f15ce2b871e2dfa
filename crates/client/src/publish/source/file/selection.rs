//! Which of a container's tracks are sent: one video and one audio track, the first of each that can be.

use super::super::Codec;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    #[error("the video track is {0}, which cannot be sent: convert with ffmpeg -c:v libx264 -bf 0 -pix_fmt yuv420p")]
    Video(String),
    #[error("the {0} track is encrypted: decrypt the file first")]
    Encrypted(&'static str),
    #[error("the file has no video or audio track that can be sent{}", .0.as_deref().map(|note| format!(": {note}")).unwrap_or_default())]
    Nothing(Option<String>),
}

/// How a track is coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Coding {
    Known(Codec),
    Encrypted,
    /// By the name that people know it by.
    Other(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Video,
    Audio,
}

#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) video: Option<(u64, Codec)>,
    pub(super) audio: Option<(u64, Codec)>,
    notes: Vec<String>,
}

impl Selection {
    /// Takes the track with this number in, leaves it out with a note, or refuses the file for it.
    pub(super) fn consider(&mut self, number: u64, kind: Kind, coding: Coding) -> Result<(), SelectionError> {
        let (name, place) = match kind {
            Kind::Video => ("video", &mut self.video),
            Kind::Audio => ("audio", &mut self.audio),
        };
        match coding {
            _ if place.is_some() => self.notes.push(format!("a further {name} track is left out")),
            Coding::Known(codec) => *place = Some((number, codec)),
            Coding::Encrypted => return Err(SelectionError::Encrypted(name)),
            Coding::Other(other) => match kind {
                Kind::Video => return Err(SelectionError::Video(other)),
                Kind::Audio => self.notes.push(format!(
                    "the audio track is {other} and is left out; WHIP needs Opus: convert with ffmpeg -c:v copy -c:a libopus"
                )),
            },
        }
        Ok(())
    }

    /// Moves the notes out, or refuses a file of which nothing is left.
    pub(super) fn finish(&mut self, notes: &mut Vec<String>) -> Result<(), SelectionError> {
        if self.video.is_none() && self.audio.is_none() {
            return Err(SelectionError::Nothing(self.notes.pop()));
        }
        notes.append(&mut self.notes);
        Ok(())
    }

    /// What to send frames of this track as.
    pub(super) fn codec(&self, number: u64) -> Option<Codec> {
        let chosen = [self.video, self.audio].into_iter().flatten();
        chosen
            .filter(|(chosen, _)| *chosen == number)
            .map(|(_, codec)| codec)
            .next()
    }
}
