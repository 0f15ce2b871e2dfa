//! What the kernel grants the process: open files, and how memory is backed.

use rustix::{
    io,
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::disable_transparent_huge_pages,
};
use tracing::warn;

/// To be called before a role starts. What the kernel refuses is left as it is.
pub(crate) fn prepare() {
    if let Err(error) = small_pages() {
        warn!(%error, "cannot turn huge pages off: an idle session takes 1 MiB more");
    }
    if let Err(error) = raise_open_files() {
        warn!(%error, "cannot raise the limit of open files");
    }
}

/// The allocator asks for huge pages, with which the first byte in a recording's ring of 1 MiB would take all of it. Media hardly
/// gains by them: it is written once and read once.
fn small_pages() -> io::Result<()> {
    disable_transparent_huge_pages(true)
}

/// The soft limit is often 1024, for the sake of programs that use `select`. Each recording and each connection is an open file.
fn raise_open_files() -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
}
