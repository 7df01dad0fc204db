//! A module as the bytes of its file.

use super::{Arch, Destination, Module};
use std::collections::BTreeMap;

const VERSION: u8 = 6;
const SUB_VERSION: u8 = 3;
/// Bits of the small integers in the file: there are none.
const SMALL_INT_BITS: u8 = 31;
/// The kind of a constant object that is bytes.
const OBJECT_BYTES: u8 = 6;
/// The kind "viper": machine code with an entry at its start.
const KIND_VIPER: usize = 2;
const FLAG_RELOCATIONS: u8 = 0x10;
const FLAG_RODATA: u8 = 0x20;
const END_OF_RELOCATIONS: u8 = 0xff;

impl Destination {
    /// Its number in the stream, and whether a count may follow it.
    fn code(self) -> (u8, bool) {
        match self {
            // Destinations 0 to 2 take two numbers each: with and without a count.
            Destination::Text => (0, true),
            Destination::Rodata => (1, true),
            Destination::QstrTable => (6, false),
            Destination::ObjectTable => (7, false),
            Destination::FunctionTable => (8, false),
        }
    }
}

/// A number in base 128, the most significant digit first.
fn put_number(out: &mut Vec<u8>, number: usize) {
    let mut shift = 63;
    while shift > 0 {
        if number >> shift != 0 {
            out.push((number >> shift & 0x7f) as u8 | 0x80);
        }
        shift -= 7;
    }
    out.push((number & 0x7f) as u8);
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    put_number(out, name.len() << 1);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
}

/// A bytes object. A zero follows its bytes, as it does in memory, so that the loader can use them where they are.
fn put_object(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(OBJECT_BYTES);
    put_number(out, bytes.len());
    out.extend_from_slice(bytes);
    out.push(0);
}

/// The relocations of one block; `block` is 0 for the text, 1 for the constants apart from it.
fn put_relocations(out: &mut Vec<u8>, block: usize, relocations: &BTreeMap<usize, Destination>) {
    let mut entries = relocations.iter().map(|(&word, &destination)| (word, destination)).peekable();
    let mut next_word = None;
    while let Some((word, destination)) = entries.next() {
        let mut count = 1;
        while entries.next_if_eq(&(word + count, destination)).is_some() {
            count += 1;
        }
        let (code, counted) = destination.code();
        // A destination without a count is one entry a word; consecutive words need no new place.
        let pieces = if counted { 1 } else { count };
        for piece in 0..pieces {
            let start = word + piece;
            let code = if counted { code << 1 | u8::from(count > 1) } else { code };
            let moved = next_word != Some(start);
            out.push(code << 1 | u8::from(moved));
            if moved {
                put_number(out, start << 1 | block);
            }
            if counted && count > 1 {
                put_number(out, count);
            }
            next_word = Some(start + if counted { count } else { 1 });
        }
    }
}

impl Module {
    /// The file's bytes. `file_name` is what tracebacks call the module.
    pub fn encode(&self, arch: Arch, file_name: &str) -> Vec<u8> {
        let mut out = self.head(arch, file_name, self.objects.len());
        put_number(&mut out, self.text.len() << 3 | KIND_VIPER);
        out.extend_from_slice(&self.text);
        // The flag is always set: it also makes the loader keep the code for as long as the firmware runs.
        if self.rodata.is_empty() {
            out.push(FLAG_RELOCATIONS);
        } else {
            out.push(FLAG_RELOCATIONS | FLAG_RODATA);
            put_number(&mut out, self.rodata.len());
            out.extend_from_slice(&self.rodata);
        }
        put_relocations(&mut out, 0, &self.relocations);
        put_relocations(&mut out, 1, &self.rodata_relocations);
        out.push(END_OF_RELOCATIONS);
        out
    }

    /// What comes before the code, with so many of the constant objects.
    fn head(&self, arch: Arch, file_name: &str, objects: usize) -> Vec<u8> {
        let mut out = vec![b'M', VERSION, (arch as u8) << 2 | SUB_VERSION, SMALL_INT_BITS];
        put_number(&mut out, self.names.len() + 1);
        put_number(&mut out, self.objects.len());
        put_name(&mut out, file_name);
        for name in &self.names {
            put_name(&mut out, name);
        }
        for object in self.objects.iter().take(objects) {
            put_object(&mut out, object);
        }
        out
    }

    /// Where in the file the bytes of a constant object are.
    pub fn object_at(&self, arch: Arch, file_name: &str, index: usize) -> usize {
        // Its kind and its length come before it, a zero behind it.
        self.head(arch, file_name, index + 1).len() - self.objects[index].len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, value);
        out
    }

    #[test]
    fn numbers_are_big_endian_base_128() {
        assert_eq!(number(0), [0]);
        assert_eq!(number(127), [127]);
        assert_eq!(number(128), [0x81, 0]);
        assert_eq!(number(0x4000), [0x81, 0x80, 0]);
    }

    #[test]
    fn consecutive_words_share_an_entry() {
        use Destination::*;
        let relocations = BTreeMap::from([(4, Text), (5, Text), (6, FunctionTable), (9, QstrTable), (10, Text)]);
        let mut out = Vec::new();
        put_relocations(&mut out, 0, &relocations);
        // Text from word 4, two of them; the table right behind; the names at 9; text behind them.
        assert_eq!(out, [0b11, 8, 2, 8 << 1, 6 << 1 | 1, 18, 0]);
    }

    #[test]
    fn a_module_starts_with_its_header_and_names() {
        let mut module = Module {
            names: vec!["os".into()],
            objects: Vec::new(),
            text: vec![1, 2, 3],
            constants: 0,
            relocations: BTreeMap::new(),
            rodata: Vec::new(),
            rodata_relocations: BTreeMap::new(),
        };
        let bytes = module.encode(Arch::X64, "a.mpy");
        assert_eq!(bytes, b"M\x06\x0b\x1f\x02\x00\x0aa.mpy\0\x04os\0\x1a\x01\x02\x03\x10\xff");
        module.objects = vec![vec![7, 8]];
        let bytes = module.encode(Arch::X64, "a.mpy");
        assert_eq!(bytes, b"M\x06\x0b\x1f\x02\x01\x0aa.mpy\0\x04os\0\x06\x02\x07\x08\0\x1a\x01\x02\x03\x10\xff");
        module.objects.clear();
        module.rodata = vec![9, 0, 0, 0];
        module.rodata_relocations.insert(0, Destination::Rodata);
        let bytes = module.encode(Arch::XtensaWin, "a.mpy");
        assert_eq!(bytes, b"M\x06\x2b\x1f\x02\x00\x0aa.mpy\0\x04os\0\x1a\x01\x02\x03\x30\x04\x09\0\0\0\x05\x01\xff");
    }
}
