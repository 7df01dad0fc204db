//! Wildcards in the last component of a path: `*`, `?`, `[a-z]`, `[!a-z]`.

/// Whether there is a wildcard.
pub fn has_glob(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether the pattern matches the name. It takes time proportional to the product of their lengths at most.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Where to go on when the part behind the last `*` does not match here.
    let mut retry: Option<(&[u8], &[u8])> = None;
    // How much of the pattern's end is known to have no `]` for a `[`. That is looked for once, not at each place of the name.
    let mut unclosed = 0;
    loop {
        if let [b'*', rest @ ..] = pattern {
            pattern = rest;
            retry = Some((rest, name));
            continue;
        }
        if name.is_empty() && pattern.is_empty() {
            return true;
        }
        if let Some((pattern_rest, name_rest)) = one(pattern, name, &mut unclosed) {
            (pattern, name) = (pattern_rest, name_rest);
            continue;
        }
        match retry {
            Some((rest, from)) if !from.is_empty() => {
                // By bytes: a letter of the pattern may end in the middle of a character that is no UTF-8, and whatever is behind it must be tried from there, too.
                let from = &from[1..];
                retry = Some((rest, from));
                (pattern, name) = (rest, from);
            }
            _ => return false,
        }
    }
}

/// Matches one element of the pattern that is not `*`: what is left of both.
fn one<'a>(pattern: &'a [u8], name: &'a [u8], unclosed: &mut usize) -> Option<(&'a [u8], &'a [u8])> {
    let (&byte, name_rest) = name.split_first()?;
    match pattern {
        // They stand for a character, so not for the rest of one.
        [b'?' | b'[', ..] if is_continuation(byte) => None,
        [b'?', rest @ ..] => Some((rest, &name[character(name)..])),
        [b'[', class @ ..] if class.len() >= *unclosed => match class_end(class) {
            Some(end) => {
                let (shown, name_rest) = name.split_at(character(name));
                in_class(&class[..end], shown).then_some((&class[end + 1..], name_rest))
            }
            // Without a `]` it is a byte like any other, and so is each `[` behind it.
            None => {
                *unclosed = pattern.len();
                (byte == b'[').then_some((class, name_rest))
            }
        },
        [literal, rest @ ..] => (*literal == byte).then_some((rest, name_rest)),
        [] => None,
    }
}

/// The length of the UTF-8 character at the start, one byte at least.
fn character(name: &[u8]) -> usize {
    1 + name.iter().skip(1).take_while(|&&byte| is_continuation(byte)).count()
}

/// Whether it is a byte of a UTF-8 character, but not its first.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Where the `]` is. A `]` at the very start is a member of the class.
fn class_end(class: &[u8]) -> Option<usize> {
    let skipped = usize::from(matches!(class, [b'!' | b'^', ..])) + 1;
    Some(class.get(skipped..)?.iter().position(|&byte| byte == b']')? + skipped)
}

/// Whether a character is in a class. UTF-8 has the order of its characters, so bytes can be compared.
fn in_class(class: &[u8], shown: &[u8]) -> bool {
    let (negated, mut members) = match class {
        [b'!' | b'^', members @ ..] => (true, members),
        members => (false, members),
    };
    let mut found = false;
    while !members.is_empty() {
        let (low, rest) = members.split_at(character(members));
        match rest {
            [b'-', above @ ..] if !above.is_empty() => {
                let (high, rest) = above.split_at(character(above));
                found |= low <= shown && shown <= high;
                members = rest;
            }
            _ => {
                found |= low == shown;
                members = rest;
            }
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "abc", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "acb", false),
            ("?", "ü", true),
            ("??", "ü", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("[!a].txt", "ü.txt", true),
            ("[äü].txt", "ü.txt", true),
            ("[à-ÿ]", "ü", true),
            ("[à-ä]", "ü", false),
            ("[a-", "[a-", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn no_pattern_takes_exponential_time() {
        assert!(!matches(&b"*a".repeat(100), &[b'b'; 255]));
        let mut brackets = vec![b'['; 253];
        brackets.push(b'x');
        brackets[0] = b'*';
        assert!(!matches(&brackets, &[b'['; 255]));
    }

    proptest! {
        #[test]
        fn a_name_without_wildcards_matches_itself_alone(name in "[a-z.]{0,20}", other in "[a-z.]{0,20}") {
            prop_assert!(matches(name.as_bytes(), name.as_bytes()));
            prop_assert_eq!(matches(name.as_bytes(), other.as_bytes()), name == other);
        }

        #[test]
        fn no_pattern_panics(pattern in "[*?a\\[\\]!-]{0,20}", name in "[a\\[\\]-]{0,20}") {
            matches(pattern.as_bytes(), name.as_bytes());
        }
    }
}
