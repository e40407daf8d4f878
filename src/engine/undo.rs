//! Taking a decision back: out of the writer's state, and, if it was begun, out of the kernel and the ledger.
use super::{
    carry::Undone,
    change::{self, Change},
    decide::State,
    repair,
    view::View,
    writer::Writer,
};
use crate::{
    error::{Error, Result},
    host::Leaving,
};

/// Out of the writer's own state.
pub fn forget(state: &mut State, changes: Vec<Change>) {
    for change in changes.into_iter().rev().map(Change::reversed) {
        change.show(&mut state.view);
        change.book(&mut state.books);
    }
}

/// After a failed application: the same difference, turned round, takes away what was done; then the promise is
/// withdrawn, and with it those of `later`, which were made on top of it and are not applied. Whatever fails on the way
/// back becomes a further cause of `error`. If the ledger refused the promises there is none to withdraw, and something
/// to take away only if the kernel's part went ahead.
pub fn withdraw(writer: &mut Writer, changes: &[Change], later: &[Change], mut error: Error) -> Undone {
    forget(&mut writer.state, later.to_vec());
    forget(&mut writer.state, changes.to_vec());
    let refused = writer.promises.wait().err();
    let mut leaving = Vec::new();
    if refused.is_none() || writer.promises.went_ahead() {
        let taken = take_away(writer, changes).or_else(|error| {
            match repair::found_by_a_call(writer, changes, &error) {
                true => take_away(writer, changes),
                false => Err(error),
            }
        });
        match taken {
            Ok(links) => leaving = links,
            Err(second) => {
                error = error.because(format!("and undoing it failed: {second}"));
                // What is there and not promised goes the way it would go at a start.
                repair::everything(writer, "a failed call could not be undone");
            }
        }
    }
    if refused.is_none() {
        let withdrawn: Vec<Change> = reversed(later).chain(reversed(changes)).collect();
        if let Err(third) =
            change::withdrawals(&withdrawn).and_then(|writes| writer.promises.withdraw(writes))
        {
            error = error.because(format!("and withdrawing the promise failed: {third}"));
        }
    }
    Undone { error, leaving, refused }
}

fn reversed(changes: &[Change]) -> impl Iterator<Item = Change> {
    changes.iter().rev().cloned().map(Change::reversed)
}

fn take_away(writer: &mut Writer, changes: &[Change]) -> Result<Vec<Leaving>> {
    let mut from = View::clone(&writer.published.view.load());
    changes.iter().for_each(|change| change.show(&mut from));
    let applied = writer.apply_back(&from, &reversed(changes).collect::<Vec<_>>())?;
    applied.resolvers.into_iter().for_each(|(id, udp, tcp)| writer.resolvers.serve(id, udp, tcp));
    Ok(applied.leaving)
}
