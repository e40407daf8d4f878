//! Taking a decision back: out of the writer's state, and, if it was begun, out of the kernel and the ledger.
use super::{change::Change, decide::State, writer::Writer};
use crate::{error::Error, store::Write};

/// Out of the writer's own state.
pub fn forget(state: &mut State, changes: Vec<Change>) {
    for change in changes.into_iter().rev().map(Change::reversed) {
        change.show(&mut state.view);
        change.book(&mut state.books);
    }
}

/// After a failed application: the same difference, turned round, takes away what was done; then the promise is
/// withdrawn. Returns `error` with whatever failed on the way back as further causes.
pub fn withdraw(writer: &mut Writer, changes: &[Change], mut error: Error) -> Error {
    let back: Vec<Change> = changes.iter().rev().cloned().map(Change::reversed).collect();
    forget(&mut writer.state, changes.to_vec());
    match writer.apply(&back) {
        Ok(applied) if applied.leaving.is_empty() => {
            applied.resolvers.into_iter().for_each(|(id, udp, tcp)| writer.resolvers.serve(id, udp, tcp));
        }
        Ok(applied) => writer.host.bury(applied.leaving, Box::new(|_| {})),
        Err(second) => error = error.because(format!("and undoing it failed: {second}")),
    }
    let writes: Result<Vec<Write>, Error> = back.iter().map(Change::write).collect();
    if let Err(third) = writes.and_then(|writes| writer.ledger.commit(&writes)) {
        error = error.because(format!("and withdrawing the promise failed: {third}"));
    }
    error
}
