//! The command line.

use clap::{Parser, Subcommand};

use crate::{commands, controller, gateway, process::telemetry, standalone, worker};

/// Takes live media from WHIP encoders (RFC 9725) into a cluster, and hands it on.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) telemetry: telemetry::Config,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in this one process: gateway, worker, and a directory in memory
    Standalone(Box<standalone::Config>),
    /// Run a gateway of a cluster: it takes encoders' requests to workers
    Gateway(Box<gateway::Config>),
    /// Run a worker of a cluster: it takes encoders' media
    Worker(Box<worker::Config>),
    /// Run a controller beside a cluster on Kubernetes: it tells gateways of addresses, of pods that ended, of nodes that go
    Controller(Box<controller::Config>),
    /// List the workers of a cluster
    Workers(commands::list::Config),
    /// List the live streams of a cluster
    Streams(commands::list::Config),
    /// List the live sessions of a cluster, with their figures
    Sessions(commands::list::Sessions),
    /// Say why a session or a stream does not deliver, and what to do
    Explain(commands::explain::Config),
    /// Take workers out of service: no new sessions, live ones go on for a while
    Drain(commands::drain::Config),
    /// Say whether a process of a cluster is ready: for probes that run a program
    Health(commands::health::Config),
    /// Make the keys and certificates of a cluster
    Keygen(commands::keygen::Config),
    /// Make a token, or say what is in one
    Token(commands::token::Config),
    /// Publish a file, or a test picture, to a WHIP endpoint
    Publish(commands::publish::Config),
    /// Go an encoder's way to a WHIP endpoint, and say what is wrong where: DNS, TCP, TLS, token, offer, UDP
    Doctor(commands::doctor::Config),
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    /// What asks for something else than to serve.
    const FLAGS_ALONE: [&str; 3] = ["help", "version", "json"];

    #[test]
    fn every_setting_of_a_server_can_come_from_the_environment() {
        let args = Args::command();
        for server in ["standalone", "gateway", "worker", "controller"] {
            let server = args.find_subcommand(server).expect("a sub-command");
            let settings = server.get_arguments().chain(args.get_arguments());
            let without: Vec<_> = settings
                .filter(|arg| arg.get_env().is_none() && !FLAGS_ALONE.contains(&arg.get_id().as_str()))
                .map(clap::Arg::get_id)
                .collect();
            assert!(without.is_empty(), "{server}: {without:?}");
        }
    }

    /// Variables that do not follow from their flags: `--admin` is an address to listen on with servers, and a URL with commands; RUST_LOG
    /// is what every Rust program has.
    const IRREGULAR: [(&str, &str); 2] = [("admin", "WHIPCORD_ADMIN_URL"), ("log", "RUST_LOG")];

    #[test]
    fn a_variable_is_named_as_its_flag_is() {
        let args = Args::command();
        for command in args.get_subcommands() {
            for arg in command.get_arguments().chain(args.get_arguments()) {
                let (Some(flag), Some(env)) = (arg.get_long(), arg.get_env().and_then(|env| env.to_str())) else {
                    continue;
                };
                let regular = format!("WHIPCORD_{}", flag.replace('-', "_").to_uppercase());
                assert!(
                    env == regular || IRREGULAR.contains(&(flag, env)),
                    "{}: --{flag} is {env}",
                    command.get_name()
                );
            }
        }
    }

    /// `docs/settings.md` is written by this test: UPDATE_EXPECT=1 cargo test -p whipcord settings
    #[test]
    fn the_settings_are_written_down() {
        let mut settings: BTreeMap<(String, String), (bool, BTreeSet<&str>)> = BTreeMap::new();
        let args = Args::command();
        for command in args
            .get_subcommands()
            .filter(|command| command.get_subcommands().next().is_none())
        {
            for arg in command.get_arguments().chain(args.get_arguments()) {
                let (Some(flag), Some(env)) = (arg.get_long(), arg.get_env().and_then(|env| env.to_str())) else {
                    continue;
                };
                let (has_several, commands) = settings.entry((flag.to_owned(), env.to_owned())).or_default();
                *has_several |= arg.get_value_delimiter() == Some(',');
                commands.insert(command.get_name());
            }
        }
        let all: BTreeSet<&str> = settings.values().flat_map(|(_, commands)| commands).copied().collect();
        let mut text = SETTINGS_HEAD.to_owned();
        for ((flag, env), (has_several, commands)) in &settings {
            let several = if *has_several { "yes" } else { "" };
            let commands = if *commands == all {
                "all".to_owned()
            } else {
                commands.iter().copied().collect::<Vec<_>>().join(", ")
            };
            text += &format!("| `--{flag}` | `{env}` | {several} | {commands} |\n");
        }
        expect_test::expect_file!["../../../docs/settings.md"].assert_eq(&text);
    }

    const SETTINGS_HEAD: &str = "\
# Settings

Each flag of a server is an environment variable too: `WHIPCORD_`, the flag in capitals, `_` for `-`. A flag on the command line wins. Where several values are allowed, the flag is given again and again, and the
variable has commas between them. A flag without a value is set by `true`. `whipcord COMMAND --help` says what each is for. This table is made by a test, from the command line itself.

| flag | variable | several | of |
|---|---|---|---|
";
}
