use super::*;
use crate::auth;

fn name(number: usize) -> StreamName {
    format!("cam/{number}").parse().unwrap()
}

fn address(number: u8) -> Source {
    Source::Address([192, 0, 2, number].into())
}

fn refuse(refusals: &Refusals, stream: usize, source: Source) {
    refusals.note(name(stream), &Method::POST, &Error::Auth(auth::Error::Invalid), source);
}

fn told(refusals: &Refusals) -> usize {
    let due = refusals.due();
    refusals.set_telling(&due, Telling::Done);
    due.len()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_kept_once_for_an_hour_after_its_last() {
    let refusals = Refusals::default();
    for _ in 0..10 {
        refuse(&refusals, 1, address(1));
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    let noted = refusals.of(&name(1));
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].age, noted[0].proven), (Duration::from_secs(60), false));
    assert_eq!(noted[0].kind.cause, Refused::TokenInvalid);
    tokio::time::advance(REFUSALS_KEPT).await;
    assert_eq!(refusals.of(&name(1)), []);
}

#[tokio::test]
async fn one_stranger_flushes_nobody_here_or_elsewhere_but_itself() {
    let refusals = Refusals::default();
    refuse(&refusals, 1, address(1));
    refuse(&refusals, 2, Source::Bearer(Bearer::new(b"one")));
    assert_eq!(told(&refusals), 2);
    (100..10_000).for_each(|stream| refuse(&refusals, stream, address(2)));
    assert_eq!((refusals.of(&name(1)).len(), refusals.of(&name(2)).len()), (1, 1));
    assert_eq!(refusals.lock().strangers.0.len(), 1 + PER_ADDRESS_MAX);
    // Others hear of none beyond its part.
    assert_eq!(told(&refusals), 0);
}

#[tokio::test]
async fn what_a_stranger_repeats_beyond_its_part_is_told_nobody() {
    let refusals = Refusals::default();
    for stream in 0..100 {
        refuse(&refusals, stream, address(1));
        refuse(&refusals, stream, address(1));
    }
    assert_eq!(told(&refusals), 0);
    (0..PER_ADDRESS_MAX).for_each(|stream| refuse(&refusals, stream, address(2)));
    assert_eq!(told(&refusals), PER_ADDRESS_MAX);
    // Within its part: again, with the new time.
    refuse(&refusals, 0, address(2));
    assert_eq!(told(&refusals), 1);
}

#[tokio::test(start_paused = true)]
async fn after_an_hour_a_source_has_its_part_again() {
    let refusals = Refusals::default();
    (0..=PER_ADDRESS_MAX).for_each(|stream| refuse(&refusals, stream, address(1)));
    told(&refusals);
    tokio::time::advance(REFUSALS_KEPT).await;
    (100..100 + PER_ADDRESS_MAX).for_each(|stream| refuse(&refusals, stream, address(1)));
    assert_eq!(told(&refusals), PER_ADDRESS_MAX);
}

#[tokio::test(start_paused = true)]
async fn who_asked_for_a_stream_first_forgets_nobody_elses_refusals() {
    let refusals = Refusals::default();
    refuse(&refusals, 1, address(1));
    refuse(&refusals, 1, address(2));
    tokio::time::advance(Duration::from_secs(1)).await;
    (100..200).for_each(|stream| refuse(&refusals, stream, address(1)));
    assert_eq!(refusals.of(&name(1)).len(), 1);
    refuse(&refusals, 1, address(1));
    assert_eq!(refusals.of(&name(1)).len(), 1, "each once");
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_told_again_when_the_directory_began_anew() {
    let refusals = Refusals::default();
    refusals.retell(Some(Beginning(1)));
    (0..=PER_ADDRESS_MAX).for_each(|stream| refuse(&refusals, stream, address(1)));
    let before = told(&refusals);
    for began in [None, Some(Beginning(1))] {
        refusals.retell(began);
        assert_eq!(told(&refusals), 0);
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    refusals.retell(Some(Beginning(2)));
    let due = refusals.due();
    assert_eq!(due.len(), before);
    assert!(
        due.iter().all(|(_, age)| *age == Duration::from_secs(60)),
        "as old as it is"
    );
}

#[tokio::test]
async fn strangers_together_take_no_bearers_place_and_there_is_a_most() {
    let refusals = Refusals::default();
    refuse(&refusals, 0, Source::Bearer(Bearer::new(b"one")));
    for stranger in 0..=255 {
        (0..20).for_each(|stream| refuse(&refusals, 1 + 20 * usize::from(stranger) + stream, address(stranger)));
    }
    assert_eq!(refusals.lock().strangers.0.len(), REFUSALS_MAX);
    assert!(refusals.of(&name(0))[0].proven);
}

#[test]
fn a_kind_survives_the_way_to_another_gateway() {
    let kind = Kind::new(&Method::POST, &Error::NoWorker).unwrap();
    assert_eq!(kind.to_text(), "POST/no_worker/no_worker");
    assert_eq!(Kind::parse(&kind.to_text()), Some(kind));
    assert_eq!(Kind::new(&Method::GET, &Error::NoWorker), None);
    for broken in ["", "POST", "POST/later/x", "GET/no_worker/x"] {
        assert_eq!(Kind::parse(broken), None, "{broken}");
    }
    assert_eq!(word("\u{1b}[2Jno_codec\n"), "no_codec".to_owned());
}
