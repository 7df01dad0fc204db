//! Dates of the Gregorian calendar and their 14 digits (RFC 3659 2.3). Times are Unix seconds, UTC, in 32 bits: up to the year 2106.

use super::writer::Writer;

const DAY: u32 = 86400;
/// The days in 400, 100 and 4 years, and in one.
const YEARS_400: u32 = 146_097;
const YEARS_100: u32 = 36_524;
const YEARS_4: u32 = 1461;
const YEAR: u32 = 365;
/// Days from 1 March of the year 0 to 1 January 1970: years that begin in March have their leap day at the end.
const MARCH_0_TO_1970: u32 = 719_468;

/// A moment as people write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "their names say it")]
pub struct Civil {
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

impl Civil {
    /// The date and time of a Unix time.
    pub fn from_unix(seconds: u32) -> Civil {
        let days = seconds / DAY + MARCH_0_TO_1970;
        let (centuries, rest) = (days / YEARS_400, days % YEARS_400);
        // A day of the 400 years; the years in it are counted without their leap days.
        let year = (rest - rest / (YEARS_4 - 1) + rest / YEARS_100 - rest / (YEARS_400 - 1)) / YEAR;
        let day = rest - (YEAR * year + year / 4 - year / 100);
        // March to July and August to December have 153 days each.
        let month = (5 * day + 2) / 153;
        let time = seconds % DAY;
        Civil {
            year: (year + 400 * centuries + u32::from(month >= 10)) as u16,
            month: if month < 10 { month + 3 } else { month - 9 } as u8,
            day: (day - (153 * month + 2) / 5 + 1) as u8,
            hour: (time / 3600) as u8,
            minute: (time / 60 % 60) as u8,
            second: (time % 60) as u8,
        }
    }

    /// The Unix time. `None` when it is not a date, and before 1970 and after 2105.
    pub fn to_unix(&self) -> Option<u32> {
        if !(1970..2106).contains(&self.year) || !(1..=12).contains(&self.month) || self.day == 0 {
            return None;
        }
        if self.hour > 23 || self.minute > 59 || self.second > 59 {
            return None;
        }
        let (year, month) = (u32::from(self.year), u32::from(self.month));
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = YEAR * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + u32::from(self.day) - 1;
        let time = u32::from(self.hour) * 3600 + u32::from(self.minute) * 60 + u32::from(self.second);
        let seconds = (days - MARCH_0_TO_1970) * DAY + time;
        // 31 April would come back as 1 May.
        (Civil::from_unix(seconds) == *self).then_some(seconds)
    }
}

/// Reads `YYYYMMDDHHMMSS`; `None` for anything else.
pub fn parse(digits: &[u8]) -> Option<u32> {
    if digits.len() != 14 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut fields = [0; 7];
    for (field, pair) in fields.iter_mut().zip(digits.chunks_exact(2)) {
        *field = (pair[0] - b'0') * 10 + pair[1] - b'0';
    }
    let [century, year, month, day, hour, minute, second] = fields;
    Civil { year: u16::from(century) * 100 + u16::from(year), month, day, hour, minute, second }.to_unix()
}

/// Writes `YYYYMMDDHHMMSS`.
pub fn write_stamp(seconds: u32, out: &mut Writer<'_>) {
    let date = Civil::from_unix(seconds);
    out.dec2(u32::from(date.year) / 100);
    for pair in [(date.year % 100) as u8, date.month, date.day, date.hour, date.minute, date.second] {
        out.dec2(pair.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp(seconds: u32) -> String {
        let mut buffer = [0; 14];
        let mut out = Writer::new(&mut buffer);
        write_stamp(seconds, &mut out);
        String::from_utf8(out.bytes().to_vec()).unwrap()
    }

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "19700101000000"),
            (951_782_400, "20000229000000"),
            (1_704_164_645, "20240102030405"),
            (4_107_542_399, "21000228235959"),
            (4_107_542_400, "21000301000000"),
            (4_291_747_199, "21051231235959"),
        ] {
            assert_eq!(stamp(seconds), text);
            assert_eq!(parse(text.as_bytes()), Some(seconds));
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2024010203040",
            "202401020304055",
            "20240230000000",
            "20230229000000",
            "20241301000000",
            "20240100000000",
            "20240101240000",
            "20240101006000",
            "19691231235959",
            "2024010203040x",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_stamp_reads_as_the_time_it_was_written_from(seconds in 0u32..4_291_747_200) {
            prop_assert_eq!(parse(stamp(seconds).as_bytes()), Some(seconds));
        }
    }
}
