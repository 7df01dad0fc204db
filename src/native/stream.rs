//! MicroPython's stream protocol, called without going through Python: nothing is allocated, and an error is a number, not an exception
//! (py/stream.h).

use super::ffi;
use super::obj::Obj;

/// `EAGAIN`: the stream is not ready.
pub const WOULD_BLOCK: i32 = 11;

/// What `mp_stream_p_t` functions return when they fail.
const STREAM_ERROR: usize = usize::MAX;

/// Reads what is there, at most `buffer.len()` bytes; 0 is the end.
///
/// # Errors
/// The `errno`. Raises when the object is no stream.
pub fn read(stream: Obj, buffer: &mut [u8]) -> Result<usize, i32> {
    // SAFETY: `get_stream_raise` gives a table whose `read` is set, or raises; nothing here has a destructor. The function
    // writes at most `buffer.len()` bytes to `buffer`.
    let (count, error) = unsafe {
        let table = super::obj::stream_table(stream, ffi::MP_STREAM_OP_READ);
        let mut error = 0;
        let read = (*table).read.unwrap_unchecked();
        let count = read(stream.raw(), buffer.as_mut_ptr().cast(), buffer.len() as _, &mut error);
        (count as usize, error)
    };
    if count == STREAM_ERROR { Err(error) } else { Ok(count.min(buffer.len())) }
}

/// Writes what fits now; how many bytes that was.
///
/// # Errors
/// The `errno`. Raises when the object is no stream.
pub fn write(stream: Obj, bytes: &[u8]) -> Result<usize, i32> {
    // SAFETY: as in `read`; the function only reads `bytes`.
    let (count, error) = unsafe {
        let table = super::obj::stream_table(stream, ffi::MP_STREAM_OP_WRITE);
        let mut error = 0;
        let write = (*table).write.unwrap_unchecked();
        let count = write(stream.raw(), bytes.as_ptr().cast(), bytes.len() as _, &mut error);
        (count as usize, error)
    };
    if count == STREAM_ERROR { Err(error) } else { Ok(count.min(bytes.len())) }
}

/// Asks a stream for something, with the functions' own meaning of the numbers. Raises when it is no stream.
pub fn ioctl(stream: Obj, request: ffi::mp_uint_t, argument: usize, error: *mut cty::c_int) -> ffi::mp_uint_t {
    // SAFETY: as in `read`; `error` is the caller's.
    unsafe {
        let table = super::obj::stream_table(stream, ffi::MP_STREAM_OP_IOCTL);
        (*table).ioctl.unwrap_unchecked()(stream.raw(), request, argument as _, error)
    }
}
