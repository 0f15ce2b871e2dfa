//! Recordings handed out over gRPC.

use std::time::Duration;

use tonic::{Code, Status};
use whipcord_proto::{
    limits::PIECE_BYTES_MAX,
    worker::{ReadRecordingRequest, RecordingFile, RecordingFormat, read_recording_response::Part},
};

use crate::bed::{Bed, blocking, eventually};

/// What the file is said to be, and the bytes.
async fn read(bed: &Bed, stream: &str, offset: u64, length: u64) -> Result<(RecordingFile, Vec<u8>), Status> {
    let request = ReadRecordingRequest {
        session_id: vec![1; 16],
        stream: stream.to_owned(),
        offset,
        length,
        owner: None,
    };
    let mut messages = bed.client.clone().read_recording(request).await?.into_inner();
    let first = messages.message().await?.and_then(|message| message.part);
    let Some(Part::File(file)) = first else {
        panic!("{first:?} comes first")
    };
    let mut bytes = Vec::new();
    while let Some(message) = messages.message().await? {
        match message.part {
            Some(Part::Piece(piece)) if piece.len() <= PIECE_BYTES_MAX => bytes.extend(piece),
            other => panic!("{other:?} among the pieces"),
        }
    }
    Ok((file, bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_read_while_it_grows_and_after_its_session() {
    let bed = Bed::start().await;
    let mut encoder = bed.publish(1).await;
    assert_eq!(read(&bed, "live/cam", 0, 1).await.unwrap_err().code(), Code::NotFound);
    blocking(|| encoder.send(Duration::from_secs(3)));
    eventually("it is recorded", async || {
        !bed.get(1).await.unwrap().recording.is_empty()
    })
    .await;
    let path = bed.recording(&bed.get(1).await.unwrap());

    let (file, live) = read(&bed, "live/cam", 0, u64::MAX).await.unwrap();
    assert_eq!((file.size, file.format()), (live.len() as u64, RecordingFormat::Webm));
    let stored = std::fs::read(&path).unwrap();
    assert!(live.len() > 1000 && stored.starts_with(&live));
    assert_eq!(read(&bed, "live/cam", 0, 0).await.unwrap().1, b"");

    bed.delete(1, bed.owner.clone()).await.unwrap();
    eventually("its last fragment is written", async || {
        let stored = std::fs::read(&path).unwrap();
        let (_, bytes) = read(&bed, "live/cam", 0, u64::MAX).await.unwrap();
        bytes.len() > live.len() && bytes == stored
    })
    .await;
    let stored = std::fs::read(&path).unwrap();
    let (_, part) = read(&bed, "live/cam", 10, 90).await.unwrap();
    assert_eq!(part, stored[10..100]);
    assert_eq!(read(&bed, "live/cam", u64::MAX, u64::MAX).await.unwrap().1, b"");

    let code = async |stream| read(&bed, stream, 0, 1).await.unwrap_err().code();
    assert_eq!(code("live/cam2").await, Code::NotFound);
    assert_eq!(code("live/../live/cam").await, Code::InvalidArgument);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_from_before_this_start_is_read_in_pieces_and_a_reader_who_waits_holds_up_no_end() {
    let bed = Bed::start().await;
    let sid = whipcord_identity::SessionId::new([1; 16]);
    let bytes: Vec<u8> = (0..(8_u32 << 20)).map(|n| (n % 251) as u8).collect();
    std::fs::create_dir_all(bed.recordings.path().join("live/cam")).unwrap();
    std::fs::write(bed.recordings.path().join(format!("live/cam/{sid}.webm")), &bytes).unwrap();
    let (file, all) = read(&bed, "live/cam", 0, u64::MAX).await.unwrap();
    assert_eq!((file.size, file.format()), (8 << 20, RecordingFormat::Webm));
    assert!(all == bytes, "other bytes");

    let request = ReadRecordingRequest {
        session_id: vec![1; 16],
        stream: "live/cam".into(),
        offset: 0,
        length: u64::MAX,
        owner: None,
    };
    let unread = bed.client.clone().read_recording(request).await.unwrap();
    bed.stop().await;
    drop(unread);
}

/// Readers who wait have all the places; whoever only asks for the size needs none.
#[tokio::test(flavor = "multi_thread")]
async fn a_size_is_told_when_no_place_for_a_reader_is_left() {
    let bed = Bed::start().await;
    let sid = whipcord_identity::SessionId::new([1; 16]);
    std::fs::create_dir_all(bed.recordings.path().join("live/cam")).unwrap();
    let path = bed.recordings.path().join(format!("live/cam/{sid}.webm"));
    std::fs::write(path, vec![7; 8 << 20]).unwrap();
    let ask = async |length| {
        let request = ReadRecordingRequest {
            session_id: vec![1; 16],
            stream: "live/cam".into(),
            offset: 0,
            length,
            owner: None,
        };
        bed.client.clone().read_recording(request).await
    };
    let mut unread = Vec::new();
    let refused = loop {
        match ask(u64::MAX).await {
            Ok(stream) => unread.push(stream),
            Err(refused) => break refused,
        }
        assert!(unread.len() <= 128);
    };
    assert_eq!((refused.code(), unread.len()), (Code::ResourceExhausted, 128));
    assert!(ask(0).await.is_ok());
    drop(unread);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_records_nothing_has_no_recording() {
    let bed = Bed::with(|config| config.recordings = None).await;
    assert_eq!(read(&bed, "live/cam", 0, 1).await.unwrap_err().code(), Code::NotFound);
}
