//! What the operating system says about this process.

/// Ticks of CPU time a second; fixed on Linux.
const TICKS: f64 = 100.0;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) resident_bytes: u64,
    pub(crate) cpu_seconds: f64,
}

/// Zeros where it cannot be read.
pub(crate) fn usage() -> Usage {
    Usage { resident_bytes: resident().unwrap_or_default(), cpu_seconds: cpu().unwrap_or_default() }
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

fn cpu() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name may hold spaces; what follows it does not. User and system time are the 14th and 15th field.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / TICKS)
}
