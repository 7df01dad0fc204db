//! TYPE A: CRLF on the wire, LF in the file (RFC 959 3.1.1.1). Both ways work within one buffer.

/// Where to read the bytes for [`fill`]: half of the buffer, because every byte may become two.
pub fn source(buffer: &mut [u8]) -> &mut [u8] {
    let half = buffer.len() - buffer.len() / 2;
    &mut buffer[half..]
}

/// Puts the first `count` bytes of [`source`] at the start of the buffer, every LF as CRLF. Returns how many bytes that gives.
pub fn fill(buffer: &mut [u8], count: usize) -> usize {
    let half = buffer.len() - buffer.len() / 2;
    let mut to = 0;
    for from in half..half + count {
        let Some(&byte) = buffer.get(from) else { break };
        // At most two bytes are written for each byte, so the written part never reaches what is still to be read.
        for byte in [b'\r', byte].into_iter().skip(usize::from(byte != b'\n')) {
            if let Some(place) = buffer.get_mut(to) {
                *place = byte;
                to += 1;
            }
        }
    }
    to
}

/// Makes every CRLF an LF in `buffer[from..to]`, the bytes that came last. The bytes before `from` came earlier. Returns where the bytes end now.
pub fn take(buffer: &mut [u8], from: usize, to: usize) -> usize {
    let mut end = from;
    for at in from..to {
        let Some(&byte) = buffer.get(at) else { break };
        if byte == b'\n' && buffer.get(end.wrapping_sub(1)) == Some(&b'\r') {
            end -= 1;
        }
        if let Some(place) = buffer.get_mut(end) {
            *place = byte;
            end += 1;
        }
    }
    end
}

/// How many of the bytes can go to the file before more bytes come: a CR at the end may belong to an LF.
pub fn settled(bytes: &[u8]) -> usize {
    bytes.len() - usize::from(bytes.ends_with(b"\r"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a client gets of a file, with a buffer of that size.
    fn sent(mut file: &[u8], size: usize) -> Vec<u8> {
        let mut buffer = vec![0; size];
        let mut wire = Vec::new();
        while !file.is_empty() {
            let space = source(&mut buffer);
            let count = space.len().min(file.len());
            space[..count].copy_from_slice(&file[..count]);
            file = &file[count..];
            let filled = fill(&mut buffer, count);
            wire.extend(&buffer[..filled]);
        }
        wire
    }

    /// What a file gets of a client's bytes, which come in pieces of these sizes.
    fn stored(mut wire: &[u8], size: usize, pieces: &[usize]) -> Vec<u8> {
        let mut buffer = vec![0; size];
        let (mut end, mut file) = (0, Vec::new());
        let mut pieces = pieces.iter().cycle();
        while !wire.is_empty() {
            let count = (*pieces.next().unwrap()).min(wire.len()).min(size - end);
            buffer[end..end + count].copy_from_slice(&wire[..count]);
            wire = &wire[count..];
            end = take(&mut buffer, end, end + count);
            if end == size {
                let done = settled(&buffer);
                file.extend(&buffer[..done]);
                buffer.copy_within(done.., 0);
                end = size - done;
            }
        }
        file.extend(&buffer[..end]);
        file
    }

    #[test]
    fn lines_end_in_crlf_on_the_wire_and_in_lf_in_the_file() {
        assert_eq!(sent(b"a\nb\n\nc", 512), b"a\r\nb\r\n\r\nc");
        assert_eq!(stored(b"a\r\nb\r\n\r\nc", 512, &[512]), b"a\nb\n\nc");
        // A CR alone is a byte like any other.
        assert_eq!(sent(b"a\rb\r\n", 512), b"a\rb\r\r\n");
        assert_eq!(stored(b"a\rb\r\r\nc\nd\r", 512, &[3]), b"a\rb\r\nc\nd\r");
    }

    #[test]
    fn a_crlf_may_come_in_two_pieces() {
        assert_eq!(stored(b"a\r\nb", 512, &[2]), b"a\nb");
        // The CR is the buffer's last byte.
        assert_eq!(stored(b"abc\r\nd\r\n", 4, &[4]), b"abc\nd\n");
    }

    proptest! {
        #[test]
        fn what_is_sent_is_stored_again(
            file in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..300),
            sizes in (2..70usize, 2..70usize),
            pieces in proptest::collection::vec(1..40usize, 1..8),
        ) {
            let wire = sent(&file, sizes.0);
            prop_assert_eq!(wire.iter().filter(|&&byte| byte == b'\n').count(), wire.windows(2).filter(|pair| pair == b"\r\n").count());
            prop_assert_eq!(stored(&wire, sizes.1, &pieces), file);
        }
    }
}
