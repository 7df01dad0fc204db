//! What a session asks its host to do.

/// What only the host can do. Each comment says what is in the workspace, and which outcome the host brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Action {
    /// Make a TLS stream of the control connection, which [`Step::Secure`](super::host::Step::Secure) then puts in its place, and close the passive listener: `Done`.
    StartTls = 7,
    /// Check [`Session::user_name`](super::Session::user_name) and the password in `text`: `Login` with the permissions, `Failed` when refused (after the delay that hinders guessing).
    Login,
    /// Log out and close the passive listener and whatever else the session holds: `Done`.
    Reset,
    /// Make the directory `path`: `Done`.
    MakeDirectory = 11,
    /// Remove the directory `path`: `Done`.
    RemoveDirectory,
    /// Remove the file `path`: `Done`.
    RemoveFile,
    /// Keep `path` for the next `Rename`: `Done`.
    RenameFrom,
    /// Rename the path that was kept to `path`, replacing a file that is there: `Done`. A folder that is there stays (`EISDIR`), unless it is the same one in
    /// another case; a folder is not moved into itself (`ELOOP`).
    Rename,
    /// Open a passive listener in place of the former one: `Passive` with its port.
    Passive,
    /// Close the passive listener: `Done`.
    Unlisten,
    /// Open `path` for reading at [`Session::offset`](super::Session::offset) and begin the transfer, in a task of its own that ends with [`Session::finish`](super::Session::finish): `Number` with the file's size, or `Done`
    /// when that is not known. The host has all that it needs for the transfer before it says so. A folder is not opened (`EISDIR`, or another error).
    OpenRead,
    /// Open `path` for writing, at [`Session::offset`](super::Session::offset) in the old file when that is not 0, and begin the transfer: `Done`. When `text` is not empty, open
    /// the file of that name beside it; it becomes `path` when the transfer is `Complete`, and is removed when it is not.
    OpenWrite,
    /// Open `path` for appending and begin the transfer: `Done`.
    OpenAppend,
    /// Open the directory or the single file `path`, or the directory as if it were a file when [`Session::lists_itself`](super::Session::lists_itself) is true; if there is none and [`Session::is_glob`](super::Session::is_glob), open its parent and list what matches the path's name. Then begin the
    /// transfer, if [`Session::transfer`](super::Session::transfer) tells one: `Done`.
    OpenList,
    /// As `Passive`, for PASV: `Passive` has the address that the client can reach, too.
    PassiveIpv4,
    /// Cut the transfer that runs: `Done`.
    Abort,
    /// Close what `OpenList` and the like opened, because no transfer will come: `Done`, even if it fails, because the end of the reply is still to be said.
    CloseFile,
    /// Write the opened listing on the control connection: `Done` at its end, or where it breaks off.
    ListHere,
    /// Measure the file system that holds `path`: `Space`.
    Space,
    /// Measure the GC heap: `Space`.
    Memory,
    /// Collect garbage: `Space` as the heap is afterwards.
    Collect,
    /// How long the server has been up: `Seconds`.
    Uptime,
    /// Write [`Session::describe`](super::Session::describe) of each session on the control connection: `Done` at the end, whatever comes of it.
    Who,
    /// Hash the password in `text`: `Text`.
    HashPassword,
    /// End the sessions of the user or address in `text`: `Count`.
    Kick,
    /// Stop the server, and restart the board when `text` is `-r`: `Done`.
    Shutdown,
    /// Digest the file `path` by SHA-256 (FIPS 180-4), which may take long: `Text` with the digest's bytes. `path` must be the same afterwards.
    Hash,
    /// Set the time of `path` to [`Session::time`](super::Session::time): `Done`.
    SetTime,
    /// As `Hash`, by CRC-32 (ISO 3309).
    Checksum,
}

/// What an action does to the file or folder at its path, which others may have open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing, or no more than to measure it.
    None,
    /// It opens it for reading.
    Read,
    /// It makes, changes, moves or removes it.
    Change,
}

impl Action {
    /// What it does to the file at [`Workspace::path`](super::host::Workspace::path), and for `Rename` to that of the last `RenameFrom`.
    pub fn access(self) -> Access {
        match self {
            Action::OpenRead | Action::OpenList | Action::Hash | Action::Checksum => Access::Read,
            Action::OpenWrite
            | Action::OpenAppend
            | Action::MakeDirectory
            | Action::RemoveDirectory
            | Action::RemoveFile
            | Action::RenameFrom
            | Action::Rename
            | Action::SetTime => Access::Change,
            _ => Access::None,
        }
    }

    /// Whether it needs what is in the workspace. The others need no memory to be put off for a while, so they cannot fail for want of it: some of them come when
    /// a reply of several lines has begun.
    pub fn needs_workspace(self) -> bool {
        !matches!(
            self,
            Action::StartTls
                | Action::Reset
                | Action::Passive
                | Action::Unlisten
                | Action::PassiveIpv4
                | Action::Abort
                | Action::CloseFile
                | Action::ListHere
                | Action::Memory
                | Action::Collect
                | Action::Uptime
                | Action::Who
        )
    }
}
