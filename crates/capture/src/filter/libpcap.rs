//! The compiler of filter expressions, which is libpcap's: found when it is first needed, so that nothing else needs it.
#![allow(unsafe_code, reason = "calls into a C library that is loaded at run time")]

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_uint};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use joyfuljay_core::LinkType;
use libloading::Library;

use super::program::Insn;

/// Names the library to load in place of the system's.
pub const VARIABLE: &str = "JOYFULJAY_LIBPCAP";

/// Names of the library; that of Debian has kept the number of the first release.
#[cfg(target_os = "macos")]
const NAMES: &[&str] = &["libpcap.A.dylib", "libpcap.dylib", "/usr/lib/libpcap.A.dylib"];
#[cfg(windows)]
const NAMES: &[&str] = &["wpcap.dll"];
#[cfg(not(any(target_os = "macos", windows)))]
const NAMES: &[&str] = &["libpcap.so.1", "libpcap.so.0.8", "libpcap.so"];

/// `struct bpf_program`.
#[repr(C)]
struct BpfProgram {
    len: c_uint,
    insns: *mut Insn,
}

/// `pcap_t`, of which only libpcap knows more.
#[repr(C)]
struct Pcap {
    _opaque: [u8; 0],
}

type OpenOffline = unsafe extern "C" fn(*const c_char, *mut c_char) -> *mut Pcap;
type OpenDead = unsafe extern "C" fn(c_int, c_int) -> *mut Pcap;
type Compile = unsafe extern "C" fn(*mut Pcap, *mut BpfProgram, *const c_char, c_int, u32) -> c_int;
type GetErr = unsafe extern "C" fn(*mut Pcap) -> *const c_char;
type FreeCode = unsafe extern "C" fn(*mut BpfProgram);
type Close = unsafe extern "C" fn(*mut Pcap);
type LibVersion = unsafe extern "C" fn() -> *const c_char;

/// The functions that are used, and the library that must stay loaded for them.
struct Libpcap {
    open_offline: OpenOffline,
    open_dead: OpenDead,
    compile: Compile,
    geterr: GetErr,
    freecode: FreeCode,
    close: Close,
    /// The name it was loaded by, and what it says of itself.
    name: String,
    version: Option<LibVersion>,
    _library: Library,
}

/// Why there is no program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CompileError {
    /// There is no libpcap: what was tried, and what the system said.
    NoCompiler(String),
    /// What libpcap says of the expression.
    Refused(String),
}

/// Compiles an expression for frames of a link type. The instructions are not checked yet.
pub(super) fn compile(expression: &str, link: LinkType) -> Result<Vec<Insn>, CompileError> {
    let Ok(text) = CString::new(expression) else {
        return Err(CompileError::Refused("it has a zero byte in it".into()));
    };
    let guard = library().lock().unwrap_or_else(PoisonError::into_inner);
    match &*guard {
        Ok(libpcap) => libpcap.program(&text, link).map_err(CompileError::Refused),
        Err(problem) => Err(CompileError::NoCompiler(problem.clone())),
    }
}

/// The library that compiles filters: the name it was loaded by and its version in its own words; else what was tried.
pub fn compiler() -> Result<(String, String), String> {
    let guard = library().lock().unwrap_or_else(PoisonError::into_inner);
    guard.as_ref().map(|libpcap| (libpcap.name.clone(), libpcap.version())).map_err(Clone::clone)
}

/// The library behind a lock: compilers before version 1.8 keep their state in global variables.
fn library() -> &'static Mutex<Result<Libpcap, String>> {
    static LIBRARY: OnceLock<Mutex<Result<Libpcap, String>>> = OnceLock::new();
    LIBRARY.get_or_init(|| Mutex::new(load()))
}

