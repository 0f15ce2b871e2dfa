//! Log lines on stderr, each with the trace it belongs to.

use std::{fmt, io};

use opentelemetry::{Context, trace::TraceContextExt as _};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, JsonFields, Writer},
    },
    registry::LookupSpan,
};

use super::levels::Levels;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    /// What to log: a level, or targets with levels, as in whipcord_worker=debug,info
    #[arg(
        long,
        global = true,
        display_order = 900,
        env = "RUST_LOG",
        value_name = "FILTER",
        hide_env = true
    )]
    log: Option<String>,
    /// How to log
    #[arg(
        long,
        global = true,
        display_order = 901,
        env = "WHIPCORD_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_env = true
    )]
    log_format: Shape,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Shape {
    #[default]
    Text,
    Json,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the log filter cannot be read: {0}; give a level, or targets with levels, as in --log whipcord_worker=debug,info"
)]
pub(crate) struct FilterError(#[from] ParseError);

/// Protocol crates that report each stray packet and each candidate pair that does not work as an error, and each step of
/// the in-process gRPC, and of setting up telemetry. What matters of it our own crates say.
const QUIET: &str = "rtc=off,rtc_dtls=off,rtc_sctp=off,rtc_ice=off,rtc_stun=off,rtc_interceptor=off,rtc_mdns=off,webrtc=off,\
                     rustls_platform_verifier=off,opentelemetry=warn,h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn,rustls=warn,mio=warn";

/// Installs the subscriber of this process.
pub(crate) fn install(config: &Config, default_level: &str) -> Result<Levels, FilterError> {
    let directives = config
        .log
        .as_deref()
        .filter(|filter| !filter.is_empty())
        .unwrap_or(default_level);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(directives)?)
        .with_writer(io::stderr);
    let first = directives.to_owned();
    Ok(match config.log_format {
        Shape::Text => {
            let ansi = io::IsTerminal::is_terminal(&io::stderr());
            let subscriber = subscriber
                .event_format(Traced::Text(Format::default().with_ansi(ansi)))
                .with_filter_reloading();
            let handle = subscriber.reload_handle();
            subscriber.init();
            Levels::new(first, move |filter| handle.reload(filter))
        }
        Shape::Json => {
            let subscriber = subscriber
                .fmt_fields(JsonFields::new())
                .event_format(Traced::Json(Format::default().json().flatten_event(true)))
                .with_filter_reloading();
            let handle = subscriber.reload_handle();
            subscriber.init();
            Levels::new(first, move |filter| handle.reload(filter))
        }
    })
}

/// What the user names comes last, and wins over [`QUIET`]. The values of fields are no regular expressions: a few dozen bytes of one can
/// take all memory.
pub(super) fn filter(directives: &str) -> Result<EnvFilter, FilterError> {
    let builder = EnvFilter::builder().with_regex(false);
    Ok(builder.parse(format!("{QUIET},{directives}"))?)
}

/// A line, and at its end the trace it belongs to, where one is recorded.
enum Traced {
    Text(Format),
    Json(Format<Json>),
}

impl<S, N> FormatEvent<S, N> for Traced
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let trace = Context::map_current(|current| current.span().span_context().clone());
        if !trace.is_sampled() {
            return match self {
                Self::Text(line) => line.format_event(context, writer, event),
                Self::Json(line) => line.format_event(context, writer, event),
            };
        }
        let mut line = String::new();
        let buffer = Writer::new(&mut line);
        let trace_id = trace.trace_id();
        match self {
            Self::Text(format) => {
                format.format_event(context, buffer, event)?;
                writeln!(writer, "{} trace_id={trace_id}", line.trim_end_matches('\n'))
            }
            Self::Json(format) => {
                format.format_event(context, buffer, event)?;
                let object = line.trim_end_matches('\n').trim_end_matches('}');
                writeln!(writer, r#"{object},"trace_id":"{trace_id}"}}"#)
            }
        }
    }
}
