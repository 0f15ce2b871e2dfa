//! Another host on the network of a Whipcord: a network namespace of its own at the far end of its cable, whose address can change.

use std::{path::Path, process::Command};

use crate::{output, space::Space, whipcord::Whipcord};

/// Where it is at first, and where it goes; Whipcord is 10.77.0.1.
const HERE: &str = "10.77.0.2";
const THERE: &str = "10.77.0.3";

/// Gone when dropped.
#[derive(Debug)]
pub struct Host {
    space: Space,
}

impl Host {
    /// At the end of the cable of [`Whipcord::standalone_on_lan`].
    ///
    /// # Panics
    /// When not run as root.
    pub fn of(whipcord: &Whipcord) -> Self {
        let host = Self { space: Space::new() };
        let id = host.space.id().to_string();
        output(
            whipcord
                .neighbour(Path::new("ip"))
                .args(["link", "set", "lan1", "netns", &id]),
        );
        host.arrive(HERE);
        host
    }

    /// A command that runs there.
    pub(crate) fn command(&self, program: &Path) -> Command {
        self.space.command(program)
    }

    /// The cable is pulled, and with it the address is gone.
    pub fn leave(&self) {
        self.space.run("ip address flush dev lan1 && ip link set lan1 down");
    }

    /// It is back, at another address.
    pub fn come_back_elsewhere(&self) {
        self.arrive(THERE);
    }

    fn arrive(&self, address: &str) {
        // Chromium takes its address from the default route.
        self.space.run(&format!(
            "ip link set lan1 up && ip address add {address}/24 dev lan1 && ip route add default via 10.77.0.1"
        ));
    }
}
