//! What a sensor serves: interfaces, captures or a pipe, by their names.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use joyfuljay_capture::filter::Filter;
use joyfuljay_capture::live::{self, LiveOptions, LiveSource};
use joyfuljay_capture::process::{OfProcess, Process};
use joyfuljay_core::frame::FrameFilter;
use joyfuljay_io::source::{CaptureOptions, CaptureSet, PacketSource, SourceError};
use joyfuljay_remote::server::{Input, Open, Opened, identity};

use crate::Error;

/// What to serve.
#[derive(Clone, Debug, Default)]
pub struct Sensor {
    /// Interfaces, or captures as they are named for a run.
    pub inputs: Vec<String>,
    /// How to capture from interfaces.
    pub options: LiveOptions,
    /// Whose packets alone.
    pub process: Option<Process>,
    /// Which packets alone, in the language of tcpdump.
    pub filter: Option<String>,
}

impl Sensor {
    /// Begins to capture from its interfaces.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn capture(&self) -> Result<Box<dyn PacketSource>, SourceError> {
        let source = Box::new(LiveSource::open(&self.inputs, &self.options)?);
        Ok(match &self.process {
            Some(process) => Box::new(OfProcess::new(source, process.clone())?),
            None => source,
        })
    }

    /// What a server serves then. What cannot be opened is an error now, not one of the first client.
    ///
    /// # Errors
    /// When an input cannot be opened, there are interfaces among captures, or the filter is none.
    pub fn input(mut self) -> Result<Input, Error> {
        let filter = match self.filter.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(expression) => Some(Filter::new(expression)?),
        };
        self.options.filter.clone_from(&filter);
        let filtered =
            move |source| Opened { source, filter: filter.clone().map(|f| Box::new(f) as Box<dyn FrameFilter>) };
        let links = live::interfaces().unwrap_or_default();
        let waits = self.options.wait_for_interface;
        let is_interface = |name: &String| name == live::ANY || links.iter().any(|link| link.name == *name) || waits;
        let interfaces = self.inputs.iter().filter(|name| is_interface(name)).count();
        if interfaces == self.inputs.len() && interfaces > 0 {
            drop(self.capture()?);
            let open: Open = Arc::new(move || self.capture().map(&filtered));
            return Ok(Input::Stream { open });
        }
        if interfaces > 0 {
            let problem = "a sensor serves interfaces or captures, not both".into();
            return Err(SourceError::Interface { name: self.inputs.join(", "), problem }.into());
        }
        let nowhere = |name: &&String| *name != "-" && !name.contains(['*', '?', '[']) && !Path::new(name).exists();
        if let Some(name) = self.inputs.iter().find(nowhere) {
            let there: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
            let problem = format!(
                "there is no such interface and no such file; interfaces are {}, and `any` for all",
                there.join(", ")
            );
            return Err(SourceError::Interface { name: name.clone(), problem }.into());
        }
        let source = CaptureSet::open(&self.inputs, &CaptureOptions::default())?;
        if source.has_streams() {
            let first = Mutex::new(Some(source));
            let name = self.inputs.join(", ");
            let open: Open = Arc::new(move || {
                let source = first.lock().unwrap_or_else(PoisonError::into_inner).take();
                let read = || SourceError::Header { path: name.clone(), problem: "was read to its end".into() };
                Ok(filtered(Box::new(source.ok_or_else(read)?)))
            });
            return Ok(Input::Stream { open });
        }
        let identity = identity(&self.inputs, self.filter.as_deref());
        let inputs = self.inputs;
        let open: Open =
            Arc::new(move || Ok(filtered(Box::new(CaptureSet::open(&inputs, &CaptureOptions::default())?))));
        Ok(Input::Stored { open, identity })
    }
}
