use chrono::{DateTime, NaiveDateTime, Utc};

/// Reads RFC 3339, and the same without a zone, which is then UTC.
pub fn utc(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let bare = || {
        let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
        let read = |form| NaiveDateTime::parse_from_str(text, form).ok();
        forms.into_iter().find_map(read).map(|time| time.and_utc())
    };
    zoned.ok().or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_any_offset_any_fraction_and_without_a_zone() {
        for (text, expected) in [
            ("2026-01-01T00:00:01Z", Some(1_767_225_601_000)),
            ("2026-01-01T01:00:01.5+01:00", Some(1_767_225_601_500)),
            ("2026-01-01T00:00:01.123456789Z", Some(1_767_225_601_123)),
            ("2026-01-01 00:00:01.25", Some(1_767_225_601_250)),
            ("yesterday", None),
            ("", None),
        ] {
            let read = utc(text).map(|time| time.timestamp_millis());
            assert_eq!(read, expected, "{text}");
        }
    }
}
