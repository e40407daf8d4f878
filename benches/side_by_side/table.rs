//! The one shape of every result: a row has our figure, the limit's, the peers', and the number that is to be held.
use crate::unit::Unit;

/// Measured values of one thing. Middle and spread are the median and the 10th and 90th percentile of its runs.
#[derive(Debug, Clone)]
pub struct Figure {
    pub middle: f64,
    pub low: f64,
    pub high: f64,
    /// 99th percentile, where there are enough runs to say one.
    pub last: Option<f64>,
    pub runs: usize,
}

impl Figure {
    pub fn of(samples: &[f64]) -> Self {
        assert!(!samples.is_empty(), "nothing was measured");
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part).round() as usize];
        let last = (sorted.len() >= 50).then(|| at(0.99));
        Figure { middle: at(0.5), low: at(0.1), high: at(0.9), last, runs: sorted.len() }
    }
}

/// A number that somebody reached, or why there is none.
#[derive(Debug, Clone)]
pub struct Entry {
    pub who: String,
    pub figure: Result<Figure, String>,
    /// Ours as a multiple of theirs, round by round, where we were measured in turn.
    pub ratio: Option<Figure>,
}

/// What DESIGN.md section 7 (or the issue) wants of a row.
#[derive(Debug, Clone)]
pub enum Target {
    /// At most so many times the limit; where more is better, at least so many times.
    Limit(f64),
    /// So many times better than this peer.
    Peer(&'static str, f64),
    /// At most this, in the row's unit; where more is better, at least this.
    Value(f64),
}

/// How a target came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// None: it could not be judged.
    pub held: Option<bool>,
    /// `<= 2x bare netlink calls`
    pub wanted: String,
    /// The same, and what was found.
    pub text: String,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub group: &'static str,
    pub what: String,
    pub unit: Unit,
    pub ours: Result<Figure, String>,
    pub limit: Option<Entry>,
    pub peers: Vec<Entry>,
    pub targets: Vec<Target>,
    pub note: String,
}

impl Row {
    pub fn new(group: &'static str, what: impl Into<String>, unit: Unit) -> Self {
        let ours = Err("not measured".to_owned());
        Row {
            group,
            what: what.into(),
            unit,
            ours,
            limit: None,
            peers: vec![],
            targets: vec![],
            note: String::new(),
        }
    }
    pub fn ours(mut self, samples: &[f64]) -> Self {
        self.ours = figure(samples);
        self
    }
    /// Measured in rounds, in turn with others.
    pub fn rounds(self, rounds: &[Option<Vec<f64>>]) -> Self {
        self.ours(&rounds.iter().flatten().flatten().copied().collect::<Vec<f64>>())
    }
    pub fn ours_if(mut self, samples: &Result<Vec<f64>, String>) -> Self {
        self.ours = samples.as_ref().map_err(Clone::clone).and_then(|samples| figure(samples));
        self
    }
    pub fn limit(mut self, who: &str, samples: &[f64]) -> Self {
        self.limit = Some(Entry { who: who.to_owned(), figure: figure(samples), ratio: None });
        self
    }
    /// In rounds, in turn with `own`: both had the same moods of the machine, and what is compared are the rounds.
    pub fn limit_rounds(self, who: &str, own: &[Option<Vec<f64>>], rounds: &[Option<Vec<f64>>]) -> Self {
        let middle = |values: &Vec<f64>| Figure::of(values).middle;
        let pairs = own.iter().zip(rounds).filter_map(|(own, other)| Some((own.as_ref()?, other.as_ref()?)));
        let ratios: Vec<f64> = pairs.map(|(own, other)| middle(own) / middle(other)).collect();
        let mut row = self.limit(who, &rounds.iter().flatten().flatten().copied().collect::<Vec<f64>>());
        row.limit.iter_mut().for_each(|limit| limit.ratio = figure(&ratios).ok());
        row
    }
    pub fn peer(mut self, who: &str, samples: &Result<Vec<f64>, String>) -> Self {
        let figure = samples.as_ref().map_err(Clone::clone).and_then(|samples| figure(samples));
        self.peers.push(Entry { who: who.to_owned(), figure, ratio: None });
        self
    }
    pub fn hold(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = text.into();
        self
    }

    /// How many times better we are than `other`: above 1 we are ahead.
    pub fn ahead(&self, other: &Entry) -> Option<f64> {
        let over = self.over(other)?;
        if self.unit.less_is_better() { (over > 0.0).then(|| 1.0 / over) } else { Some(over) }
    }

    pub fn verdicts(&self) -> Vec<Verdict> {
        self.targets.iter().map(|target| self.judge(target)).collect()
    }

    fn judge(&self, target: &Target) -> Verdict {
        let less = self.unit.less_is_better();
        let sign = if less { "<=" } else { ">=" };
        let fits = |value: f64, bound: f64| if less { value <= bound } else { value >= bound };
        let (wanted, found) = match target {
            Target::Value(bound) => {
                let value = self.ours.as_ref().ok().map(|figure| figure.middle);
                let found = value.map(|value| (fits(value, *bound), self.unit.show(value)));
                (format!("{sign} {}", self.unit.show(*bound)), found)
            }
            Target::Limit(bound) => {
                let ratio = self.limit.as_ref().and_then(|limit| self.over(limit));
                let who = self.limit.as_ref().map_or("limit", |limit| limit.who.as_str());
                (format!("{sign} {bound}x {who}"), ratio.map(|ratio| (fits(ratio, *bound), times(ratio))))
            }
            Target::Peer(who, bound) => {
                let ratio = self
                    .peers
                    .iter()
                    .find(|peer| peer.who.starts_with(who))
                    .and_then(|peer| self.ahead(peer));
                (format!("{bound}x better than {who}"), ratio.map(|ratio| (ratio >= *bound, times(ratio))))
            }
        };
        match found {
            Some((held, found)) => {
                let word = if held { "held" } else { "NOT HELD" };
                Verdict { held: Some(held), text: format!("{wanted}: {word}, {found}"), wanted }
            }
            // What we ought to hold and could not even do is not held.
            None => Verdict {
                held: self.ours.is_err().then_some(false),
                text: format!(
                    "{wanted}: {}",
                    self.ours.as_ref().err().map_or("not measured", String::as_str)
                ),
                wanted,
            },
        }
    }

    /// Our figure as a multiple of `other`'s.
    pub fn over(&self, other: &Entry) -> Option<f64> {
        let (ours, theirs) = (self.ours.as_ref().ok()?.middle, other.figure.as_ref().ok()?.middle);
        let ratio = other.ratio.as_ref().map(|ratio| ratio.middle);
        ratio.or_else(|| (theirs > 0.0).then_some(ours / theirs))
    }
}

fn figure(samples: &[f64]) -> Result<Figure, String> {
    if samples.is_empty() { Err("no sample".to_owned()) } else { Ok(Figure::of(samples)) }
}

/// `2.04x`, `25x`
pub fn times(ratio: f64) -> String {
    match ratio {
        r if r >= 9.95 => format!("{r:.0}x"),
        r if r >= 3.0 => format!("{r:.1}x"),
        r => format!("{r:.2}x"),
    }
}
