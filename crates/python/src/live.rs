//! Network interfaces as the input of a run.

use std::path::PathBuf;
use std::time::Duration;

use joyfuljay::remote::client::{ClientOptions, RemoteSource};
use joyfuljay::remote::url::{SensorUrl, is_sensor};
use joyfuljay::remote::{Token, Trust};
use joyfuljay_capture::filter::Filter;
use joyfuljay_capture::live::{LiveOptions, LiveSource};
use joyfuljay_capture::process::{OfProcess, Process};
use joyfuljay_core::metrics::Mode;
use joyfuljay_io::save::{CaptureWriter, Rotation};
use joyfuljay_io::source::{PacketSource, SourceError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Network interfaces or a remote sensor to capture from, where captures could be read.
#[pyclass(frozen, module = "joyfuljay")]
pub struct Live {
    interfaces: Vec<String>,
    options: LiveOptions,
    process: Option<Process>,
    remote: Option<(SensorUrl, ClientOptions)>,
    /// Where the packets are kept.
    save_pcap: Option<PathBuf>,
}

#[pymethods]
impl Live {
    /// One interface may be the address of a sensor (`jj://…`): `token` is then what it wants to see, if that is not in the address or in
    /// JOYFULJAY_TOKEN; the certificate is compared with the system's authorities or those of `tls_ca`. `duration` in seconds, None for no end; of frames `snaplen` bytes are kept, 0 for all; with `pid` or `process` (a name) only
    /// packets of that process are left. The packets of a run are written to `save_pcap`, too.
    #[new]
    #[pyo3(signature = (interfaces, duration=None, *, snaplen=0, promiscuous=true, pid=None, process=None, token=None, tls_ca=None, tls_insecure=false, save_pcap=None))]
    #[allow(clippy::too_many_arguments)] // one for each option
    fn new(
        interfaces: Vec<String>,
        duration: Option<f64>,
        snaplen: u32,
        promiscuous: bool,
        pid: Option<u32>,
        process: Option<String>,
        token: Option<String>,
        tls_ca: Option<PathBuf>,
        tls_insecure: bool,
        save_pcap: Option<PathBuf>,
    ) -> PyResult<Self> {
        let wrong = |what: &str| PyValueError::new_err(what.to_owned());
        let mut options = LiveOptions::default();
        options.snaplen = snaplen;
        options.promiscuous = promiscuous;
        options.duration = match duration {
            None => None,
            Some(seconds) => Some(
                Duration::try_from_secs_f64(seconds)
                    .ok()
                    .filter(|d| !d.is_zero() && *d <= LiveOptions::MAX_DURATION)
                    .ok_or_else(|| wrong("duration: seconds, above 0 and up to a century"))?,
            ),
        };
        let process = match (pid, process) {
            (Some(_), Some(_)) => return Err(wrong("pid and process: one of them")),
            (Some(pid), None) => Some(Process::Pid(pid)),
            (None, name) => name.map(Process::Name),
        };
        let remote = match interfaces.as_slice() {
            [url] if is_sensor(url) => {
                let url = SensorUrl::parse(url).map_err(|e| wrong(&e))?;
                if process.is_some() || snaplen != 0 {
                    return Err(wrong("pid, process and snaplen are for interfaces of this machine"));
                }
                let given = token.or_else(|| url.token.clone()).or_else(|| std::env::var("JOYFULJAY_TOKEN").ok());
                let given = given.ok_or_else(|| wrong("the sensor wants a token: token=..., or JOYFULJAY_TOKEN"))?;
                let mut client = ClientOptions::new(Token::new(&given).map_err(|e| wrong(&e))?);
                client.trust = Trust { ca: tls_ca, insecure: tls_insecure, identity: None };
                client.duration = options.duration;
                Some((url, client))
            }
            _ if token.is_some() || tls_ca.is_some() || tls_insecure => {
                return Err(wrong("token, tls_ca and tls_insecure go with the address of one sensor, jj://HOST:PORT"));
            }
            _ => None,
        };
        Ok(Self { interfaces, options, process, remote, save_pcap })
    }
}

impl Live {
    /// The kind of its runs.
    pub fn mode(&self) -> Mode {
        if self.remote.is_some() { Mode::Remote } else { Mode::Live }
    }

    /// Begins to capture. The file for its packets is made first, as it is removed again where there will be none.
    pub fn open(
        &self,
        filter: Option<&Filter>,
    ) -> Result<(Box<dyn PacketSource>, Option<CaptureWriter>), joyfuljay::Error> {
        let saving =
            self.save_pcap.as_deref().map(|path| CaptureWriter::create(path, Rotation::default())).transpose()?;
        match self.source(filter) {
            Ok(source) => Ok((source, saving)),
            Err(error) => {
                saving.into_iter().for_each(CaptureWriter::discard);
                Err(error.into())
            }
        }
    }

    fn source(&self, filter: Option<&Filter>) -> Result<Box<dyn PacketSource>, SourceError> {
        if let Some((url, client)) = &self.remote {
            return Ok(Box::new(RemoteSource::connect(url, client)?));
        }
        let mut options = self.options.clone();
        options.filter = filter.cloned();
        let source = Box::new(LiveSource::open(&self.interfaces, &options)?);
        Ok(match &self.process {
            Some(process) => Box::new(OfProcess::new(source, process.clone())?),
            None => source,
        })
    }
}
