//! The page at `/`, with which a browser is an encoder. Its files lie in the crate's folder `page/` and are part of the binary.
//!
//! It must know nothing of WHIP: the page asks the same URLs as any other encoder, relative to its own.

use aws_lc_rs::digest;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{
    config::PublicUrl,
    response::{Response, empty, with_body},
};

/// One file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

/// What all its files are sent with.
#[derive(Debug)]
pub(crate) struct Page {
    /// One for all files: they fit together, and change together.
    etag: HeaderValue,
    policy: HeaderValue,
}

macro_rules! asset {
    ($name:literal, $media_type:literal) => {
        File {
            path: concat!("/page/", $name),
            media_type: $media_type,
            text: include_str!(concat!("../page/", $name)),
        }
    };
}

const FILES: [File; 12] = [
    File {
        path: "/",
        ..asset!("index.html", "text/html; charset=utf-8")
    },
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("publish.js", "text/javascript; charset=utf-8"),
    asset!("publisher.js", "text/javascript; charset=utf-8"),
    asset!("session.js", "text/javascript; charset=utf-8"),
    asset!("source.js", "text/javascript; charset=utf-8"),
    asset!("figures.js", "text/javascript; charset=utf-8"),
    asset!("encoders.js", "text/javascript; charset=utf-8"),
    asset!("links.js", "text/javascript; charset=utf-8"),
    asset!("ticker.js", "text/javascript; charset=utf-8"),
    asset!("words.js", "text/javascript; charset=utf-8"),
];

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

impl File {
    pub(crate) fn at(path: &str) -> Option<&'static Self> {
        const { &FILES }.iter().find(|file| file.path == path)
    }
}

impl Page {
    /// Session URLs lead to `public_url`, which the page must be allowed to ask, too.
    pub(crate) fn new(public_url: Option<&PublicUrl>) -> Self {
        let policy = policy(public_url.map(PublicUrl::origin));
        let mut hash = digest::Context::new(&digest::SHA256);
        for file in &FILES {
            hash.update(file.text.as_bytes());
        }
        // What a browser has stored must not keep an older policy.
        hash.update(policy.as_bytes());
        let hash: String = hash.finish().as_ref()[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            etag: HeaderValue::try_from(format!("\"{hash}\"")).expect("hexadecimal digits are visible ASCII"),
            policy,
        }
    }

    /// 304 to who has it (RFC 9110 §15.4.5).
    pub(crate) fn get(&self, file: &File, request: &HeaderMap) -> Response {
        let mut response = if self.is_stored(request) {
            empty(StatusCode::NOT_MODIFIED)
        } else {
            with_body(StatusCode::OK, file.media_type, file.text)
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        // It may be stored, and is asked about each time: after an upgrade nobody works with half an old page.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(
            PERMISSIONS_POLICY,
            HeaderValue::from_static("camera=(self), microphone=(self), display-capture=(self)"),
        );
        response
    }

    /// Weak comparison, as a proxy that compresses weakens the tag (RFC 9110 §13.1.2). A list may be split at any comma: our tag has
    /// none, and no part of another's begins and ends with a quote.
    fn is_stored(&self, request: &HeaderMap) -> bool {
        let mut values = request.get_all(header::IF_NONE_MATCH).iter();
        values.any(|value| {
            value.as_bytes().split(|byte| *byte == b',').any(|tag| {
                let tag = tag.trim_ascii();
                tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == self.etag.as_bytes()
            })
        })
    }
}

/// Only what this server sends runs; it loads from, and talks to, this server only; nobody frames it, so nobody's click starts a
/// camera. No string becomes markup; one becomes a script's address, by the policy that the page calls ticker.
fn policy(public_origin: Option<&str>) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{}{}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types ticker",
        if public_origin.is_some() { " " } else { "" },
        public_origin.unwrap_or_default()
    );
    HeaderValue::try_from(policy).expect("a parsed URL is visible ASCII")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn asked_with(if_none_match: &[u8]) -> HeaderMap {
        HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_bytes(if_none_match).unwrap())])
    }

    #[test]
    fn a_stored_page_is_known_by_its_tag() {
        let page = Page::new(None);
        let tag = page.etag.to_str().unwrap();
        let table = [
            (tag.to_owned(), true),
            (format!("W/{tag}"), true),
            (format!("\"a,b\" ,\t{tag} , \"c\""), true),
            ("*".to_owned(), true),
            (String::new(), false),
            ("\"other\"".to_owned(), false),
            (tag.trim_matches('"').to_owned(), false),
            (format!("w/{tag}"), false),
            (format!("{tag}x"), false),
        ];
        for (value, expected) in table {
            assert_eq!(page.is_stored(&asked_with(value.as_bytes())), expected, "{value}");
        }
        assert!(!page.is_stored(&HeaderMap::new()));
    }

    #[test]
    fn another_policy_is_another_page() {
        let url: PublicUrl = "https://ingest.example.com:8443/media".parse().unwrap();
        let (plain, public) = (Page::new(None), Page::new(Some(&url)));
        assert_ne!(plain.etag, public.etag);
        let connects = |page: &Page, to: &str| page.policy.to_str().unwrap().contains(&format!("; connect-src {to};"));
        assert!(connects(&plain, "'self'"), "{:?}", plain.policy);
        assert!(
            connects(&public, "'self' https://ingest.example.com:8443"),
            "{:?}",
            public.policy
        );
    }

    #[test]
    fn every_file_that_a_file_names_is_there_and_none_is_forgotten() {
        let texts = FILES.iter().flat_map(|file| file.text.split('"'));
        let names = texts.filter_map(|text| text.strip_prefix("./").or_else(|| text.strip_prefix("page/")));
        let named: BTreeSet<String> = names.map(|name| format!("/page/{name}")).collect();
        let there: BTreeSet<String> = FILES[1..].iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(named, there);
    }

    proptest! {
        #[test]
        fn no_other_text_is_taken_for_the_tag(value in prop::collection::vec(0x20_u8..=0x7e, 0..200)) {
            let is_any = value.split(|byte| *byte == b',').any(|tag| tag.trim_ascii() == b"*");
            prop_assert_eq!(Page::new(None).is_stored(&asked_with(&value)), is_any);
        }
    }
}
