//! The page at `/`, as HTTP sees it.

use crate::bed::Bed;

#[tokio::test]
async fn the_page_and_what_it_loads_are_there_without_a_token() {
    let bed = Bed::start().await;
    let page = bed.request("GET", "/", &[], b"").await;
    assert_eq!(page.status, 200);
    page.is_framed();
    assert_eq!(page.header("content-type").as_deref(), Some("text/html; charset=utf-8"));
    let loaded = page.body.split('"').filter(|text| text.starts_with("page/"));
    let types = [
        ("css", "text/css; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
        ("svg", "image/svg+xml"),
    ];
    let mut found = 0;
    for path in loaded {
        let file = bed.request("GET", &format!("/{path}"), &[], b"").await;
        assert_eq!(file.status, 200, "{path}");
        let expected = types.iter().find(|(ending, _)| path.ends_with(ending)).unwrap().1;
        assert_eq!(file.header("content-type").as_deref(), Some(expected), "{path}");
        assert_eq!(file.header("x-content-type-options").as_deref(), Some("nosniff"));
        assert!(!file.body.is_empty());
        found += 1;
    }
    assert!(found >= 3, "{}", page.body);
    bed.request("GET", "/page/none.js", &[], b"")
        .await
        .is_problem(404, "no_such_path");
}

#[tokio::test]
async fn who_has_the_page_is_told_so() {
    let bed = Bed::start().await;
    for path in ["/", "/page/publish.js"] {
        let get = bed.request("GET", path, &[], b"").await;
        let etag = get.header("etag").unwrap();
        assert_eq!(get.header("cache-control").as_deref(), Some("no-cache"));
        let again = bed.request("GET", path, &[("If-None-Match", &etag)], b"").await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
        assert_eq!(
            (again.header("etag"), again.header("cache-control")),
            (Some(etag), Some("no-cache".to_owned()))
        );
        assert_eq!(
            again.header("content-length"),
            None,
            "of a 304 it would be the length of the page"
        );
        let other = bed.request("GET", path, &[("If-None-Match", "\"other\"")], b"").await;
        assert_eq!((other.status, other.body), (200, get.body));
    }
}

#[tokio::test]
async fn a_head_of_the_page_has_the_headers_of_the_get() {
    let bed = Bed::start().await;
    let get = bed.request("GET", "/", &[], b"").await;
    let head = bed.request("HEAD", "/", &[], b"").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for name in ["content-length", "content-type", "etag", "content-security-policy"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
        assert!(get.header(name).is_some(), "{name}");
    }
    let post = bed.request("POST", "/", &[], b"").await;
    post.is_problem(405, "method");
    assert_eq!(post.header("allow").as_deref(), Some("OPTIONS, GET, HEAD"));
}

#[tokio::test]
async fn nothing_but_the_page_runs_and_nobody_frames_it() {
    let bed = Bed::with(&["--public-url", "https://ingest.example.com/media"]).await;
    for path in ["/", "/page/publish.js"] {
        let policy = bed
            .request("GET", path, &[], b"")
            .await
            .header("content-security-policy")
            .unwrap();
        let directives: Vec<&str> = policy.split("; ").collect();
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self' https://ingest.example.com",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(directives.contains(&directive), "{directive}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
