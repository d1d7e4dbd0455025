//! The library of MPI: found, loaded, and its functions behind a trait that knows nothing of its interface.

use std::env;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;

use libloading::Library as Loaded;
use tidemill_collective::tensor::DType;

use crate::abi::{Abi, Constants, Handle, OPEN_MPI_SYMBOLS};
use crate::launcher::Launcher;

/// The variable that names the library.
pub(crate) const VARIABLE: &str = "TIDEMILL_MPI_LIBRARY";

/// Something that MPI has under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request(usize);

/// What is asked of MPI. Failures are texts: the function, and what MPI says.
///
/// All calls come from the thread that called `start`, and none comes before that or after `end`.
pub(crate) trait Port {
    /// `MPI_Init_thread`; gives this rank and how many there are.
    fn start(&self) -> Result<(usize, usize), String>;

    /// What the library says that it is.
    fn version(&self) -> String;

    /// The machine, as MPI calls it.
    fn host(&self) -> Result<String, String>;

    /// Begins to send bytes.
    ///
    /// # Safety
    ///
    /// They stay, and stay what they are, until the request is done.
    unsafe fn send(&self, bytes: *const [u8], to: usize, tag: c_int) -> Result<Request, String>;

    /// Begins to receive as many bytes or fewer.
    ///
    /// # Safety
    ///
    /// The place stays, and nobody else touches it, until the request is done.
    unsafe fn receive(&self, place: *mut [u8], from: usize, tag: c_int) -> Result<Request, String>;

    /// Begins to sum values over all ranks, in place.
    ///
    /// # Safety
    ///
    /// So many values of that precision lie there, stay, and nobody else touches them until the request is done.
    unsafe fn sum(&self, values: *mut u8, dtype: DType, len: usize) -> Result<Request, String>;

    /// Whether a request is done. It is forgotten then.
    fn done(&self, request: Request) -> Result<bool, String>;

    /// `MPI_Finalize`.
    fn end(&self) -> Result<(), String>;

    /// `MPI_Abort`. May return, when MPI cannot.
    fn abort(&self, code: c_int);
}

/// A library that was loaded.
pub(crate) struct Library {
    /// What it offers.
    pub port: Box<dyn Port>,
    /// The file that it was loaded from.
    pub file: String,
}

impl Library {
    /// Loads the library that the environment names, or that goes with the launcher.
    pub(crate) fn load(launcher: Option<&Launcher>) -> Result<Self, String> {
        if let Ok(file) = env::var(VARIABLE) {
            return Self::open(&file).map_err(|problem| format!("{VARIABLE} names {file}: {problem}"));
        }
        let files = launcher.map_or(Launcher::libraries_without(), |launcher| launcher.libraries);
        let mut tried = Vec::new();
        for file in files {
            match Self::open(file) {
                Ok(library) => return Ok(library),
                Err(problem) => tried.push(format!("{file} ({problem})")),
            }
        }
        let by = launcher.map_or(String::new(), |launcher| format!(" for {}", launcher.name));
        Err(format!(
            "no library of MPI was found{by}; tried {}. Install MPI, or name its library in {VARIABLE}",
            tried.join(", ")
        ))
    }

    fn open(file: &str) -> Result<Self, String> {
        let library = open(file).map_err(|problem| causes(&problem))?;
        let port = port(&library, file).map_err(|problem| causes(&problem))?;
        // Never unloaded: MPI has threads and handlers of its own.
        std::mem::forget(library);
        Ok(Self { port, file: file.to_owned() })
    }
}

/// An error, and what it comes from.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(unix)]
fn open(file: &str) -> Result<Loaded, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // Open MPI's plug-ins look for its symbols among the global ones.
    // SAFETY: what runs when it is loaded is that of an MPI that the user has installed.
    unsafe { Library::open(Some(file), RTLD_NOW | RTLD_GLOBAL) }.map(Loaded::from)
}

#[cfg(not(unix))]
fn open(file: &str) -> Result<Loaded, libloading::Error> {
    // SAFETY: what runs when it is loaded is that of an MPI that the user has installed.
    unsafe { Loaded::new(file) }
}

fn port(library: &Loaded, file: &str) -> Result<Box<dyn Port>, libloading::Error> {
    let has = |symbol: &str| address(library, symbol).is_ok();
    // MPICH 5 has both interfaces, a library each, and the function in either.
    let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    let abi = if has(OPEN_MPI_SYMBOLS[0]) {
        Abi::OpenMpi
    } else if name.contains("mpi_abi") && has("MPI_Abi_get_version") {
        Abi::Standard
    } else {
        Abi::Mpich
    };
    let constants = match abi {
        Abi::OpenMpi => {
            let mut handles = [0; OPEN_MPI_SYMBOLS.len()];
            for (handle, symbol) in handles.iter_mut().zip(OPEN_MPI_SYMBOLS) {
                *handle = address(library, symbol)?;
            }
            Constants::open_mpi(handles)
        }
        Abi::Mpich => Constants::MPICH,
        Abi::Standard => Constants::STANDARD,
    };
    Ok(match abi {
        Abi::Mpich => Box::new(Bound { constants, functions: Functions::<c_int>::load(library)? }),
        Abi::OpenMpi | Abi::Standard => {
            Box::new(Bound { constants, functions: Functions::<*mut c_void>::load(library)? })
        }
    })
}

