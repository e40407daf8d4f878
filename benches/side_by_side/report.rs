//! What comes out: a line for each row as it is measured; at the end `table.md`, `bench.json` and `chart.svg`.
use crate::{
    chart,
    table::{Entry, Figure, Row, times},
    unit::Unit,
};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const HEAD: &str = "| what | Pontoon | limit | peers | number to hold |\n|---|---|---|---|---|\n";
const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- /bench -->";

/// One line on the terminal, and what is held or not.
pub fn print(row: &Row) {
    let who = |entry: &Entry| format!("{}: {}", entry.who, against(row, entry, true));
    let others: Vec<String> = row.limit.iter().chain(&row.peers).map(who).collect();
    println!("{:58} {:>10}  {}", row.what, cell(row.unit, &row.ours), others.join("; "));
    for verdict in row.verdicts() {
        println!("{:58}   {}", "", verdict.text);
    }
}

/// Everything into `target/bench`; a whole run also into `benches/results` and the README.
pub fn write(rows: &[Row], whole: bool, took: Duration) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("target/bench")];
    if whole {
        folders.push(root.join("benches/results"));
    }
    let machine = machine(took);
    for folder in &folders {
        fs::create_dir_all(folder).expect("a folder");
        put(&folder.join("table.md"), &format!("# Side by side\n\n{machine}\n\n{}", table(rows)));
        put(&folder.join("bench.json"), &(pretty(&json(rows, &machine)) + "\n"));
        put(&folder.join("chart.svg"), &chart::svg(rows));
    }
    if whole {
        readme(&root.join("README.md"), rows, &machine);
    }
    let missed: Vec<String> = rows
        .iter()
        .flat_map(|row| row.verdicts().into_iter().map(move |verdict| (row, verdict)))
        .filter(|(_, verdict)| verdict.held == Some(false))
        .map(|(row, verdict)| format!("  {}: {}", row.what, verdict.text))
        .collect();
    println!("\n{machine}\n{} rows; {} numbers not held", rows.len(), missed.len());
    missed.iter().for_each(|line| println!("{line}"));
    folders.iter().for_each(|folder| println!("written: {}", folder.display()));
}

/// Files belong to whoever owns the tree, not to the root that we need to be.
fn put(path: &PathBuf, text: &str) {
    use std::os::unix::fs::MetadataExt;
    fs::write(path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    if let Ok(tree) = fs::metadata(env!("CARGO_MANIFEST_DIR")) {
        for path in path.parent().into_iter().chain([path.as_path()]) {
            let _ = std::os::unix::fs::chown(path, Some(tree.uid()), Some(tree.gid()));
        }
    }
}

/// Between the markers: what has a number to hold, the picture, and where the rest is.
fn readme(path: &PathBuf, rows: &[Row], machine: &str) {
    let text = fs::read_to_string(path).expect("the README");
    let (Some(begin), Some(end)) = (text.find(BEGIN), text.find(END)) else {
        return println!("README.md has no {} ... {END}: left alone", BEGIN.trim());
    };
    let fresh = format!(
        "{machine}\n\n{}\n![what others take, as a multiple of what Pontoon takes](benches/results/chart.svg)\n\n\
         All rows, with spread: [benches/results/table.md](benches/results/table.md), \
         [bench.json](benches/results/bench.json).\n",
        summary(rows)
    );
    put(path, &format!("{}{fresh}{}", &text[..begin + BEGIN.len()], &text[end..]));
}

/// Every row, with everybody's spread.
fn table(rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| {
        let entry = |entry: &Entry| format!("{} {}", entry.who, against(row, entry, true));
        let verdicts =
            row.verdicts().into_iter().map(|verdict| verdict.text.replace("NOT HELD", "**not held**"));
        line(row, entry, verdicts.collect(), "<br>")
    });
    HEAD.to_owned() + &lines.collect::<String>()
}

/// The rows with a number to hold, and of the others only the figure and `(21x)`: so many times better are we.
fn summary(rows: &[Row]) -> String {
    let lines = rows.iter().filter(|row| !row.targets.is_empty()).map(|row| {
        let entry = |entry: &Entry| match (&entry.figure, row.ahead(entry)) {
            (Ok(figure), Some(ahead)) => {
                format!("{} {} ({})", entry.who, row.unit.show(figure.middle), times(ahead))
            }
            (figure, _) => format!("{} {}", entry.who, cell(row.unit, figure)),
        };
        let verdicts = row.verdicts().into_iter().map(|verdict| {
            let held = verdict.held.map_or("?", |held| if held { "held" } else { "**not held**" });
            format!("{} {held}", verdict.wanted)
        });
        line(row, entry, verdicts.collect(), ", ")
    });
    HEAD.to_owned() + &lines.collect::<String>()
}

