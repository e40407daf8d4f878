//! Nobody else can change our tables for a while, when another program keeps taking them away.
use super::{repair::Done, repair::reconcile, scope, writer::Writer};
use crate::{
    error::Result,
    host::{Extent, Suspect},
};
use std::time::Instant;

/// A pause in a fight over our tables would leave everybody without them. False: the kernel cannot, or they were locked before
/// and it did not help.
pub(super) fn lock(writer: &mut Writer, now: Instant) -> bool {
    if writer.repairs.is_locked() || !writer.host.lock_tables(true) {
        return false;
    }
    match tables_anew(writer) {
        Ok(_) => {
            writer.repairs.lock(now);
            true
        }
        Err(error) => {
            tracing::warn!(%error, "our nftables tables cannot be locked");
            writer.host.lock_tables(false);
            false
        }
    }
}

/// Whoever comes after us is to be able to change them.
pub(super) fn unlock(writer: &mut Writer) {
    if !writer.repairs.unlock(None) {
        return;
    }
    writer.host.lock_tables(false);
    if let Err(error) = tables_anew(writer) {
        tracing::warn!(%error, "our nftables tables stay locked until the end of this process");
    }
}

fn tables_anew(writer: &mut Writer) -> Result<Done> {
    let view = writer.published.view.load_full();
    let suspects = [(Suspect::Tables, String::new())].into();
    let wanted = scope::wanted(&view, writer.state.settings.strict_default_bridge, &suspects);
    reconcile(writer, wanted, Extent::Wanted, |_| true)
}
