//! The machine the figures belong to, and what its disk does with a sync.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use procfs::{Current, CurrentSI};
use serde::Serialize;

use crate::report::Spread;

/// `f_type` of a file system in memory, where a sync costs nothing (statfs(2)).
const TMPFS: u64 = 0x0102_1994;
const SYNCS: usize = 500;

/// What to know before comparing with another machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Name of the processor.
    pub processor: String,
    /// How many it has for us.
    pub cores: usize,
    /// Memory in GB.
    pub memory_gb: f64,
    /// Kernel release.
    pub kernel: String,
    /// Appending 4 KB and syncing it, in milliseconds: the price of one durable write without any server.
    pub sync_ms: Spread,
}

impl Machine {
    /// Looks at the machine and at the disk under `folder`; refuses a folder in memory.
    pub fn look(folder: &Path) -> Result<Self> {
        let kind = rustix::fs::statfs(folder)?.f_type;
        ensure!(
            u64::try_from(kind).ok() != Some(TMPFS),
            "{} is in memory, where a sync costs nothing: name a folder on a disk with --data",
            folder.display()
        );
        let processors = procfs::CpuInfo::current()?;
        let version = procfs::sys::kernel::Version::current()?;
        Ok(Self {
            processor: processors.model_name(0).unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            memory_gb: procfs::Meminfo::current()?.mem_total as f64 / 1e9,
            kernel: format!("{}.{}.{}", version.major, version.minor, version.patch),
            sync_ms: time_syncs(folder)?,
        })
    }

    /// One line for the head of the table.
    pub fn summary(&self) -> String {
        format!(
            "{} cores of {}, {:.0} GB, Linux {}; 4 KB append + fdatasync {:.2} ms",
            self.cores, self.processor, self.memory_gb, self.kernel, self.sync_ms.median
        )
    }
}

/// Processor time the whole machine has used so far, in seconds, without idling and waiting.
pub fn cpu_seconds() -> Result<f64> {
    let total = procfs::KernelStats::current()?.total;
    let interrupts = total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
    let ticks = total.user + total.nice + total.system + interrupts;
    Ok(ticks as f64 / procfs::ticks_per_second() as f64)
}

fn time_syncs(folder: &Path) -> Result<Spread> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begin = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    std::fs::remove_file(path)?;
    Ok(Spread::of(times))
}
