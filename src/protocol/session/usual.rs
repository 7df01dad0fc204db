//! The settings that a host begins with.

use super::host::{Config, Tls};
use crate::protocol::tables::TABLES;

/// The usual times. The host need not be able to do anything special: no TLS, no setting of times, and no digests.
impl Default for Config<'_> {
    fn default() -> Self {
        Config {
            tables: &TABLES,
            server_name: b"FTPdLite",
            idle_timeout: 300,
            login_timeout: 30,
            data_timeout: 10,
            stall_timeout: 60,
            passwordless: false,
            foreign_data: false,
            atomic_uploads: true,
            owner: 0,
            sets_times: false,
            digests: false,
            tls: Tls::Off,
            private_data: true,
            closes_tls: true,
            handshake_timeout: 60,
        }
    }
}
