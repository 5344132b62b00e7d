//! `serve`: reads the configuration, opens the server, says where it is, stops on a signal.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use ostracon_server::{
    Server,
    config::{Config, Flags, Log, LogFormat},
    offline,
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::output;

/// What overrides the configuration.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Folder that holds everything stored [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// No rate limits, for load tests
    #[arg(long)]
    no_rate_limits: bool,
    /// Create alice, bob and carol if there is no user yet, and print their passwords once
    #[arg(long)]
    demo: bool,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How log lines look
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Serve {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        let flags = Flags {
            data_dir: self.data_dir,
            listen: self.listen,
            no_rate_limits: self.no_rate_limits,
            log_level: self.log_level,
            log_format: self.log_format.map(|format| match format {
                Format::Text => LogFormat::Text,
                Format::Json => LogFormat::Json,
            }),
        };
        let config = Config::load(self.config.as_deref(), std::env::vars(), flags)?;
        offline::check_finished(&config.data_dir)?;
        start_log(&config.log)?;
        super::full_runtime()?.block_on(serve(config, self.demo, json))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn serve(config: Config, demo: bool, json: bool) -> Result<()> {
    // From here on a signal ends it in order, also while it is still opening.
    let stop = stop_on_signals()?;
    let listen = config.listen.clone();
    let data_dir = config.data_dir.clone();
    let server = tokio::select! {
        server = Box::pin(Server::open(config)) => server?,
        () = stop.cancelled() => return Ok(()),
    };
    let listener =
        TcpListener::bind(&listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let demo_users = if demo { server.demo_users().await? } else { Vec::new() };
    say_ready(&url, &data_dir, &demo_users, json)?;
    Box::pin(server.serve(listener, stop)).await;
    Ok(())
}

fn say_ready(
    url: &str,
    data_dir: &Path,
    demo_users: &[ostracon_server::DemoUser],
    json: bool,
) -> Result<()> {
    if json {
        let users: Vec<_> = demo_users
            .iter()
            .map(|user| json!({ "username": user.username, "password": user.password }))
            .collect();
        return output::line(json!({
            "ready": true,
            "url": url,
            "data_dir": data_dir,
            "pid": std::process::id(),
            "demo_users": users,
        }));
    }
    for user in demo_users {
        output::line(format!(
            "Made user {}, password {} (it is not shown again).",
            user.username, user.password
        ))?;
    }
    output::line(format!("Ostracon is ready on {url}, data in {}.", data_dir.display()))
}

/// SIGTERM or SIGINT stops in order; a second one at once.
fn stop_on_signals() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        stopping.cancel();
        either(&mut terminate, &mut interrupt).await;
        // Nothing that was acked is lost: the next start replays the journal.
        std::process::exit(130);
    });
    Ok(stop)
}

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}

fn start_log(log: &Log) -> Result<()> {
    let filter = EnvFilter::try_new(&log.level)
        .with_context(|| format!("log.level: {:?} is no level and no filter", log.level))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log did not start: {error}"))
}
