//! What the command line may say.

use std::path::PathBuf;

use clap::Parser;

const EXAMPLE: &str = "Example: all systems, as `make bench` runs them, from the repository's root
  patchbay-bench --rounds 5 --seconds 3 --connections 1,16,64,256 --users 100000 --out bench/results

Example: a two-minute look at updates alone
  patchbay-bench --rounds 2 --seconds 1 --only patchbay-update --only slapd --label quick";

/// Measures Patchbay beside its own ceiling, OpenLDAP and PocketBase, in turns, on this machine.
#[derive(Debug, Parser)]
#[command(name = "patchbay-bench", version, after_help = EXAMPLE)]
pub struct Options {
    /// How often every system is measured at every connection count.
    #[arg(long, default_value_t = 5, value_parser = at_least_one)]
    pub rounds: usize,
    /// Length of one measurement.
    #[arg(long, default_value_t = 3.0, value_parser = positive)]
    pub seconds: f64,
    /// Load before each measurement that is not counted.
    #[arg(long, default_value_t = 0.5, value_parser = positive)]
    pub warm_up: f64,
    /// Connection counts; each connection has one request in flight.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256", value_parser = at_least_one)]
    pub connections: Vec<usize>,
    /// Users loaded into every system.
    #[arg(long, default_value_t = 100_000, value_parser = at_least_one)]
    pub users: usize,
    /// Measure only systems whose name starts so; may be repeated. Patchbay's other dialects are measured only if they are named:
    /// nerm, softwareone, trusted-twin.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Where the JSON, the text table and the plot go.
    #[arg(long, default_value = "bench/results")]
    pub out: PathBuf,
    /// File name, without ending, of the results.
    #[arg(long, default_value = "latest")]
    pub label: String,
    /// The Patchbay binary to measure.
    #[arg(long, default_value = "target/release/patchbay")]
    pub patchbay: PathBuf,
    /// Where downloaded peers are kept between runs.
    #[arg(long, default_value = "bench/target/peers")]
    pub tools: PathBuf,
    /// Folder on a disk for the servers' data during the run [default: the temporary folder].
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// How often Patchbay is started to time its first reply.
    #[arg(long, default_value_t = 20, value_parser = at_least_one)]
    pub starts: usize,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("not a whole number: {error}")),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be seconds, from 0.01 to 3600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_make_bench() {
        let options = Options::parse_from(["patchbay-bench"]);
        assert_eq!((options.rounds, options.users, options.starts), (5, 100_000, 20));
        assert_eq!(options.connections, [1, 16, 64, 256]);
    }

    #[test]
    fn zero_connections_and_negative_times_are_refused() {
        assert!(Options::try_parse_from(["patchbay-bench", "--seconds=-1"]).is_err());
        assert!(Options::try_parse_from(["patchbay-bench", "--connections", "1,0"]).is_err());
    }
}
