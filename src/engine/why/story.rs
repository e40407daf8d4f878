//! What was found, in the order in which it was looked for.
use crate::model::reply::Finding;

#[derive(Default)]
pub struct Story {
    findings: Vec<Finding>,
    connected: bool,
}

impl Story {
    pub fn ok(&mut self, check: &str, message: impl Into<String>) {
        self.tell("ok", check, message.into(), None);
    }

    pub fn warning(&mut self, check: &str, message: impl Into<String>) {
        self.tell("warning", check, message.into(), None);
    }

    pub fn problem(&mut self, check: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.tell("problem", check, message.into(), Some(remedy.into()));
    }

    /// A real one did not come about; what to do is said once, by whoever knew why.
    pub fn failed(&mut self, message: String, remedy: &str) {
        let known = self.findings.iter().any(|finding| finding.level == "problem");
        self.tell("problem", "try", message, (!known).then(|| remedy.to_owned()));
    }

    /// A real connection came about.
    pub fn connected(&mut self, message: String) {
        self.ok("try", message);
        self.connected = true;
    }

    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn tell(&mut self, level: &str, check: &str, message: String, remedy: Option<String>) {
        self.add(Finding { level: level.to_owned(), check: check.to_owned(), message, remedy });
    }

    pub fn end(mut self) -> Vec<Finding> {
        let problems = self.findings.iter_mut().filter(|finding| finding.level == "problem");
        if self.connected {
            problems.for_each(|finding| "warning".clone_into(&mut finding.level));
        }
        self.findings
    }
}
