use crate::whip::Refusal;

use super::*;

const ASKED: &str = "https://ingest.example/whip/studio";

fn refused(status: u16, detail: Option<&str>) -> HttpError {
    HttpError::Refused(Refusal {
        host: "ingest.example".to_owned(),
        status: StatusCode::from_u16(status).unwrap(),
        detail: detail.map(str::to_owned),
        reason: None,
        retry_after: None,
    })
}

fn created(location: &str) -> Session {
    let asked = Url::parse(ASKED).unwrap();
    Session {
        url: asked.join(location).unwrap(),
        asked,
        location: location.to_owned(),
        etag: Some("\"e\"".to_owned()),
        answer: String::new(),
    }
}

fn answer(media: &[(&str, Option<&str>)]) -> Result<Answer, Error> {
    Ok(Answer {
        ufrag: "AQAAASab".to_owned(),
        pwd: "ZYXWVUTSRQPONMLKJIHGFEDC".to_owned(),
        candidates: vec![],
        media: media
            .iter()
            .map(|(kind, codec)| Media {
                kind: (*kind).to_owned(),
                codec: codec.map(str::to_owned),
            })
            .collect(),
    })
}

fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

const GOOD: [(&str, Option<&str>); 2] = [("audio", Some("opus")), ("video", Some("H264"))];

#[test]
fn a_token_that_is_refused_is_told_in_the_servers_words() {
    let ok = Ok(StatusCode::OK);
    let auth = |has_token, posted| lines(&said_of_auth(&ok, &Anonymous::Refused, has_token, &posted));
    assert_eq!(
        auth(true, Err(refused(401, Some("the token expired 5 s ago")))),
        [
            "FAIL  auth  ingest.example refused with 401 Unauthorized (the token expired 5 s ago): give a valid bearer token with \
             --token, --token-file or WHIPCORD_TOKEN"
        ]
    );
    assert!(
        auth(true, Err(refused(403, Some("the token may not publish studio"))))[0]
            .contains("403 Forbidden (the token may not publish studio)")
    );
    assert!(auth(false, Err(refused(401, None)))[0].starts_with("FAIL  auth  the server asks for a token: give"));
    let in_ = "ok    auth  a POST without a token is refused, and with this one is let in";
    assert_eq!(auth(true, Ok(created("s"))), [in_]);
    assert_eq!(auth(true, Err(refused(503, None))), [in_], "not a matter of the token");
}

#[test]
fn an_open_server_and_a_missing_options_are_warned_of() {
    let open = Anonymous::of(Err(refused(415, None))).unwrap();
    let found = lines(&said_of_auth(&Err(refused(405, None)), &open, false, &Ok(created("s"))));
    assert!(
        found[0].starts_with("warn  auth  the server takes a POST without a token"),
        "{found:?}"
    );
    assert!(found[1].starts_with("warn  auth  OPTIONS has no answer"), "{found:?}");
    let found = lines(&said_of_auth(
        &Ok(StatusCode::METHOD_NOT_ALLOWED),
        &Anonymous::Refused,
        true,
        &Ok(created("s")),
    ));
    assert!(
        found[1].starts_with("warn  auth  OPTIONS is answered with 405"),
        "{found:?}"
    );
}

#[test]
fn a_wrong_path_says_nothing_of_tokens() {
    let not_found = || Err(refused(404, None));
    let anonymous = Anonymous::of(Err(refused(404, None))).unwrap();
    let found = lines(&said_of_auth(&not_found(), &anonymous, true, &Err(refused(404, None))));
    assert_eq!(
        found,
        ["skip  auth  not to be seen: a POST fails for another reason, with a token or without"]
    );
    let found = lines(&said_of_auth(&not_found(), &anonymous, true, &Ok(created("s"))));
    assert!(
        found[0].starts_with("warn  auth  whether a token is asked for"),
        "{found:?}"
    );
}

#[test]
fn what_a_post_without_a_token_means() {
    for (status, refused_it, let_in) in [
        (401, true, false),
        (403, true, false),
        (400, false, true),
        (422, false, true),
        (404, false, false),
    ] {
        let anonymous = Anonymous::of(Err(refused(status, None))).unwrap();
        assert_eq!(matches!(anonymous, Anonymous::Refused), refused_it, "{status}");
        assert_eq!(matches!(anonymous, Anonymous::LetIn), let_in, "{status}");
    }
    assert!(matches!(Anonymous::of(Ok(())), Ok(Anonymous::LetIn)));
    let silent = HttpError::Silent {
        host: "ingest.example".to_owned(),
        after: POST_SLOW,
    };
    assert!(Anonymous::of(Err(silent)).is_err(), "nothing answers");
}

