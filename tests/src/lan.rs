//! Another host on the network of a Whipcord: a network namespace of its own at the far end of its cable, whose address can change.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{output, whipcord::Whipcord};

/// Where it is at first, and where it goes; Whipcord is 10.77.0.1.
const HERE: &str = "10.77.0.2";
const THERE: &str = "10.77.0.3";

/// It is there for as long as the process that waits in it.
#[derive(Debug)]
pub struct Host {
    holder: Child,
}

impl Host {
    /// At the end of the cable of [`Whipcord::standalone_on_lan`].
    ///
    /// # Panics
    /// When not run as root.
    pub fn of(whipcord: &Whipcord) -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare can be started");
        let stdout = holder.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("its line is text");
        assert_eq!(line, "up\n", "a namespace can be made by root only");
        let host = Self { holder };
        let pid = host.holder.id().to_string();
        output(
            whipcord
                .neighbour(Path::new("ip"))
                .args(["link", "set", "lan1", "netns", &pid]),
        );
        host.arrive(HERE);
        host
    }

    /// A command that runs there.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id()));
        command.arg(program);
        command
    }

    /// The cable is pulled, and with it the address is gone.
    pub fn leave(&self) {
        self.run("ip address flush dev lan1 && ip link set lan1 down");
    }

    /// It is back, at another address.
    pub fn come_back_elsewhere(&self) {
        self.arrive(THERE);
    }

    fn arrive(&self, address: &str) {
        // Chromium takes its address from the default route.
        self.run(&format!(
            "ip link set lan1 up && ip address add {address}/24 dev lan1 && ip route add default via 10.77.0.1"
        ));
    }

    fn run(&self, line: &str) {
        output(self.command(Path::new("sh")).args(["-c", line]));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
