//! Bytes for people, in powers of 1000 as Docker shows them. Pure.

/// `0B`, `999B`, `1.23kB`, `45.6MB`.
pub fn human(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes}B");
    }
    let mut size = bytes as f64 / 1000.0;
    for unit in units {
        if size < 999.5 {
            let digits = if size < 9.995 { 2 } else { usize::from(size < 99.95) };
            let text = format!("{size:.digits$}");
            let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            return format!("{text}{unit}");
        }
        size /= 1000.0;
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn three_digits_at_most() {
        for (bytes, wanted) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1_234, "1.23kB"),
            (45_600_000, "45.6MB"),
            (100_000, "100kB"),
            (999_900, "1MB"),
            (1_500_000_000, "1.5GB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(human(bytes), wanted);
        }
    }
}
