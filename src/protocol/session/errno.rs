//! Errors of the operating system that have a reply of their own (`errno` numbers; except `ENOTEMPTY` they are the same on every MicroPython port).

pub const EPERM: u32 = 1;
pub const ENOENT: u32 = 2;
pub const ENOMEM: u32 = 12;
pub const EACCES: u32 = 13;
/// Another session has the file open, or something in the folder.
pub const EBUSY: u32 = 16;
pub const EEXIST: u32 = 17;
/// A rename from one file system to another.
pub const EXDEV: u32 = 18;
/// Nothing is mounted there. On boards with `/flash` and nothing at `/` that is each other name in the root.
pub const ENODEV: u32 = 19;
pub const ENOTDIR: u32 = 20;
pub const EISDIR: u32 = 21;
pub const EINVAL: u32 = 22;
pub const ENOSPC: u32 = 28;
pub const EROFS: u32 = 30;
pub const ENAMETOOLONG: u32 = 36;
/// No socket for a data connection.
pub const EADDRINUSE: u32 = 98;
/// Too many sessions of one user.
pub const EUSERS: u32 = 87;
pub const ENOTEMPTY: u32 = 39;
/// A folder cannot be moved into itself.
pub const ELOOP: u32 = 40;
/// `ENOTEMPTY` where newlib numbers the errors.
pub const ENOTEMPTY_NEWLIB: u32 = 90;
