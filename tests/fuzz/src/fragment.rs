//! The body of a PATCH.

use whipcord_whip::{
    Credentials,
    fragment::{Fragment, Request},
};

pub fn run(data: &[u8]) {
    let fragment = match Fragment::parse(data) {
        Ok(fragment) => fragment,
        Err(refusal) => return assert!(!refusal.to_string().is_empty() && !refusal.reason().is_empty()),
    };
    let current = Credentials {
        ufrag: "ufrag".to_owned(),
        pwd: "passwordpasswordpassword".to_owned(),
    };
    match (&fragment.credentials, fragment.request(&current)) {
        (Some(credentials), Ok(Request::Restart(fresh))) => {
            assert!((4..=256).contains(&fresh.ufrag.len()) && (22..=256).contains(&fresh.pwd.len()));
            assert_eq!(*credentials, fresh);
            assert_eq!(fragment.request(&fresh), Ok(Request::Trickle));
        }
        (None, request) => assert_eq!(request, Ok(Request::Trickle)),
        (Some(_), _) => {}
    }
}
