//! Taking a decision back: out of the writer's state, and, if it was begun, out of the kernel and the ledger.
use super::{
    change::{self, Change},
    decide::State,
    view::View,
    writer::Writer,
};
use crate::{error::Error, host::Leaving};

/// Out of the writer's own state.
pub fn forget(state: &mut State, changes: Vec<Change>) {
    for change in changes.into_iter().rev().map(Change::reversed) {
        change.show(&mut state.view);
        change.book(&mut state.books);
    }
}

/// After a failed application: the same difference, turned round, takes away what was done; then the promise is
/// withdrawn, and with it those of `later`, which were made on top of it and are not applied. Returns `error` with
/// whatever failed on the way back as further causes, and the links that are on their way out.
pub fn withdraw(
    writer: &mut Writer,
    changes: &[Change],
    later: &[Change],
    mut error: Error,
) -> (Error, Vec<Leaving>) {
    let back =
        |changes: &[Change]| -> Vec<Change> { changes.iter().rev().cloned().map(Change::reversed).collect() };
    forget(&mut writer.state, later.to_vec());
    forget(&mut writer.state, changes.to_vec());
    let mut from = View::clone(&writer.published.view.load());
    changes.iter().for_each(|change| change.show(&mut from));
    let leaving = match writer.apply_from(&from, &back(changes)) {
        Ok(applied) => {
            applied.resolvers.into_iter().for_each(|(id, udp, tcp)| writer.resolvers.serve(id, udp, tcp));
            applied.leaving
        }
        Err(second) => {
            error = error.because(format!("and undoing it failed: {second}"));
            Vec::new()
        }
    };
    let withdrawn: Vec<Change> = back(later).into_iter().chain(back(changes)).collect();
    if let Err(third) = change::withdrawals(&withdrawn).and_then(|writes| writer.withdraw(writes)) {
        error = error.because(format!("and withdrawing the promise failed: {third}"));
    }
    (error, leaving)
}
