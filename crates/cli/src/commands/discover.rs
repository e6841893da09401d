//! `jj discover`: sensors of the local network.

use clap::Args;
use joyfuljay_remote::discovery;
use serde_json::json;

use super::running;
use crate::error::CliError;
use crate::options::number;
use crate::{out, say};

/// Sensors of the local network that announce themselves (jj serve --announce).
#[derive(Debug, Args)]
#[command(
    after_help = "What is found is not trusted by that: connecting needs the token, and with TLS the right certificate."
)]
pub struct Discover {
    /// How long to look for them.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = number)]
    timeout: f64,
    /// An array of objects instead of lines.
    #[arg(long)]
    json: bool,
}

impl Discover {
    pub fn run(self) -> Result<(), CliError> {
        let found = discovery::discover(running::duration("--timeout", self.timeout)?).map_err(CliError::Failed)?;
        if self.json {
            let servers: Vec<_> = found
                .iter()
                .map(|f| json!({"name": f.name, "address": f.address, "port": f.port, "addresses": f.addresses, "properties": f.properties}))
                .collect();
            return out::print_json(&servers.into());
        }
        if found.is_empty() {
            say::line(
                "no sensors answered: those that announce themselves (jj serve --announce) are found, in this network",
            );
        }
        for f in &found {
            let place = std::net::SocketAddr::new(f.address, f.port);
            let tls = if f.properties.get("tls").is_some_and(|tls| tls == "1") { "?tls=1" } else { "" };
            let name = f.name.strip_suffix(discovery::SERVICE).unwrap_or(&f.name).trim_end_matches('.');
            out::print(&format!("jj://{place}{tls}  {}\n", say::printable(name)))?;
        }
        Ok(())
    }
}
