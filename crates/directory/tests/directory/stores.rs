//! Every store there is, for the rules that hold for all.

/// Makes a test of each rule for each store; a rule is a function over any directory.
macro_rules! rules {
    ($($name:ident: $timing:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&whipcord_directory::Directory::memory_with(crate::bed::$timing)).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                let server = crate::server::Server::start().await;
                super::$name(&server.directory(crate::bed::$timing)).await;
            })*
        }

        /// All of them at once on one server, each in a cluster of its own, which thereby do not meet.
        #[tokio::test]
        async fn valkey_keeps_the_same_rules() {
            if !is_installed("valkey-server") {
                return;
            }
            let server = Server::with("valkey-server", &[]).await;
            let clusters = std::cell::Cell::new(0);
            let directory = |timing| {
                clusters.set(clusters.get() + 1);
                let cluster = format!("rule-{}", clusters.get()).parse().unwrap();
                Directory::redis_with(&server.config(), &cluster, timing).unwrap()
            };
            tokio::join!($(Box::pin(async { $name(&directory(crate::bed::$timing)).await })),*);
        }
    };
}