fn address(library: &Loaded, symbol: &str) -> Result<usize, libloading::Error> {
    // SAFETY: the symbol is only asked for its address.
    unsafe { library.get::<*mut c_void>(symbol.as_bytes()) }.map(|found| {
        // SAFETY: as above; the library is never unloaded.
        unsafe { found.try_as_raw_ptr() }.map_or(0, |address| address as usize)
    })
}

macro_rules! functions {
    ($($field:ident = $symbol:literal($($argument:ty),*);)*) => {
        /// The functions of MPI that are used here, `H` being a handle.
        struct Functions<H> {
            $($field: unsafe extern "C" fn($($argument),*) -> c_int,)*
        }

        impl<H> Functions<H> {
            fn load(library: &Loaded) -> Result<Self, libloading::Error> {
                // SAFETY: these are their signatures in the standard, for this kind of handle.
                Ok(Self { $($field: *unsafe { library.get($symbol.as_bytes()) }?,)* })
            }
        }
    };
}

functions! {
    initialized = "MPI_Initialized"(*mut c_int);
    init = "MPI_Init_thread"(*mut c_int, *mut c_void, c_int, *mut c_int);
    rank = "MPI_Comm_rank"(H, *mut c_int);
    size = "MPI_Comm_size"(H, *mut c_int);
    on_error = "MPI_Comm_set_errhandler"(H, H);
    version = "MPI_Get_library_version"(*mut c_char, *mut c_int);
    host = "MPI_Get_processor_name"(*mut c_char, *mut c_int);
    send = "MPI_Isend"(*const c_void, c_int, H, c_int, c_int, H, *mut H);
    receive = "MPI_Irecv"(*mut c_void, c_int, H, c_int, c_int, H, *mut H);
    all_reduce = "MPI_Iallreduce"(*const c_void, *mut c_void, c_int, H, H, H, *mut H);
    test = "MPI_Test"(*mut H, *mut c_int, *mut c_void);
    error = "MPI_Error_string"(c_int, *mut c_char, *mut c_int);
    finalize = "MPI_Finalize"();
    abort = "MPI_Abort"(H, c_int);
}

/// The functions of a library, with the constants that they take.
struct Bound<H> {
    functions: Functions<H>,
    constants: Constants,
}

impl<H: Handle> Bound<H> {
    fn world(&self) -> H {
        H::of(self.constants.world)
    }

    /// The longest text that any MPI gives is one of 8192 bytes, its version.
    fn text(&self, ask: impl FnOnce(*mut c_char, *mut c_int) -> c_int) -> Result<String, c_int> {
        let (mut text, mut len) = ([0; 8193], 0);
        match ask(text.as_mut_ptr(), &raw mut len) {
            0 => {
                // SAFETY: zeros were there, and one is left at the end.
                let text = unsafe { CStr::from_ptr(text.as_ptr()) };
                Ok(text.to_string_lossy().trim().to_owned())
            }
            code => Err(code),
        }
    }

    fn checked(&self, function: &str, code: c_int) -> Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the text has room.
        let text = self.text(|text, len| unsafe { (self.functions.error)(code, text, len) });
        Err(format!("{function}: {}", text.unwrap_or_else(|_| format!("error {code}"))))
    }

    /// Never a pointer to nothing: an empty slice's may be 1, which Open MPI takes for `MPI_IN_PLACE`.
    fn start_of(bytes: *const [u8]) -> *const c_void {
        static NOTHING: u64 = 0;
        if bytes.len() == 0 { (&raw const NOTHING).cast() } else { bytes.cast() }
    }
}

/// A count, as MPI takes it.
fn count(len: usize) -> c_int {
    c_int::try_from(len).expect("messages are split before")
}

