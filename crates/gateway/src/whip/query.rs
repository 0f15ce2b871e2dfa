//! The query parameters of a POST: `channelId`, and what is kept with the session for a processor (`prompts` and any other).

use std::collections::HashMap;

use crate::limits::{METADATA_BYTES_MAX, METADATA_ENTRIES_MAX};

/// Parsed, and free of tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

/// Names under which other servers take a token in the URL: a client set up for them must not see it in the stats.
const TOKENS: [&str; 4] = ["token", "access_token", "jwt", "authorization"];
const CHANNEL_ID: &str = "channelId";

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        Self(
            pairs
                .filter(|(name, _)| !TOKENS.iter().any(|token| name.eq_ignore_ascii_case(token)))
                .collect(),
        )
    }

    /// The first `channelId`, which is metadata no longer.
    pub(super) fn take_channel_id(&mut self) -> Option<String> {
        let index = self.0.iter().position(|(name, _)| name == CHANNEL_ID)?;
        Some(self.0.remove(index).1)
    }

    /// Of a name given twice the last value; `None` beyond the limits, and with control characters other than white space: nobody
    /// types them, and in JSON each would be six bytes.
    pub(super) fn into_metadata(self) -> Option<HashMap<String, String>> {
        let metadata: HashMap<_, _> = self.0.into_iter().collect();
        let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        let is_text = |text: &str| !text.chars().any(|c| c.is_control() && !c.is_whitespace());
        let is_good = metadata.iter().all(|(name, value)| is_text(name) && is_text(value));
        (is_good && bytes <= METADATA_BYTES_MAX && metadata.len() <= METADATA_ENTRIES_MAX).then_some(metadata)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    #[test]
    fn parameters_are_kept_but_for_tokens_and_the_channel() {
        let mut query =
            Query::parse("channelId=live%2Fcam&prompts=%7B%22a%22%3A1%7D&x=a+b&Token=secret&access_token=secret");
        assert_eq!(query.take_channel_id(), Some("live/cam".to_owned()));
        assert_eq!(query.take_channel_id(), None);
        let metadata = query.into_metadata().unwrap();
        assert_eq!(metadata.len(), 2);
        assert_eq!(
            (metadata["prompts"].as_str(), metadata["x"].as_str()),
            (r#"{"a":1}"#, "a b")
        );
    }

    #[test]
    fn metadata_is_bounded() {
        let of_length = |n| Query::parse(&format!("a={}", "x".repeat(n))).into_metadata();
        assert!(of_length(METADATA_BYTES_MAX - 1).is_some());
        assert!(of_length(METADATA_BYTES_MAX).is_none());
        assert!(Query::parse("a=%01").into_metadata().is_none() && Query::parse("a=x%0Ay").into_metadata().is_some());
        let of_entries = |n| Query::parse(&(0..n).map(|i| format!("{i}=&")).collect::<String>()).into_metadata();
        assert!(of_entries(METADATA_ENTRIES_MAX).is_some());
        assert!(of_entries(METADATA_ENTRIES_MAX + 1).is_none());
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_a_panic(text in any::<String>()) {
            let mut query = Query::parse(&text);
            query.take_channel_id();
            if let Some(metadata) = query.into_metadata() {
                prop_assert!(!metadata.contains_key("token"));
            }
        }
    }
}
