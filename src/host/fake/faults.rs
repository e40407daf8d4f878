//! When the daemon dies and which operation fails, as a test wants it.
use crate::error::{Error, Result};

/// Counts steps; by default nothing goes wrong.
#[derive(Default)]
pub(super) struct Faults {
    pub dead: bool,
    pub steps: u64,
    /// Steps that are still done before the daemon dies.
    pub crash_in: Option<u64>,
    /// Operations that are still done before one fails, and how it fails.
    pub fail_in: Option<(u64, Error)>,
}

impl Faults {
    /// What a dead daemon gets to hear.
    pub fn gone() -> Error {
        Error::unavailable("the daemon is dead")
    }

    /// Something is about to be done, or the daemon dies instead.
    pub fn step(&mut self) -> Result<()> {
        match &mut self.crash_in {
            _ if self.dead => return Err(Self::gone()),
            Some(0) => {
                self.dead = true;
                return Err(Self::gone());
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.steps += 1;
        Ok(())
    }

    /// An operation is about to be carried out, or fails.
    pub fn operation(&mut self) -> Result<()> {
        self.step()?;
        match self.fail_in.take() {
            Some((0, error)) => Err(error),
            Some((left, error)) => {
                self.fail_in = Some((left - 1, error));
                Ok(())
            }
            None => Ok(()),
        }
    }
}
