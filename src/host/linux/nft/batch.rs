//! One transaction as bytes: begin, messages, end; it remembers which element stands where, so that a refusal can
//! name it. It never sends.
use super::{
    abi,
    socket::{Refusal, Socket},
    wire::{Writer, messages},
};
use crate::error::Result;

/// A transaction being written. One batch is used again and again, to keep its memory.
#[derive(Debug, Default)]
pub struct Batch {
    out: Writer,
    first: u32,
    next: u32,
    last_start: usize,
    /// (where it begins, the caller's number of the element), rising.
    marks: Vec<(usize, usize)>,
}

impl Batch {
    /// Begins anew, to be sent as the next thing over `socket`.
    pub fn start(&mut self, socket: &Socket) {
        self.out.clear();
        self.marks.clear();
        self.first = socket.next_number();
        self.next = self.first;
        self.frame(abi::BATCH_BEGIN);
    }

    /// Adds a message with the body that `body` writes.
    pub fn message(&mut self, kind: u16, flags: u16, family: u8, body: impl FnOnce(&mut Writer)) {
        let start = self.open(kind, flags, family);
        body(&mut self.out);
        self.close(start);
    }

    pub fn open(&mut self, kind: u16, flags: u16, family: u8) -> usize {
        self.last_start = self.out.open(kind, abi::REQUEST | flags, self.next, family, 0);
        self.next = self.next.wrapping_add(1);
        self.last_start
    }

    pub fn close(&mut self, start: usize) {
        self.out.close(start);
    }

    pub fn out(&mut self) -> &mut Writer {
        &mut self.out
    }

    /// What follows is element number `element`.
    pub fn mark(&mut self, element: usize) {
        self.marks.push((self.out.len(), element));
    }

    /// Ends the transaction and has it done. Only the last message asks for an answer (errors come without), never
    /// begin or end: kernels before 6.10 do not answer those.
    pub fn commit(&mut self, socket: &mut Socket) -> Result<Result<(), Refusal>> {
        self.out.flag(self.last_start, abi::ACK);
        let last = self.next.wrapping_sub(1);
        self.frame(abi::BATCH_END);
        socket.advance(self.next.wrapping_sub(self.first));
        socket.request(self.out.bytes(), self.first, last)
    }

    /// The caller's number of the element that was refused, if the kernel said which.
    pub fn element_of(&self, refusal: &Refusal) -> Option<usize> {
        let message = messages(self.out.bytes()).find(|m| m.seq == refusal.seq)?;
        let end = message.start + super::wire::HEADER + message.body.len();
        let of_message: Vec<_> =
            self.marks.iter().filter(|(at, _)| (message.start..end).contains(at)).collect();
        match refusal.offset {
            Some(offset) => {
                let place = message.start + offset as usize;
                of_message.iter().rev().find(|(at, _)| *at <= place).map(|(_, element)| *element)
            }
            None if of_message.len() == 1 => Some(of_message[0].1),
            None => None,
        }
    }

    /// What the refused message was about: `chain forward`, `set any4` ...
    pub fn subject_of(&self, refusal: &Refusal) -> String {
        let Some(message) = messages(self.out.bytes()).find(|m| m.seq == refusal.seq) else {
            return "the transaction".to_owned();
        };
        let name = |kind| message.attrs().text(kind).unwrap_or("?").to_owned();
        match message.kind {
            abi::NEWTABLE | abi::DELTABLE => format!("table {}", name(1)),
            abi::NEWCHAIN => format!("chain {}", name(3)),
            abi::NEWRULE => format!("a rule of chain {}", name(2)),
            abi::NEWSET => format!("set {}", name(2)),
            abi::NEWSETELEM | abi::DELSETELEM | abi::DESTROYSETELEM => format!("an element of {}", name(2)),
            _ => "the transaction".to_owned(),
        }
    }

    fn frame(&mut self, kind: u16) {
        let start = self.out.open(kind, abi::REQUEST, self.next, 0, abi::SUBSYSTEM);
        self.next = self.next.wrapping_add(1);
        self.out.close(start);
    }
}
