//! One track: offered, and, once the answer has taken it, sending; its video in one RTP stream, or one per layer.

use std::sync::Arc;

use bytes::Bytes;
use rtc::{
    media_stream::MediaStreamTrack,
    rtp::packet::Packet,
    rtp_transceiver::rtp_sender::{RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpHeaderExtensionParameters},
    sdp::extmap::{SDES_MID_URI, SDES_RTP_STREAM_ID_URI},
};
use webrtc::{
    error::Error,
    media_stream::track_local::{TrackLocal, static_rtp::TrackLocalStaticRTP},
    peer_connection::{PeerConnection, transport::DtlsTransport},
    rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpSender, RtpTransceiver},
};

use super::{
    super::{
        packetise::{Packetiser, random},
        source::{Codec, Frame, Layer, Track},
    },
    codec::{codec_parameters, kind},
};

pub(super) struct Sender {
    codec: Codec,
    track: Arc<TrackLocalStaticRTP>,
    transceiver: Arc<dyn RtpTransceiver>,
    rtp_sender: Arc<dyn RtpSender>,
    /// One, or one per layer, the best last.
    streams: Vec<Stream>,
}

struct Stream {
    layer: Option<Layer>,
    ssrc: u32,
    /// Once taken.
    packetiser: Option<Packetiser>,
}

impl Sender {
    pub(super) async fn add(peer: &dyn PeerConnection, track: &Track, layers: &[Layer]) -> Result<Self, Error> {
        let codec = track.codec();
        let layers = match layers {
            [] => vec![None],
            layers => layers.iter().copied().map(Some).collect(),
        };
        let streams: Vec<Stream> = layers.into_iter().map(Stream::new).collect();
        let encodings: Vec<_> = streams.iter().map(|stream| stream.encoding(track)).collect();
        let kind = kind(codec);
        let media = MediaStreamTrack::new(
            "whipcord".into(),
            kind.to_string(),
            kind.to_string(),
            kind,
            encodings.clone(),
        );
        let track = Arc::new(TrackLocalStaticRTP::new(media));
        // RFC 9725 §4.2: a WHIP client only sends.
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: vec!["whipcord".into()],
            send_encodings: encodings,
        };
        let local: Arc<dyn TrackLocal> = Arc::<TrackLocalStaticRTP>::clone(&track);
        let transceiver = peer.add_transceiver_from_track(local, Some(init)).await?;
        let rtp_sender = transceiver.sender().await?.ok_or(Error::ErrRTPSenderNotExisted)?;
        Ok(Self {
            codec,
            track,
            transceiver,
            rtp_sender,
            streams,
        })
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether the answer has taken any of it.
    pub(super) fn is_taken(&self) -> bool {
        self.streams.iter().any(|stream| stream.packetiser.is_some())
    }

    /// Learns from the answer, which the peer connection has accepted, what is sent and how. Returns the transport.
    pub(super) async fn accept(&mut self, answer: &str) -> Result<Option<Arc<dyn DtlsTransport>>, Error> {
        let transport = self.rtp_sender.transport().await?;
        let parameters = self.rtp_sender.get_parameters().await?.rtp_parameters;
        let Some(codec) = parameters.codecs.first() else {
            return Ok(transport);
        };
        let mid = self.transceiver.mid().await?.unwrap_or_default();
        let layers: Vec<Option<Layer>> = self.streams.iter().map(|stream| stream.layer).collect();
        for (stream, taken) in self.streams.iter_mut().zip(taken(&layers, answer)) {
            if taken {
                let names = stream.names(&mid, &parameters.header_extensions);
                stream.packetiser = Some(Packetiser::new(self.codec, stream.ssrc, codec.payload_type, names));
            }
        }
        Ok(transport)
    }

    /// The track to write to, and the packets; none if the frame is of a layer that is not sent.
    pub(super) fn packets(&mut self, frame: &Frame) -> Result<Option<(&TrackLocalStaticRTP, Vec<Packet>)>, Error> {
        let stream = self.streams.iter_mut().find(|stream| stream.layer == frame.layer);
        let Some(packetiser) = stream.and_then(|stream| stream.packetiser.as_mut()) else {
            return Ok(None);
        };
        Ok(Some((&self.track, packetiser.packets(frame)?)))
    }
}

impl Stream {
    fn new(layer: Option<Layer>) -> Self {
        Self {
            layer,
            ssrc: random(),
            packetiser: None,
        }
    }

    fn encoding(&self, track: &Track) -> RTCRtpEncodingParameters {
        RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                rid: self.layer.map(Layer::rid).unwrap_or_default().to_owned(),
                ssrc: Some(self.ssrc),
                ..RTCRtpCodingParameters::default()
            },
            codec: codec_parameters(track).rtp_codec,
            ..RTCRtpEncodingParameters::default()
        }
    }

    /// Header extensions by which a receiver tells layers apart, whose SSRCs it was not told: section and layer in each
    /// packet (RFC 8843 §15, RFC 8852 §3.1), as nothing says which one arrives first.
    fn names(&self, mid: &str, negotiated: &[RTCRtpHeaderExtensionParameters]) -> Vec<(u8, Bytes)> {
        let Some(layer) = self.layer else { return Vec::new() };
        let id = |uri| {
            negotiated
                .iter()
                .find(|extension| extension.uri == uri)
                .map(|found| found.id)
        };
        [(SDES_MID_URI, mid), (SDES_RTP_STREAM_ID_URI, layer.rid())]
            .into_iter()
            .filter_map(|(uri, value)| Some((u8::try_from(id(uri)?).ok()?, Bytes::copy_from_slice(value.as_bytes()))))
            .collect()
    }
}

/// Which of these streams the answer takes: of layers those that it lists (RFC 8853 §5.3.2). Of a server without simulcast
/// the best alone, as one stream is what it takes; a track without layers is taken as it is.
fn taken(layers: &[Option<Layer>], answer: &str) -> Vec<bool> {
    let listed = |layer: &Option<Layer>| {
        let start = format!("a=rid:{} recv", layer.map(Layer::rid).unwrap_or_default());
        answer.lines().any(|line| {
            let rest = line.trim_end().strip_prefix(start.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    };
    let mut taken: Vec<bool> = layers.iter().map(listed).collect();
    if !taken.contains(&true)
        && let Some(best) = taken.last_mut()
    {
        *best = true;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_answer_lists_is_sent_or_else_the_best() {
        let layers = Layer::ALL.map(Some);
        let cases = [
            (
                "a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\n",
                [true; 3],
            ),
            (
                "a=rid:q recv\r\na=rid:h recv max-width=640\r\na=simulcast:recv q;h\r\n",
                [true, true, false],
            ),
            (
                "a=mid:1\r\na=rid:fine recv\r\na=rid:q received\r\n",
                [false, false, true],
            ),
        ];
        for (answer, expected) in cases {
            assert_eq!(taken(&layers, answer), expected, "{answer}");
        }
        assert_eq!(taken(&[None], "a=mid:1\r\n"), [true]);
    }
}
