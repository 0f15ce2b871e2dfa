//! Every store there is, for the rules that hold for all.

/// Makes a test of each rule for each store; a rule is a function over any directory.
macro_rules! rules {
    ($($name:ident: $timing:expr),* $(,)?) => {
        mod memory {
            #[allow(clippy::wildcard_imports, reason = "the rules, and what their times name")]
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                super::$name(&Directory::memory_with($timing)).await;
            })*
        }
        mod redis {
            #[allow(clippy::wildcard_imports, reason = "the rules, and what their times name")]
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let server = Server::start().await;
                super::$name(&server.directory($timing)).await;
            })*
        }

        /// All of them on one server, each in a cluster of its own, which thereby do not meet.
        #[tokio::test]
        async fn valkey_keeps_the_same_rules() {
            if !is_installed("valkey-server") {
                return;
            }
            let server = Server::with("valkey-server", &[]).await;
            let directory = |cluster, timing| Directory::redis_with(&server.config(), cluster, timing).unwrap();
            $(println!("{}", stringify!($name));
            $name(&directory(stringify!($name), $timing)).await;)*
        }
    };
}