impl<H: Handle> Port for Bound<H> {
    fn start(&self) -> Result<(usize, usize), String> {
        let f = &self.functions;
        let (mut already, mut provided, mut rank, mut size) = (0, 0, 0, 0);
        // SAFETY: the places are there; MPI is initialised once, by the thread that then calls it.
        unsafe {
            self.checked("MPI_Initialized", (f.initialized)(&raw mut already))?;
            if already != 0 {
                return Err("MPI_Init_thread: MPI was initialised by somebody else".to_owned());
            }
            let init = (f.init)(std::ptr::null_mut(), std::ptr::null_mut(), self.constants.funneled, &raw mut provided);
            self.checked("MPI_Init_thread", init)?;
            let returns = (f.on_error)(self.world(), H::of(self.constants.errors_return));
            self.checked("MPI_Comm_set_errhandler", returns)?;
            self.checked("MPI_Comm_rank", (f.rank)(self.world(), &raw mut rank))?;
            self.checked("MPI_Comm_size", (f.size)(self.world(), &raw mut size))?;
        }
        if provided < self.constants.funneled {
            return Err("MPI_Init_thread: this MPI was built for programs without threads".to_owned());
        }
        Ok((rank as usize, size as usize))
    }

    fn version(&self) -> String {
        // SAFETY: the text has room.
        let version = self.text(|text, len| unsafe { (self.functions.version)(text, len) }).unwrap_or_default();
        // MPICH's goes on for pages.
        let words = version.lines().next().unwrap_or_default().split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    }

    fn host(&self) -> Result<String, String> {
        // SAFETY: the text has room.
        let host = self.text(|text, len| unsafe { (self.functions.host)(text, len) });
        host.map_err(|code| self.checked("MPI_Get_processor_name", code).unwrap_err())
    }

    unsafe fn send(&self, bytes: *const [u8], to: usize, tag: c_int) -> Result<Request, String> {
        let (mut request, byte) = (H::of(0), H::of(self.constants.byte));
        let (start, len) = (Self::start_of(bytes), count(bytes.len()));
        // SAFETY: so many bytes are there, and stay by the caller's promise.
        let code = unsafe { (self.functions.send)(start, len, byte, count(to), tag, self.world(), &raw mut request) };
        self.checked("MPI_Isend", code)?;
        Ok(Request(request.bits()))
    }

    unsafe fn receive(&self, place: *mut [u8], from: usize, tag: c_int) -> Result<Request, String> {
        let (mut request, byte) = (H::of(0), H::of(self.constants.byte));
        let (start, len) = (Self::start_of(place).cast_mut(), count(place.len()));
        let world = self.world();
        // SAFETY: there is room for so many bytes, and stays by the caller's promise.
        let code = unsafe { (self.functions.receive)(start, len, byte, count(from), tag, world, &raw mut request) };
        self.checked("MPI_Irecv", code)?;
        Ok(Request(request.bits()))
    }

    unsafe fn sum(&self, values: *mut u8, dtype: DType, len: usize) -> Result<Request, String> {
        let c = &self.constants;
        let kind = if dtype == DType::F32 { c.float } else { c.double };
        let (in_place, kind, sum, world) = (c.in_place as *const c_void, H::of(kind), H::of(c.sum), self.world());
        let mut request = H::of(0);
        let all_reduce = self.functions.all_reduce;
        // SAFETY: so many values are there, and stay by the caller's promise.
        let code = unsafe { all_reduce(in_place, values.cast(), count(len), kind, sum, world, &raw mut request) };
        self.checked("MPI_Iallreduce", code)?;
        Ok(Request(request.bits()))
    }

    fn done(&self, request: Request) -> Result<bool, String> {
        let (mut request, mut done) = (H::of(request.0), 0);
        let ignore = self.constants.status_ignore as *mut c_void;
        // SAFETY: the request is under way: who asks forgets it once it is done.
        let code = unsafe { (self.functions.test)(&raw mut request, &raw mut done, ignore) };
        self.checked("MPI_Test", code)?;
        Ok(done != 0)
    }

    fn end(&self) -> Result<(), String> {
        // SAFETY: MPI was initialised by this thread.
        self.checked("MPI_Finalize", unsafe { (self.functions.finalize)() })
    }

    fn abort(&self, code: c_int) {
        // SAFETY: MPI was initialised by this thread.
        unsafe { (self.functions.abort)(self.world(), code) };
    }
}

#[cfg(test)]
mod tests {
    use super::{Launcher, Library, VARIABLE};
    use crate::launcher::Ranks;

    #[test]
    fn all_that_was_tried_is_named() {
        assert!(std::env::var_os(VARIABLE).is_none(), "{VARIABLE} names a library");
        let libraries = &["libnowhere.so.40", "libc.so.6"];
        let launcher = Launcher { name: "mpirun of Nobody", variable: "SIZE", ranks: Ranks::Exactly(2), libraries };
        let problem = Library::load(Some(&launcher)).map(|library| library.file).unwrap_err();
        assert!(problem.starts_with("no library of MPI was found for mpirun of Nobody; tried "), "{problem}");
        for says in
            ["libnowhere.so.40 (", "libc.so.6 (", "MPI_Initialized", "or name its library in TIDEMILL_MPI_LIBRARY"]
        {
            assert!(problem.contains(says), "{says}: {problem}");
        }
    }
}