fn load() -> Result<Libpcap, String> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Libpcap::load(&path).map_err(|e| format!("{VARIABLE} is {}: {e}", Path::new(&path).display()));
    }
    let mut problems = Vec::new();
    for name in NAMES {
        match Libpcap::load(&OsString::from(name)) {
            Ok(library) => return Ok(library),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    Err(problems.join("; "))
}

impl Libpcap {
    fn load(name: &OsString) -> Result<Self, libloading::Error> {
        // SAFETY: loading runs the initialisers of the library, and those of libpcap ask nothing of the caller. The signatures
        // are those of pcap/pcap.h, unchanged since version 0.7 (`pcap_geterr` became `const`-clean, not different). The
        // functions are only called while `_library` is alive.
        unsafe {
            let library = Library::new(name)?;
            Ok(Self {
                open_offline: *library.get::<OpenOffline>(b"pcap_open_offline\0")?,
                open_dead: *library.get::<OpenDead>(b"pcap_open_dead\0")?,
                compile: *library.get::<Compile>(b"pcap_compile\0")?,
                geterr: *library.get::<GetErr>(b"pcap_geterr\0")?,
                freecode: *library.get::<FreeCode>(b"pcap_freecode\0")?,
                close: *library.get::<Close>(b"pcap_close\0")?,
                name: Path::new(name).display().to_string(),
                version: library.get::<LibVersion>(b"pcap_lib_version\0").ok().map(|found| *found),
                _library: library,
            })
        }
    }

    /// A handle to compile for frames of a link type; null where there is no memory. It is that of an open capture where one can be opened:
    /// for it, libpcap leaves out what files do not say (`inbound`), and takes the address families of all BSDs in place of this system's.
    fn handle(&self, link: LinkType) -> *mut Pcap {
        #[cfg(unix)]
        if let Some(handle) = self.open_capture(link) {
            return handle;
        }
        // SAFETY: the function takes two numbers.
        unsafe { (self.open_dead)(data_link(link), SNAPLEN as c_int) }
    }

    #[cfg(unix)]
    fn open_capture(&self, link: LinkType) -> Option<*mut Pcap> {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        /// `PCAP_ERRBUF_SIZE`.
        const ERROR_LEN: usize = 256;
        let (capture, mut to) = std::io::pipe().ok()?;
        to.write_all(&empty_capture(link)).ok()?;
        drop(to);
        let path = CString::new(format!("/dev/fd/{}", capture.as_raw_fd())).ok()?;
        let mut problem = [0; ERROR_LEN];
        // SAFETY: the path ends with a zero and the buffer has the size that is asked for; both live until the function returns.
        let handle = unsafe { (self.open_offline)(path.as_ptr(), problem.as_mut_ptr()) };
        (!handle.is_null()).then_some(handle)
    }

    fn version(&self) -> String {
        let Some(version) = self.version else { return "a version that does not tell its number".into() };
        // SAFETY: the function takes nothing and gives a text that lives as long as the library, which is loaded; null is refused.
        let text = unsafe {
            let text = version();
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
        };
        text.trim().to_owned()
    }

    fn program(&self, expression: &CStr, link: LinkType) -> Result<Vec<Insn>, String> {
        const OPTIMIZE: c_int = 1;
        // What tcpdump takes where it reads a file: `ip broadcast` is 255.255.255.255 then.
        const NETMASK: u32 = 0;
        let mut program = BpfProgram { len: 0, insns: std::ptr::null_mut() };
        // SAFETY: the handle is one that libpcap made, checked for null and closed once, after its last use. The
        // expression is terminated by zero and lives until `pcap_compile` returns. After success `program` holds `len`
        // initialised instructions, copied before `pcap_freecode`. The error text lies in the handle, copied before it is closed.
        unsafe {
            let handle = self.handle(link);
            if handle.is_null() {
                return Err("libpcap has no memory".into());
            }
            let done = (self.compile)(handle, &raw mut program, expression.as_ptr(), OPTIMIZE, NETMASK);
            let result = if done == 0 && !program.insns.is_null() {
                let insns = std::slice::from_raw_parts(program.insns, program.len as usize).to_vec();
                (self.freecode)(&raw mut program);
                Ok(insns)
            } else {
                let text = (self.geterr)(handle);
                let text =
                    if text.is_null() { "no reason given".into() } else { CStr::from_ptr(text).to_string_lossy() };
                Err(text.trim().to_owned())
            };
            (self.close)(handle);
            result
        }
    }
}

/// What a program returns for a frame that matches: any number but 0 would do. It is tcpdump's largest snap length.
const SNAPLEN: u32 = 262_144;

/// A capture without frames: magic, version, zone, accuracy, snap length, link type.
fn empty_capture(link: LinkType) -> Vec<u8> {
    let [version, none] = [[2u16.to_ne_bytes(), 4u16.to_ne_bytes()].concat(), vec![0; 8]];
    let fields = [SNAPLEN, u32::from(link.0)].map(u32::to_ne_bytes).concat();
    [0xa1b2_c3d4_u32.to_ne_bytes().to_vec(), version, none, fields].concat()
}

/// The number that libpcap has in memory (`DLT_`) for a link type of files (`LINKTYPE_`): the same but for those whose
/// numbers systems had given to different things (pcap-common.c).
fn data_link(link: LinkType) -> c_int {
    match link {
        LinkType::ATM_RFC1483 => 11,
        LinkType::RAW if cfg!(target_os = "openbsd") => 14,
        LinkType::RAW => 12,
        LinkType::SLIP_BSDOS => 15,
        LinkType::PPP_BSDOS => 16,
        LinkType::ATM_CLIP => 19,
        LinkType::PFSYNC => 18,
        LinkType(other) => c_int::from(other),
    }
}
