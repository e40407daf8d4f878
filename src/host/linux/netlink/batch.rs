//! Several requests in one send; it encodes and remembers what each one was for, and never talks to the kernel.
use super::reply::HEAD;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
};
use netlink_packet_route::RouteNetlinkMessage;

/// What a request may do with an object that is or is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Ask, change or delete what exists.
    Plain,
    /// Make it; an existing one is an error.
    Create,
    /// Make it, and say what was made.
    CreateEcho,
    /// Make it or put it in the place of an existing one.
    Replace,
}

impl Manner {
    fn flags(self) -> u16 {
        NLM_F_REQUEST
            | match self {
                Manner::Plain => 0,
                Manner::Create => NLM_F_CREATE | NLM_F_EXCL,
                Manner::CreateEcho => NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO,
                Manner::Replace => NLM_F_CREATE | NLM_F_REPLACE,
            }
    }
}

/// Encoded requests. The kernel carries them out in order and goes on after a failure.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) bytes: Vec<u8>,
    /// Where each message starts, and what it does, for error messages.
    pub(super) parts: Vec<(usize, String)>,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
    pub fn len(&self) -> usize {
        self.parts.len()
    }
    /// Appends one request; `step` says what it does, object included ("put pt0123 on bridge br-1").
    pub fn push(
        &mut self,
        manner: Manner,
        message: RouteNetlinkMessage,
        step: impl Into<String>,
    ) -> &mut Self {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = manner.flags();
        message.finalize();
        let start = self.bytes.len();
        let end = start + message.buffer_len();
        self.bytes.resize(end.next_multiple_of(4), 0);
        message.serialize(&mut self.bytes[start..end]);
        self.parts.push((start, step.into()));
        self
    }
    /// Numbers the messages from `first` on and asks for an acknowledgement of the last one (errors come unasked).
    pub(super) fn seal(&mut self, first: u32) {
        for (place, (start, _)) in self.parts.iter().enumerate() {
            let number = first.wrapping_add(place as u32);
            self.bytes[start + 8..start + 12].copy_from_slice(&number.to_ne_bytes());
        }
        if let Some((start, _)) = self.parts.last() {
            let flags = u16::from_ne_bytes([self.bytes[start + 6], self.bytes[start + 7]]) | NLM_F_ACK;
            self.bytes[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
        }
        debug_assert!(self.parts.iter().all(|(start, _)| self.bytes.len() >= start + HEAD));
    }
}