fn line(row: &Row, entry: impl Fn(&Entry) -> String, verdicts: Vec<String>, between: &str) -> String {
    let note = if row.note.is_empty() { String::new() } else { format!("<br><sub>{}</sub>", row.note) };
    let spread = row.ours.as_ref().map_or(String::new(), |figure| spread(row.unit, figure));
    let all =
        |entries: &mut dyn Iterator<Item = &Entry>| entries.map(&entry).collect::<Vec<_>>().join(between);
    format!(
        "| {}{note} | **{}** {spread} | {} | {} | {} |\n",
        row.what,
        cell(row.unit, &row.ours),
        all(&mut row.limit.iter()),
        all(&mut row.peers.iter()),
        verdicts.join(between),
    )
}

fn cell(unit: Unit, figure: &Result<Figure, String>) -> String {
    figure.as_ref().map_or_else(Clone::clone, |figure| unit.show(figure.middle))
}

/// `(1.9 to 2.4; p99 3.1; 200 runs)`, the 10th to the 90th percentile.
fn spread(unit: Unit, figure: &Figure) -> String {
    if figure.runs == 1 {
        return String::new();
    }
    let last = figure.last.map_or(String::new(), |last| format!("; p99 {}", unit.show(last)));
    format!("({} to {}{last})", unit.show(figure.low), unit.show(figure.high))
}

/// The other's figure and how we compare: `40.1 ms, we are 20x better`.
fn against(row: &Row, entry: &Entry, with_spread: bool) -> String {
    let figure = match &entry.figure {
        Ok(figure) => figure,
        Err(why) => return why.clone(),
    };
    let value = row.unit.show(figure.middle);
    let spread = if with_spread { spread(row.unit, figure) } else { String::new() };
    let mut value = if spread.is_empty() { value } else { format!("{value} {spread}") };
    if let (true, Some(ratio)) = (with_spread, &entry.ratio) {
        let (low, high) = (times(ratio.low), times(ratio.high));
        let _ = write!(value, ", {} of it ({low} to {high}, {} rounds)", times(ratio.middle), ratio.runs);
    }
    match row.ahead(entry) {
        Some(ahead) if ahead >= 1.0 => format!("{value}, we are {} better", times(ahead)),
        Some(ahead) if ahead > 0.0 => format!("{value}, we are {} worse", times(1.0 / ahead)),
        _ => value,
    }
}

/// Machine, kernel, peers' versions and date.
fn machine(took: Duration) -> String {
    let output = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let packages = ["docker.io", "podman", "netavark", "aardvark-dns", "containernetworking-plugins"];
    let packages = packages.into_iter().chain(["containerd", "runc", "dnsmasq-base"]);
    let versions: Vec<String> = packages
        .map(|name| (name, output("dpkg-query", &["-W", "-f=${Version}", name])))
        .filter(|(_, version)| !version.is_empty())
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    format!(
        "{}, {cores} cores ({}), Linux {}, release build; {}; {:.0} min for all.",
        output("date", &["-u", "+%F %H:%M UTC"]),
        model.unwrap_or("unknown"),
        output("uname", &["-r"]),
        versions.join(", "),
        took.as_secs_f64() / 60.0,
    )
}

fn json(rows: &[Row], machine: &str) -> Value {
    let figure = |figure: &Result<Figure, String>| match figure {
        Ok(f) => json!({ "p50": f.middle, "p10": f.low, "p90": f.high, "p99": f.last, "runs": f.runs }),
        Err(why) => json!({ "missing": why }),
    };
    let entry = |entry: &Entry| {
        let ratio = entry.ratio.as_ref();
        let ratio = ratio.map(|f| json!({ "p50": f.middle, "p10": f.low, "p90": f.high, "rounds": f.runs }));
        json!({ "who": entry.who, "figure": figure(&entry.figure), "ours_over_theirs_by_rounds": ratio })
    };
    let row = |row: &Row| {
        let verdict = |v: crate::table::Verdict| json!({ "held": v.held, "text": v.text });
        json!({
            "group": row.group, "what": row.what, "unit": row.unit.name(), "note": row.note,
            "ours": figure(&row.ours),
            "limit": row.limit.as_ref().map(entry),
            "peers": row.peers.iter().map(entry).collect::<Vec<_>>(),
            "targets": row.verdicts().into_iter().map(verdict).collect::<Vec<_>>(),
        })
    };
    json!({ "machine": machine, "rows": rows.iter().map(row).collect::<Vec<_>>() })
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON")
}
