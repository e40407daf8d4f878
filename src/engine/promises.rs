//! The writer's way to the ledger: promises of one batch, made durable while the kernel is already at work, or before
//! anything else is done. It decides nothing and answers nobody.
use crate::{
    error::Result,
    store::{Ledger, Write},
};

/// One batch at a time: `ask`, perhaps `begin`, then `wait`, as often as one likes.
pub(super) struct Promises {
    ledger: Box<dyn Ledger>,
    batch: Batch,
    /// The batch was begun while others worked, so something may be done already that it does not promise in the end.
    ahead: bool,
    /// Promises that were to be withdrawn when the ledger could not be written, and notes that nobody waits for: they go
    /// before the next ones.
    owed: Vec<Write>,
}

/// How far the last batch is.
enum Batch {
    Asked(Vec<Write>),
    UnderWay,
    Settled(Result<()>),
}

impl Promises {
    pub fn new(ledger: Box<dyn Ledger>) -> Self {
        Promises { ledger, batch: Batch::Settled(Ok(())), ahead: false, owed: Vec::new() }
    }

    /// A new batch. Nothing is written yet.
    pub fn ask(&mut self, writes: Vec<Write>) {
        self.ahead = false;
        self.batch = match writes.is_empty() {
            true => Batch::Settled(Ok(())),
            false => Batch::Asked(writes),
        };
    }

    /// From now on the batch is being written while the caller does what a start can sweep away again.
    pub fn begin(&mut self) {
        if let Batch::Asked(writes) = &mut self.batch {
            self.ledger.begin(self.owed.iter().cloned().chain(writes.drain(..)).collect());
            (self.batch, self.ahead) = (Batch::UnderWay, true);
        }
    }

    /// Returns when the batch is durable, or refused. Without `begin` it is written here and now: waking the ledger's
    /// thread would only add to it.
    pub fn wait(&mut self) -> Result<()> {
        let outcome = match &mut self.batch {
            Batch::Settled(outcome) => return outcome.clone(),
            Batch::UnderWay => self.ledger.wait(),
            Batch::Asked(writes) => {
                let all: Vec<Write> = self.owed.iter().cloned().chain(writes.drain(..)).collect();
                self.ledger.commit(&all)
            }
        };
        if outcome.is_ok() {
            self.owed.clear();
        }
        self.batch = Batch::Settled(outcome.clone());
        outcome
    }

    /// Is it known what became of the batch? Then nothing is gained by going ahead.
    pub fn settled(&self) -> bool {
        matches!(self.batch, Batch::Settled(_))
    }

    /// Was something done before the batch was durable?
    pub fn went_ahead(&self) -> bool {
        self.ahead
    }

    /// Makes promises durable, here and now.
    pub fn commit(&mut self, writes: Vec<Write>) -> Result<()> {
        self.ask(writes);
        self.wait()
    }

    /// To be written with the next promise.
    pub fn owe(&mut self, write: Write) {
        self.owed.push(write);
    }
    pub fn owes(&self, write: &Write) -> bool {
        self.owed.contains(write)
    }

    /// Takes promises back; if that cannot be written now it is written before the next promise.
    pub fn withdraw(&mut self, writes: Vec<Write>) -> Result<()> {
        self.owed.extend(writes);
        self.ledger.commit(&self.owed)?;
        self.owed.clear();
        Ok(())
    }
}