#[test]
fn a_good_post_is_one_line() {
    let endpoint = Url::parse(ASKED).unwrap();
    let post = |location, answer| {
        let took = Duration::from_micros(12_340);
        lines(&said_of_post(&endpoint, &Ok(created(location)), Some(&answer), took))
    };
    for location in [
        "s.hint",
        "/whip/studio/s.hint",
        "https://ingest.example:443/whip/studio/s.hint",
    ] {
        assert_eq!(
            post(location, answer(&GOOD)),
            ["ok    post  201 after 12.3 ms: takes opus and H264, with 0 addresses for media"],
            "{location}"
        );
    }
    let no_video = post("s", answer(&[("audio", Some("opus")), ("video", None)]));
    assert!(
        no_video[0].starts_with("warn  post  201") && no_video[0].contains("refuses video"),
        "{no_video:?}"
    );
    let nothing = post("s", answer(&[("audio", None), ("video", None)]));
    assert!(nothing[0].starts_with("FAIL  post  201"), "{nothing:?}");
    let broken = post("s", Err(Error::Missing("ice-pwd")));
    assert!(
        broken[0].starts_with("FAIL  post  the answer cannot be used: it has no a=ice-pwd"),
        "{broken:?}"
    );
}

#[test]
fn a_location_that_leads_elsewhere_names_the_options_and_not_its_path() {
    let endpoint = Url::parse(ASKED).unwrap();
    for (location, verdict, words) in [
        (
            "http://ingest.example/whip/studio/s.hint",
            "FAIL",
            "leads to http://ingest.example, where encoders would send the token in clear",
        ),
        (
            "https://10.0.0.9:8080/whip/studio/s.hint",
            "warn",
            "leads to https://10.0.0.9:8080, and not to https://ingest.example",
        ),
        (
            "http://10.0.0.9/whip/studio/s.hint",
            "FAIL",
            "leads to http://10.0.0.9, where",
        ),
        (
            "https://ingest.example:8443/whip/studio/s.hint",
            "warn",
            "leads to https://ingest.example:8443, and not",
        ),
    ] {
        let found = lines(&said_of_post(
            &endpoint,
            &Ok(created(location)),
            Some(&answer(&GOOD)),
            POST_SLOW,
        ));
        assert!(found[1].starts_with(&format!("{verdict}  post  Location")), "{found:?}");
        assert!(found[1].contains(words) && found[1].contains("--public-url") && found[1].contains("--trusted-proxy"));
        assert!(!found.iter().any(|line| line.contains("hint")), "{found:?}");
    }
    let redirected = Url::parse("https://first.example/whip/studio").unwrap();
    let found = lines(&said_of_post(
        &redirected,
        &Ok(created("s")),
        Some(&answer(&GOOD)),
        POST_SLOW,
    ));
    assert!(
        found[1].starts_with("warn  post  Location is relative after a redirect"),
        "{found:?}"
    );
}

#[test]
fn a_missing_etag_and_a_slow_server_are_warned_of() {
    let endpoint = Url::parse(ASKED).unwrap();
    let mut session = created("s");
    session.etag = None;
    let took = POST_SLOW + Duration::from_millis(100);
    let found = lines(&said_of_post(&endpoint, &Ok(session), Some(&answer(&GOOD)), took));
    assert!(found[1].starts_with("warn  post  the 201 has no ETag"), "{found:?}");
    assert!(
        found[2].starts_with("warn  post  the POST took 8.1 s, and OBS gives up after 8 s"),
        "{found:?}"
    );
}

#[test]
fn the_end_is_good_at_200_only() {
    let end = |leads: &Leads, ended, cleaned| said_of_end(leads, &ended, Duration::from_millis(2), cleaned).to_string();
    assert_eq!(
        end(&Leads::Here, Ok(StatusCode::OK), None),
        "ok    end   DELETE is answered with 200 after 2.0 ms"
    );
    assert!(end(&Leads::Here, Ok(StatusCode::NO_CONTENT), None).starts_with("warn  end   DELETE is answered with 204"));
    assert!(
        end(&Leads::Here, Err(refused(404, None)), None).starts_with("FAIL  end   DELETE at the Location failed: ")
    );
    let elsewhere = Leads::Elsewhere("https://10.0.0.9".to_owned());
    let lost = end(&elsewhere, Err(refused(404, None)), Some(true));
    assert!(
        lost.starts_with("FAIL  end   encoders cannot end their sessions")
            && lost.ends_with("ended its session where it was made"),
        "{lost}"
    );
    let untried = end(&elsewhere, Err(refused(401, None)), Some(false));
    assert!(
        untried.starts_with("warn  end   DELETE at the Location was tried without the token"),
        "{untried}"
    );
}
