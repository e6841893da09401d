//! What a run reads: captures by their paths, or a Python object that is open for reading.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use joyfuljay::Pipeline;
use joyfuljay_capture::filter::Filter;
use joyfuljay_core::metrics::Mode;
use joyfuljay_io::save::CaptureWriter;
use joyfuljay_io::source::{CaptureOptions, CaptureReader, CaptureSet, PacketSource, SourceError};
use pyo3::intern;
use pyo3::prelude::*;

use crate::live::Live;
use crate::slices::Slice;

/// Interfaces, paths, or an object with `read`.
#[derive(FromPyObject)]
pub enum Input {
    #[pyo3(transparent)]
    Live(Py<Live>),
    #[pyo3(transparent)]
    Slice(Py<Slice>),
    #[pyo3(transparent)]
    Paths(Vec<PathBuf>),
    #[pyo3(transparent)]
    Open(Py<PyAny>),
}

/// Bytes asked for at once: the interpreter is taken once for so many.
const CHUNK: usize = 1 << 20;

impl Input {
    /// The mode that metrics are told.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Live(live) => live.get().mode(),
            Self::Slice(_) | Self::Paths(_) | Self::Open(_) => Mode::Pcap,
        }
    }

    /// Opens it, with a filter for what can leave frames out by itself; the interpreter must not be held.
    pub fn open(self, filter: Option<&Filter>) -> Result<Opened, joyfuljay::Error> {
        Ok(match self {
            Self::Live(live) => {
                let (source, saving) = live.get().open(filter)?;
                Opened::Live(source, saving)
            }
            Self::Slice(slice) => Opened::Slice(slice),
            Self::Paths(paths) => Opened::Files(CaptureSet::open(&paths, &CaptureOptions::default())?),
            Self::Open(object) => {
                let name = Python::attach(|py| {
                    let name = object.bind(py).getattr_opt(intern!(py, "name")).ok().flatten();
                    name.and_then(|n| n.extract::<String>().ok()).unwrap_or_else(|| "<input>".to_owned())
                });
                Opened::Object(CaptureReader::from_reader(&name, Reader::new(object))?)
            }
        })
    }
}

/// An input that can be read.
pub enum Opened {
    Live(Box<dyn PacketSource>, Option<CaptureWriter>),
    Slice(Py<Slice>),
    Files(CaptureSet),
    Object(CaptureReader),
}

impl Opened {
    /// The files, where it is some.
    pub fn files(&self) -> Option<&CaptureSet> {
        match self {
            Self::Files(set) => Some(set),
            Self::Live(..) | Self::Slice(_) | Self::Object(_) => None,
        }
    }

    /// Takes the file that rows will go to out of what is read, as [`CaptureSet::exclude_output`] does.
    pub fn exclude_output(&mut self, output: &Path) -> Result<(), SourceError> {
        match self {
            Self::Files(set) => set.exclude_output(output),
            Self::Object(_) | Self::Live(..) | Self::Slice(_) => Ok(()),
        }
    }

    /// Whether it has no end of its own; what a Python object reads is taken for a file.
    pub fn is_stream(&self) -> bool {
        match self {
            Self::Live(source, _) => source.is_stream(),
            Self::Files(set) => set.is_stream(),
            Self::Object(_) | Self::Slice(_) => false,
        }
    }

    /// Whether Ctrl-C ends the input and not the run.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live(..))
    }

    /// What is to keep its packets.
    pub fn take_saving(&mut self) -> Option<CaptureWriter> {
        match self {
            Self::Live(_, saving) => saving.take(),
            Self::Files(_) | Self::Object(_) | Self::Slice(_) => None,
        }
    }

    /// What a run of this pipeline reads; the interpreter must not be held. How far a slice reads back depends on the configuration.
    pub fn source(self, pipeline: &Pipeline) -> Result<Box<dyn PacketSource>, joyfuljay::Error> {
        Ok(match self {
            Self::Live(source, _) => source,
            Self::Files(set) => Box::new(set),
            Self::Object(reader) => Box::new(reader),
            Self::Slice(slice) => {
                let slice = slice.get();
                Box::new(slice.task.open(slice.store(), pipeline)?)
            }
        })
    }
}

/// Reads from a Python object, on whatever thread a run has.
pub struct Reader {
    object: Py<PyAny>,
    chunk: Vec<u8>,
    at: usize,
}

impl Reader {
    pub fn new(object: Py<PyAny>) -> Self {
        Self { object, chunk: Vec::new(), at: 0 }
    }

    fn fill(&mut self) -> io::Result<()> {
        let read = Python::try_attach(|py| {
            let bytes = self.object.bind(py).call_method1(intern!(py, "read"), (CHUNK,))?;
            if bytes.is_none() {
                // What a raw file says that would have to wait.
                return Err(pyo3::exceptions::PyBlockingIOError::new_err(
                    "the file does not block and has nothing now",
                ));
            }
            let bytes = bytes.extract::<&[u8]>().map_err(|_| {
                let kind = bytes.get_type();
                pyo3::exceptions::PyTypeError::new_err(format!("read() gave {kind}, not bytes: open it in binary mode"))
            })?;
            self.chunk.clear();
            self.chunk.extend_from_slice(bytes);
            Ok(())
        });
        self.at = 0;
        match read {
            Some(result) => result.map_err(|e: PyErr| io::Error::other(e)),
            None => Err(io::Error::other("the interpreter is shutting down")),
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.chunk.len() {
            self.fill()?;
        }
        let mut rest = self.chunk.get(self.at..).unwrap_or_default();
        let n = rest.read(buf)?;
        self.at += n;
        Ok(n)
    }
}
