//! Several do the same thing in turn, round by round; each round is begun by another, so that who comes after whom hits all
//! alike.

/// What each round gave; None: left out of that round.
pub type Rounds = Vec<Option<Vec<f64>>>;
/// Takes a round's number, from 0 on.
type Turn<'a> = &'a dyn Fn(usize) -> Result<Option<Vec<f64>>, String>;

/// `rounds` of each. Who fails once is out, and says why.
pub fn in_rounds<const N: usize>(rounds: usize, turns: [Turn<'_>; N]) -> [Result<Rounds, String>; N] {
    let mut all = [(); N].map(|()| Ok(Rounds::new()));
    for round in 0..rounds {
        for number in (0..N).map(|turn| (turn + round) % N) {
            let Ok(rounds) = &mut all[number] else { continue };
            match turns[number](round) {
                Ok(values) => rounds.push(values),
                Err(error) => all[number] = Err(error),
            }
        }
    }
    all
}
