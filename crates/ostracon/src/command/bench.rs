//! `bench`: load against a running server, and its figures.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Args, builder::PossibleValuesParser};
use ostracon_bench::{Latency, Options, Report, Workload};

use crate::output;

/// A run of the load tool.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What kind of load
    #[arg(value_parser = PossibleValuesParser::new(Workload::ALL.map(|(name, _)| name)))]
    workload: String,
    /// Address of the server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Data directory of the same server, whose admin socket makes the users of the run
    #[arg(long, value_name = "DIR", default_value = "data", env = "OSTRACON_DATA_DIR")]
    data_dir: std::path::PathBuf,
    /// Seconds of load
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Pairs, groups, connections or devices, as the workload counts
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    scale: Option<u32>,
    /// Messages in flight for each sender
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: Option<u32>,
    /// Commands a second of all senders together, on a beat (`mixed`, `presence`, `biggroup`); without it, the workload's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

impl Bench {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        let workload = Workload::from_name(&self.workload).context("no such workload")?;
        let report = ostracon_bench::run(&Options {
            workload,
            url: self.url,
            data_dir: self.data_dir,
            span: Duration::from_secs(self.seconds),
            scale: self.scale.map(|scale| scale as usize),
            in_flight: self.in_flight.map(|in_flight| in_flight as usize),
            rate: self.rate.map(f64::from),
            progress: |text| output::remark(text),
        })?;
        if json {
            output::json(&report)?;
        } else {
            output::line(table(&report))?;
        }
        if report.acked == 0 {
            bail!("nothing was answered");
        }
        Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn table(report: &Report) -> comfy_table::Table {
    let latency = |ms: &Latency| {
        format!("p50 {:.2}  p99 {:.2}  p99.9 {:.2}  max {:.2}", ms.p50, ms.p99, ms.p999, ms.max)
    };
    let mut rows = vec![
        ("seconds of load", format!("{:.1}", report.seconds)),
        ("answered", output::number(report.acked)),
        ("answered a second", output::number(report.acked_per_s as u64)),
        ("delivered a second", output::number(report.delivered_per_s as u64)),
        ("to the answer, ms", latency(&report.ack_ms)),
        ("to the delivery, ms", latency(&report.delivery_ms)),
        ("server CPU, µs each", format!("{:.1}", report.server_cpu_us_per_message)),
        ("server CPU, µs a delivery", format!("{:.1}", report.server_cpu_us_per_delivery)),
        ("own CPU, µs each", format!("{:.1}", report.client_cpu_us_per_message)),
        ("server memory, MiB", format!("{:.1}", report.server_rss_mib)),
        ("last third to first third", format!("{:.2}", report.last_third_ratio)),
        ("fdatasync p50, µs", format!("{:.0}", report.fsync_us_p50)),
        ("not in the tables 2 s later", output::bytes(report.pending_bytes_after_2_s)),
        ("lost", output::number(report.lost)),
        ("doubled", output::number(report.duplicated)),
        ("out of order", output::number(report.reordered)),
        ("refused", output::number(report.refused)),
    ]
    .into_iter()
    .map(|(name, value)| vec![name.to_owned(), value])
    .collect::<Vec<_>>();
    rows.extend(
        report
            .extra
            .iter()
            .map(|(name, value)| vec![name.replace('_', " "), format!("{value:.2}")]),
    );
    output::table(&[&report.workload, ""], &[1], rows)
}
