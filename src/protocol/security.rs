//! How far a session's security exchange has come (RFC 2228, RFC 4217).

/// What protects the control connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Channel {
    Clear,
    /// AUTH was answered; nothing has come through TLS yet.
    Handshake,
    Secured,
}

/// The state of the exchange.
#[derive(Clone, Copy)]
pub(super) struct Security {
    channel: Channel,
    /// PBSZ was given.
    pub(super) sized: bool,
    /// PROT P is in force.
    pub(super) private: bool,
    /// The client would take the end of each data connection in TLS for an error.
    pub(super) is_doubtful: bool,
}

impl Security {
    /// Everything goes in clear.
    pub(super) const CLEAR: Security =
        Security { channel: Channel::Clear, sized: false, private: false, is_doubtful: false };
    /// AUTH was just answered.
    pub(super) const HANDSHAKE: Security = Security { channel: Channel::Handshake, ..Security::CLEAR };

    /// Something came on the control connection.
    pub(super) fn heard(&mut self) {
        if self.channel == Channel::Handshake {
            self.channel = Channel::Secured;
        }
    }

    /// Whether the control connection is in clear.
    pub(super) fn is_clear(&self) -> bool {
        self.channel == Channel::Clear
    }

    /// Whether nothing has come from the client through TLS so far.
    pub(super) fn is_handshake(&self) -> bool {
        self.channel == Channel::Handshake
    }

    /// REIN: PBSZ, PROT and CLNT must come again. The control connection stays in TLS, because MicroPython cannot end TLS and keep the connection.
    pub(super) fn reset(&mut self) {
        *self = Security { channel: self.channel, ..Self::CLEAR };
    }
}
