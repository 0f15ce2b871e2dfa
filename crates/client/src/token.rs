//! The bearer token: from the command line, the environment or a file, and shown nowhere.

use std::{fmt, path::PathBuf};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Bearer token; better in the environment than on a command line that others can list.
    #[arg(long, env = "WHIPCORD_TOKEN", hide_env_values = true)]
    pub token: Option<UncheckedToken>,
    /// File that holds the bearer token, in place of --token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Why the token that was given is none.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("WHIPCORD_TOKEN (or --token) is empty")]
    Empty,
    #[error("the bearer token cannot be used: {0}")]
    Token(#[source] TokenError),
    #[error("cannot read the token file {}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("the token file {} holds no token: {error}", path.display())]
    Content { path: PathBuf, error: TokenError },
}

impl Config {
    pub(crate) fn read(&self) -> Result<Option<Token>, ReadError> {
        let Some(path) = &self.token_file else {
            if self.token.as_ref().is_some_and(|token| token.0.trim().is_empty()) {
                return Err(ReadError::Empty);
            }
            let token = self.token.as_ref().map(UncheckedToken::check);
            return token.transpose().map_err(ReadError::Token);
        };
        let content = std::fs::read_to_string(path).map_err(|error| ReadError::File {
            path: path.clone(),
            error,
        })?;
        let token = Token::new(&content).map_err(|error| ReadError::Content {
            path: path.clone(),
            error,
        })?;
        Ok(Some(token))
    }
}

/// A bearer token as the command line has it. Checked after the arguments are parsed, because `clap` quotes what it refuses.
#[derive(Clone)]
pub struct UncheckedToken(String);

impl UncheckedToken {
    fn check(&self) -> Result<Token, TokenError> {
        Token::new(&self.0)
    }
}

impl From<String> for UncheckedToken {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl fmt::Debug for UncheckedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UncheckedToken(***)")
    }
}

/// The bearer token. It is shown nowhere.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Surrounding white space, such as the newline at the end of a file, is not part of a token.
    pub fn new(token: &str) -> Result<Self, TokenError> {
        let token = token.trim();
        if token
            .split_whitespace()
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("bearer"))
        {
            return Err(TokenError::Scheme);
        }
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        Ok(Self(token.to_owned()))
    }

    /// For the Authorization header alone.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Quotes nothing of the token: it may be a good one with a slip beside it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("leave out `Bearer`: only the token itself is given")]
    Scheme,
    #[error("a bearer token is one word of printable ASCII characters")]
    Characters,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        assert_eq!(Token::new(" eyJ.a_b-c\n").unwrap().0, "eyJ.a_b-c");
        for token in ["", " ", "two words", "new\nline", "grün"] {
            assert!(Token::new(token).is_err(), "{token:?}");
        }
        for token in ["Bearer eyJ.a.b", "bearer\teyJ.a.b", "Bearer"] {
            let error = Token::new(token).unwrap_err().to_string();
            assert_eq!(error, "leave out `Bearer`: only the token itself is given");
        }
        assert_eq!(format!("{:?}", Token::new("sesame").unwrap()), "Token(***)");
        assert_eq!(
            format!("{:?}", UncheckedToken::from("sesame".to_owned())),
            "UncheckedToken(***)"
        );
    }
}
