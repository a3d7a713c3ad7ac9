//! The time of day as text.
//!
//! Invariant: always UTC, RFC 3339, whole seconds.

use jiff::Timestamp;

/// Now, for example `2024-12-10T08:30:00Z`.
pub fn now_utc() -> String {
    utc(Timestamp::now())
}

/// The day, for example `2024-12-10`.
pub fn today_utc() -> String {
    Timestamp::now().strftime("%F").to_string()
}

fn utc(time: Timestamp) -> String {
    time.strftime("%FT%TZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_date() {
        // `date -u -d @N +%FT%TZ`
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(Timestamp::from_second(seconds).unwrap()), text);
        }
    }

    #[test]
    fn fractions_of_a_second_are_cut_off() {
        let late = Timestamp::new(951_782_399, 999_999_999).unwrap();
        assert_eq!(utc(late), "2000-02-28T23:59:59Z");
        let (now, today) = (now_utc(), today_utc());
        assert_eq!((now.len(), today.len()), (20, 10));
        assert!(today.starts_with("20") && now.ends_with('Z'));
    }
}
