//! Reads the control connection as a client does. It checks the form of each reply (RFC 959 4.2) and counts the last lines.

/// The replies so far.
#[derive(Default)]
pub struct Replies {
    line: Vec<u8>,
    /// The code of a reply with several lines whose last line has not come yet.
    open: Option<Vec<u8>>,
    /// How many replies are complete, without those that only announce another reply (1yz).
    pub finals: usize,
    /// The first line of the newest reply.
    pub newest: Vec<u8>,
}

impl Replies {
    /// Takes these bytes from the server.
    pub fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            assert!(byte >= b' ' && byte != 0x7f || matches!(byte, b'\r' | b'\n' | b'\t'), "a control byte: {byte}");
            self.line.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                let text = line.strip_suffix(b"\r\n").expect("a line ends in CRLF");
                assert!(!text.contains(&b'\r'), "a CR inside of {}", text.escape_ascii());
                self.line_came(text);
            }
        }
    }

    /// Whether the last reply is complete.
    pub fn is_whole(&self) -> bool {
        self.line.is_empty() && self.open.is_none()
    }

    fn line_came(&mut self, line: &[u8]) {
        let code = line.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit));
        match (&self.open, code, line.get(3)) {
            (None, Some(code), Some(b'-')) => {
                self.open = Some(code.to_vec());
                self.newest = line.to_vec();
            }
            (None, Some(_), Some(b' ')) => {
                self.newest = line.to_vec();
                self.finals += usize::from(line[0] != b'1');
            }
            (Some(first), Some(code), Some(b' ')) if first == code => {
                self.open = None;
                self.finals += 1;
            }
            // Between the first line and the last, no line may look like the start of another reply.
            (Some(_), None, _) => {}
            _ => panic!("not a line of a reply: {}", line.escape_ascii()),
        }
    }
}
