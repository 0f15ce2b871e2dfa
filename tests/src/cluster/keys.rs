//! The key files of a cluster's processes.

use std::{fs, path::PathBuf};

use super::Cluster;

/// What `whipcord keygen --rotate` changes.
pub const KEY_FILES: [&str; 2] = ["session.keys", "ice.keys"];

impl Cluster {
    /// A process's own copies of the key files, made before it starts for the first time.
    pub fn keys(&self, role: &str, n: usize) -> PathBuf {
        let folder = self.folder.path().join(format!("{role}-{n}"));
        if !folder.exists() {
            fs::create_dir(&folder).expect("a folder can be made");
            for file in KEY_FILES {
                fs::copy(self.folder.path().join(file), folder.join(file)).expect("a file can be copied");
            }
        }
        folder
    }
}
