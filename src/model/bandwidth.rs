//! How fast a sandbox may receive and send at one of its seats, in bits as operators and CNI count them.
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Limits of one seat. None: as fast as it goes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields, default)]
pub struct Bandwidth {
    /// Towards the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Rate>,
    /// From it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<Rate>,
}

/// A token bucket (tc-tbf(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Bits a second.
    pub rate: u64,
    /// Bits that may come at once after a pause; at least one packet.
    pub burst: u64,
}

/// A bucket counts to 2^32 bytes, and holds 50 ms of its rate beside the burst.
const FASTEST: u64 = 400_000_000_000;
/// Else a rate of less than a byte a second.
const SLOWEST: u64 = 8;
const UNITS: [(&str, u64); 5] =
    [("tbit", 1_000_000_000_000), ("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

impl Bandwidth {
    pub fn is_none(&self) -> bool {
        self.ingress.is_none() && self.egress.is_none()
    }
    /// `Invalid` for a rate that no bucket can hold.
    pub fn check(&self) -> Result<()> {
        [("ingress", self.ingress), ("egress", self.egress)]
            .into_iter()
            .filter_map(|(word, rate)| Some((word, rate?)))
            .try_for_each(|(word, rate)| {
                rate.check().map_err(|error| error.while_doing(format!("{word} limit")))
            })
    }
}

impl Rate {
    /// A burst that lets a fast sender reach the rate: 50 ms of it, at least 32 KiB.
    pub fn new(rate: u64) -> Self {
        Rate { rate, burst: (rate / 20).max(32 << 13) }
    }
    pub fn check(self) -> Result<()> {
        if !(SLOWEST..=FASTEST).contains(&self.rate) {
            return Err(Error::invalid(format!(
                "invalid rate of {} bit/s: from {SLOWEST} bit/s to 400gbit can be had",
                self.rate
            )));
        }
        match self.burst {
            0 => Err(Error::invalid(format!("a rate of {} bit/s needs a burst above 0", self.rate))),
            _ => Ok(()),
        }
    }
}

/// `10mbit`, or with its burst `10mbit:800kbit`; a number alone counts bits.
impl FromStr for Rate {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (rate, burst) = text.split_once(':').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let mut parsed = Rate::new(bits(rate)?);
        if let Some(burst) = burst {
            parsed.burst = bits(burst)?;
        }
        parsed.check().map(|()| parsed)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = |bits: u64| {
            UNITS.iter().find(|(_, size)| bits.is_multiple_of(*size)).copied().unwrap_or(("bit", 1))
        };
        let [(rate, a), (burst, b)] = [unit(self.rate), unit(self.burst)];
        write!(f, "{}{rate}:{}{burst}", self.rate / a, self.burst / b)
    }
}

fn bits(text: &str) -> Result<u64> {
    let bad = || {
        Error::invalid(format!(
            "invalid rate {text:?}: a number and bit, kbit, mbit, gbit or tbit, like 10mbit"
        ))
    };
    let lower = text.to_ascii_lowercase();
    let unit = UNITS.iter().find_map(|(name, size)| Some((lower.strip_suffix(name)?, *size)));
    let (number, size) = unit.unwrap_or((&lower, 1));
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(size)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_as_they_are_written() {
        for (text, rate, burst) in [
            ("10mbit", 10_000_000, 500_000),
            ("1gbit", 1_000_000_000, 50_000_000),
            ("500kbit:64kbit", 500_000, 64_000),
            ("8", 8, 32 << 13),
            ("10MBIT:1", 10_000_000, 1),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap(), Rate { rate, burst }, "{text}");
        }
        assert_eq!(Rate { rate: 10_000_000, burst: 32 << 13 }.to_string(), "10mbit:262144bit");
        for (text, wanted) in [
            ("", "invalid rate"),
            ("fast", "invalid rate"),
            ("-1mbit", "invalid rate"),
            ("1.5mbit", "invalid rate"),
            ("7", "from 8 bit/s"),
            ("2tbit", "to 400gbit"),
            ("99999999999tbit", "invalid rate"),
            ("1mbit:0", "needs a burst"),
            ("1mbit:", "invalid rate"),
        ] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.message.contains(wanted), "{text}: {error}");
        }
    }
}
