//! Units of rows: which way is better, and how a value is written.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, the less the better.
    Time,
    /// Things a second, the more the better.
    Rate,
    /// Bits a second, the more the better.
    Bits,
    /// Bytes, the less the better.
    Bytes,
    /// Things, the less the better.
    Count,
    /// Parts that were right, the more the better: 1 is all of them.
    Share,
}

impl Unit {
    pub fn less_is_better(self) -> bool {
        matches!(self, Unit::Time | Unit::Bytes | Unit::Count)
    }

    pub fn name(self) -> &'static str {
        match self {
            Unit::Time => "seconds",
            Unit::Rate => "per second",
            Unit::Bits => "bits per second",
            Unit::Bytes => "bytes",
            Unit::Count => "count",
            Unit::Share => "share",
        }
    }

    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Time if value >= 1.0 => format!("{} s", digits(value)),
            Unit::Time if value >= 0.001 => format!("{} ms", digits(value * 1e3)),
            Unit::Time => format!("{} µs", digits(value * 1e6)),
            Unit::Rate if value >= 10_000.0 => format!("{} k/s", digits(value / 1e3)),
            Unit::Rate => format!("{}/s", digits(value)),
            Unit::Bits if value >= 1e9 => format!("{} Gbit/s", digits(value / 1e9)),
            Unit::Bits => format!("{} Mbit/s", digits(value / 1e6)),
            Unit::Bytes if value.abs() < 1e6 => format!("{} KiB", digits(value / 1024.0)),
            Unit::Bytes => format!("{} MiB", digits(value / f64::from(1 << 20))),
            Unit::Count => format!("{value:.0}"),
            Unit::Share => format!("{} %", digits(value * 100.0)),
        }
    }
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value.abs() {
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
