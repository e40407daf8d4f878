//! Several do the same thing in turn, round by round, so that the machine's mood hits all alike.
use super::attach::Times;

/// What one round took: seconds of an attach and of its detach.
pub type Round = Result<(f64, f64), String>;

/// Somebody who can do the rounds, or why not.
pub struct Turn<'a>(Result<Box<dyn FnMut(usize) -> Round + 'a>, String>);

impl<'a> Turn<'a> {
    /// A round is given its number, from 0 on.
    pub fn new(round: impl FnMut(usize) -> Round + 'a) -> Self {
        Turn(Ok(Box::new(round)))
    }
    /// One that needs something that may be missing.
    pub fn with<T>(thing: &'a Result<T, String>, mut round: impl FnMut(&'a T, usize) -> Round + 'a) -> Self {
        match thing {
            Ok(thing) => Turn::new(move |number| round(thing, number)),
            Err(error) => Turn(Err(error.clone())),
        }
    }
}

/// `rounds` of each, and one before that is not counted. Who fails once is out, and says why.
pub fn in_turn<const N: usize>(rounds: usize, turns: [Turn<'_>; N]) -> [Result<Times, String>; N] {
    let mut entered = turns.map(|turn| turn.0.map(|round| (round, Times::default())));
    for number in 0..=rounds {
        for entry in &mut entered {
            let Ok((round, times)) = entry else { continue };
            match round(number) {
                Ok((attach, detach)) if number > 0 => {
                    times.attach.push(attach);
                    times.detach.push(detach);
                }
                Ok(_) => {}
                Err(error) => *entry = Err(error),
            }
        }
    }
    entered.map(|entry| entry.map(|(_, times)| times))
}
